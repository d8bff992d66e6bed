//! `capstan internal`: what the program's own tools and tests call. Not for people, and hidden.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, render};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    SignUnchecked(SignUncheckedArgs),
    Compile(CompileArgs),
    Confine(ConfineArgs),
    Worker(WorkerArgs),
}

/// Compile the component on standard input, within bounds
///
/// What installing starts for itself, so that the one who asks for it can be killed.
#[derive(Debug, clap::Args)]
pub(super) struct CompileArgs {
    /// Address space, in bytes
    memory_bytes: u64,
    /// Time on the processor, in seconds
    cpu_seconds: u64,
}

/// Run the program that standard input asks for, confined
///
/// What a call of `exec` starts for itself. Standard input is a socket, over which the answer goes.
#[derive(Debug, clap::Args)]
pub(super) struct ConfineArgs {
    /// Be the process in the namespaces, not the one that makes them
    #[arg(long)]
    inside: bool,
}

/// Run guests, confined, for the process at the other end of standard input, which is a socket
///
/// What calls start for themselves where `config.toml` says `isolation = "process"`.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerArgs {}

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
    /// The number of the statement
    #[arg(long, default_value_t = 1)]
    sequence: u32,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    let args = match command {
        Command::SignUnchecked(args) => args,
        Command::Compile(args) => return Ok(compile(&args, context)),
        Command::Confine(args) => return Ok(confine(&args, context)),
        Command::Worker(WorkerArgs {}) => return Ok(worker(context)),
    };
    let (says, key) = (args.says.as_deref(), args.key.as_deref());
    let view = context.app.pack_sign_unchecked(&args.folder, says, key, args.sequence)?;
    Ok(Output::done(render::sign(&view), &view))
}

/// Standard output is the native code's; what went wrong is said on standard error, and by the exit.
fn compile(args: &CompileArgs, context: &Context) -> Output {
    let done = Output::done("", &());
    match app::compile_from_stdin(args.memory_bytes, args.cpu_seconds) {
        Ok(()) => done,
        Err(error) => {
            context.ui.say(&error.to_string(), true);
            done.exit(if matches!(error, app::CompileError::Invalid(_)) {
                Exit::Refused
            } else {
                Exit::Failed
            })
        }
    }
}

/// Both outputs are the program's.
fn confine(args: &ConfineArgs, context: &Context) -> Output {
    let done = Output::done("", &());
    match app::confine_program(args.inside) {
        Ok(()) => done,
        Err(error) => {
            context.ui.say(&error.to_string(), true);
            done.exit(Exit::Failed)
        }
    }
}

fn worker(context: &Context) -> Output {
    let done = Output::done("", &());
    match app::work() {
        Ok(()) => done,
        Err(error) => {
            context.ui.say(&error.to_string(), true);
            done.exit(Exit::Failed)
        }
    }
}
