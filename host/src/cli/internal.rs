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

/// Build and sign a pack whose manifest and component contradict each other
///
/// Whoever has a key can sign anything, and not only with this program. This is how the tests
/// get a pack that is signed and lies.
#[derive(Debug, clap::Args)]
pub(super) struct SignUncheckedArgs {
    /// The folder with `pack.toml` and `Cargo.toml`
    folder: PathBuf,
    /// The key's name
    #[arg(long)]
    key: Option<String>,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    let Command::SignUnchecked(args) = command;
    let view = context.app.pack_sign_unchecked(&args.folder, args.key.as_deref())?;
    Ok(Output::done(render::sign(&view), &view))
}
