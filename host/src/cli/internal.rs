//! `capstan internal`: what the program's own tools and tests call. Not for people, and hidden.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, render};
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    SignUnchecked(SignUncheckedArgs),
}

/// Sign a pack whose parts contradict each other
///
/// Whoever has a key can sign anything, and not only with this program. This is how the tests
/// get a pack that is signed and lies.
#[derive(Debug, clap::Args)]
pub(super) struct SignUncheckedArgs {
    /// The pack folder, or the sources to build it from
    folder: PathBuf,
    /// Describe the pack in this folder instead, over the files of the one that is signed
    #[arg(long)]
    says: Option<PathBuf>,
    /// The key's name
    #[arg(long)]
    key: Option<String>,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    let Command::SignUnchecked(args) = command;
    let view = context.app.pack_sign_unchecked(&args.folder, args.says.as_deref(), args.key.as_deref())?;
    Ok(Output::done(render::sign(&view), &view))
}
