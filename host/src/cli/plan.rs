//! `capstan plan`

use std::path::PathBuf;

use app::RunOptions;
use clap::Subcommand;

use super::{Context, render, run};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Check(CheckArgs),
    Run(RunArgs),
}

/// Type-check a planfile against the installed packs, and say what it would do
///
/// Runs nothing. Exit code 2 if it is wrong, 4 if only grants are missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan plan check packs/text/plans/codemap.plan.md")]
pub(super) struct CheckArgs {
    /// The planfile, `*.plan.md` or `*.plan.yaml`
    planfile: PathBuf,
}

/// Check a planfile and run it
///
/// Stops before every side effect: on a terminal it shows the exact change and asks, otherwise
/// it parks with exit code 3. Interrupted or killed, it goes on with `capstan run resume`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  capstan plan run packs/text/plans/codemap.plan.md --input glob='**/*.py'"
)]
pub(super) struct RunArgs {
    /// The planfile, `*.plan.md` or `*.plan.yaml`
    planfile: PathBuf,
    /// An input of the plan
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// Another folder to work in, beside `workspace`, which is the present one
    #[arg(long = "root", value_name = "NAME=FOLDER")]
    roots: Vec<String>,
    /// Do not ask: stop where a person has to decide
    #[arg(long)]
    no_prompt: bool,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::Check(args) => {
            let view = context.app.plan_check(&args.planfile)?;
            let exit = match view.status {
                "ok" => Exit::Done,
                "missing-grants" => Exit::Refused,
                _ => Exit::Malformed,
            };
            Ok(Output::done(render::plan(&view), &view).exit(exit))
        }
        Command::Run(args) => {
            let options = RunOptions {
                inputs: args.inputs.clone(),
                roots: args.roots.clone(),
                workspace: settings::current_folder()?,
            };
            super::secret::unlock(context)?;
            let view = context.app.plan_run(&args.planfile, &options)?;
            run::finish(view, args.no_prompt, context)
        }
    }
}
