//! `capstan artifact`

use clap::Subcommand;

use super::{Context, render};
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Show(ShowArgs),
}

/// Print what is stored under a digest
///
/// Text is printed with control characters made visible; other bytes only with `--format json`,
/// as base64.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan artifact show sha256:6c1f")]
pub(super) struct ShowArgs {
    /// The digest, `sha256:<hex>`, or a unique beginning of it
    digest: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    let Command::Show(args) = command;
    let view = context.app.artifact_show(&args.digest)?;
    Ok(Output::done(render::artifact(&view), &view))
}
