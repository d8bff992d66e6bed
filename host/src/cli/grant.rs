//! `capstan grant`

use app::GrantOptions;
use clap::Subcommand;

use super::{Context, render};
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Add(AddArgs),
    List(ListArgs),
    Explain(ExplainArgs),
    Tighten(TightenArgs),
    Remove(RemoveArgs),
}

/// Let an installed pack reach something that it requests
///
/// The grant is for the pack as it is signed now: once another key signs it, the grant gives
/// nothing any more. Of one scope the last grant counts. What the ceiling in `config.toml` forbids
/// cannot be granted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  capstan grant add capstan:files 'files-read=workspace:**'\n  \
                  capstan grant add capstan:files 'files-write=workspace:docs/**' --expires 30d")]
pub(super) struct AddArgs {
    /// The pack, e.g. `capstan:files`
    pack: String,
    /// `capability=root:glob`, `http-read=https://host/glob`, or a capability without a scope such as `clock`
    grant: String,
    /// When it ends: a duration such as `12h` or `30d`, or a time such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Let operations that also read files or artifacts, run programs or have secrets use it without an approval
    /// of each request: what they read may then go out in what they ask for
    #[arg(long)]
    may_disclose: bool,
    /// Lower a limit of every call that the grant gives something to, e.g. `fuel=500M` or `wall=2s`
    #[arg(long = "limit", value_name = "NAME=AMOUNT")]
    limits: Vec<String>,
}

/// List what packs may reach, until when, and what is no longer in force
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan grant list")]
pub(super) struct ListArgs {
    /// Only this pack
    pack: Option<String>,
}

/// Show what calls of an operation may reach, and what cut the rest
///
/// A capability is live if the pack requests it, a grant in force gives it, the ceiling in
/// `config.toml` leaves it, and the operation's declared effect permits it. What a call reaches with
/// it lies in a scope of each. Each limit is the least that operation, grants and ceiling say.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan grant explain capstan:files tree.write")]
pub(super) struct ExplainArgs {
    /// The pack, e.g. `capstan:files`
    pack: String,
    /// The operation in it, `interface.function`
    operation: String,
}

/// Find the smallest grants that cover what a pack used
///
/// Reads what the pack's calls reached in the journal's runs, and shows the grants that cover just
/// that: single paths and URLs, or a folder of which many were used. They are never wider than what is
/// granted. What a call reached beyond what its record holds keeps its present grant. Single calls
/// (`op call` of an operation without side effects) are not recorded.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  capstan grant tighten capstan:files\n  capstan grant tighten capstan:files --apply"
)]
pub(super) struct TightenArgs {
    /// The pack, e.g. `capstan:files`
    pack: String,
    /// Write the difference to `grants.toml`
    #[arg(long)]
    apply: bool,
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
            let options =
                GrantOptions { expires: args.expires, may_disclose: args.may_disclose, limits: args.limits };
            let added = context.app.grant_add(&args.pack, &args.grant, &options)?;
            Ok(Output::done(added.iter().map(render::granted).collect::<String>(), &added))
        }
        Command::List(args) => {
            let grants = context.app.grant_list(args.pack.as_deref())?;
            let mut text: String = grants.iter().map(render::grant).collect();
            if grants.is_empty() {
                text += "Nothing is granted. Grant with `capstan grant add <pack> '<capability>=<scope>'`.\n";
            }
            Ok(Output::done(text, &grants))
        }
        Command::Explain(args) => {
            let view = context.app.grant_explain(&args.pack, &args.operation)?;
            Ok(Output::done(render::explain(&view), &view))
        }
        Command::Tighten(args) => {
            let view = context.app.grant_tighten(&args.pack, args.apply)?;
            Ok(Output::done(render::tighten(&view), &view))
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
