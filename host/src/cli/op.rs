//! `capstan op`

use std::path::PathBuf;

use app::{CallOptions, CallResult};
use clap::Subcommand;

use super::{Context, render, run};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Call(CallArgs),
}

/// List the operations of installed packs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan op list")]
pub(super) struct ListArgs {
    /// Only this pack
    pack: Option<String>,
}

/// Show an operation: types, effect, limits, what its author wrote
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan op show capstan:text/words.count")]
pub(super) struct ShowArgs {
    /// The operation, `publisher:name/interface.function`
    operation: String,
}

/// Call one operation
///
/// A `pure` or `read` operation is called and its result printed. One with side effects becomes
/// a run of one step, which stops for approval. With a folder instead of a pack, the pack is
/// built, signed with a development key and called in a throw-away home: what it would write is
/// shown and never applied.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  capstan op call capstan:text/words.count '{\"text\": \"one two\"}'\n  \
                        capstan op call packs/text words.count '{\"text\": \"one two\"}'")]
pub(super) struct CallArgs {
    /// The operation, or a pack or folder followed by `interface.function`
    target: String,
    /// `interface.function` (with a pack or folder), else the arguments
    #[arg(value_name = "OPERATION|JSON")]
    second: Option<String>,
    /// The arguments as a JSON object
    #[arg(value_name = "JSON")]
    third: Option<String>,
    /// A folder that the operation may work in, as granted
    #[arg(long = "root", value_name = "NAME=FOLDER")]
    roots: Vec<String>,
    /// Granted for this call to a pack in a folder (default: all that it requests)
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    /// Do not ask: stop where a person has to decide
    #[arg(long)]
    no_prompt: bool,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::List(args) => {
            let views = context.app.op_list(args.pack.as_deref())?;
            Ok(Output::done(render::operations(&views), &views))
        }
        Command::Show(args) => {
            let view = context.app.op_show(&args.operation)?;
            Ok(Output::done(render::operation(&view), &view))
        }
        Command::Call(args) => call(&args, context),
    }
}

fn call(args: &CallArgs, context: &Context) -> Result<Output, Failure> {
    let is_operation = |text: &str| text.contains(':') && text.contains('/');
    let folder = PathBuf::from(&args.target);
    let as_folder = app::is_folder(&folder);
    let (operation, json) = if is_operation(&args.target) && !as_folder {
        if args.third.is_some() {
            let message = "the operation is named already, so the arguments are one JSON object";
            return Err(Failure::usage(message, &["capstan op call --help"]));
        }
        (args.target.clone(), args.second.clone())
    } else {
        let named = args.second.clone().filter(|text| !text.trim_start().starts_with('{'));
        let local = named.ok_or_else(|| {
            let message = format!("no operation of `{}` is named", args.target);
            Failure::usage(message, &["capstan op list", "capstan op call --help"])
        })?;
        (if as_folder { local } else { format!("{}/{local}", args.target) }, args.third.clone())
    };
    let options = CallOptions {
        arguments: json.unwrap_or_else(|| "{}".to_owned()),
        roots: args.roots.clone(),
        grants: args.grants.clone(),
        workspace: settings::current_folder()?,
    };
    super::secret::unlock(context)?;
    let result = if as_folder {
        CallResult::Called(context.app.op_call_folder(&folder, &operation, &options)?)
    } else {
        context.app.op_call(&operation, &options)?
    };
    match result {
        CallResult::Called(view) => {
            let exit = match view.error.as_ref().map(|error| error.code.as_str()) {
                None => Exit::Done,
                Some("E-CALL-DENIED") => Exit::Refused,
                Some(_) => Exit::Failed,
            };
            Ok(Output::done(render::call(&view), &view).exit(exit))
        }
        CallResult::Run(view) => run::finish(view, args.no_prompt, context),
    }
}
