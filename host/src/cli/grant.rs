//! `capstan grant`

use clap::Subcommand;

use super::{Context, render};
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Add(AddArgs),
    List(ListArgs),
    Explain(ExplainArgs),
    Remove(RemoveArgs),
}

/// Let an installed pack reach something that it requests
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan grant add capstan:files 'files-read=workspace:**'")]
pub(super) struct AddArgs {
    /// The pack, e.g. `capstan:files`
    pack: String,
    /// `capability=root:glob`, `http-read=https://host/glob`, or a capability without a scope such as `clock`
    grant: String,
}

/// List what packs may reach
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan grant list")]
pub(super) struct ListArgs {
    /// Only this pack
    pack: Option<String>,
}

/// Show what calls of an operation may reach, and what cut the rest
///
/// A capability is live if the pack requests it, you grant it, and the operation's declared effect
/// permits it. What a call reaches with it lies in a requested and in a granted scope.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan grant explain capstan:files tree.write")]
pub(super) struct ExplainArgs {
    /// The pack, e.g. `capstan:files`
    pack: String,
    /// The operation in it, `interface.function`
    operation: String,
}

/// Take a grant back
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan grant remove capstan:files 'files-read=workspace:**'")]
pub(super) struct RemoveArgs {
    /// The pack, e.g. `capstan:files`
    pack: String,
    /// The grant as `grant list` prints it, or a capability to take back all its scopes
    grant: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::Add(args) => {
            let added = context.app.grant_add(&args.pack, &args.grant)?;
            let row = |view: &app::GrantView| format!("`{}` has {}.\n", view.pack, view.grant);
            Ok(Output::done(added.iter().map(row).collect::<String>(), &added))
        }
        Command::List(args) => {
            let grants = context.app.grant_list(args.pack.as_deref())?;
            let mut text: String =
                grants.iter().map(|grant| format!("{:<24} {}\n", grant.pack, grant.grant)).collect();
            if grants.is_empty() {
                text += "Nothing is granted. Grant with `capstan grant add <pack> '<capability>=<scope>'`.\n";
            }
            Ok(Output::done(text, &grants))
        }
        Command::Explain(args) => {
            let view = context.app.grant_explain(&args.pack, &args.operation)?;
            Ok(Output::done(render::explain(&view), &view))
        }
        Command::Remove(args) => {
            let removed = context.app.grant_remove(&args.pack, &args.grant)?;
            let text = removed
                .iter()
                .map(|grant| format!("`{}` no longer has {}.\n", grant.pack, grant.grant))
                .collect::<String>();
            Ok(Output::done(text, &removed))
        }
    }
}
