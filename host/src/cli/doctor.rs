//! `capstan doctor`

use super::{Context, render};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ui::Output;

/// Check this machine and your home, and say what to do about what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan doctor")]
pub(super) struct Args {}

pub(super) fn exec(_args: &Args, context: &Context) -> Result<Output, Failure> {
    let view = context.app.doctor();
    let exit = if view.healthy { Exit::Done } else { Exit::Failed };
    Ok(Output::done(render::findings(&view.findings), &view).exit(exit))
}
