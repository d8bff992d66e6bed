//! `capstan run`, and what every command does that leaves a run behind.

use app::RunView;
use clap::Subcommand;

use super::{Context, render};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(ListArgs),
    Show(ShowArgs),
    Events(EventsArgs),
    Resume(ResumeArgs),
    Retry(RetryArgs),
    Cancel(CancelArgs),
    Undo(UndoArgs),
}

/// List runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run list")]
pub(super) struct ListArgs {}

/// Show a run: its steps, approvals, outputs, and what can be done now
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run show last")]
pub(super) struct ShowArgs {
    /// A unique beginning of the run's id, or `last`
    run: String,
}

/// Print a run's journal, one event a line
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run events last --after 3")]
pub(super) struct EventsArgs {
    /// A unique beginning of the run's id, or `last`
    run: String,
    /// Only what came after the event of this number (`seq`), which was the last one seen
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
}

/// Continue a run that was interrupted or killed, or that waited for something
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run resume last")]
pub(super) struct ResumeArgs {
    /// A unique beginning of the run's id, or `last`
    run: String,
    /// Do not ask: stop where a person has to decide
    #[arg(long)]
    no_prompt: bool,
}

/// Make a call again that may or may not have arrived
///
/// Where the program was stopped between sending an approved call and recording the answer, nobody
/// knows whether the call arrived. This holds the call again, with another idempotency key, and asks
/// for another approval.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run retry last publish --mode force-new-idempotency-key")]
pub(super) struct RetryArgs {
    /// A unique beginning of the run's id, or `last`
    run: String,
    /// The step
    step: String,
    /// How: under another key than the server may have seen
    #[arg(long, value_enum)]
    mode: RetryMode,
    /// Do not ask: stop where a person has to decide
    #[arg(long)]
    no_prompt: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RetryMode {
    /// The call is another one for its server, and wants another approval
    ForceNewIdempotencyKey,
}

/// Cancel a run that has not ended
///
/// What it applied stays; `run undo` takes it back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run cancel last")]
pub(super) struct CancelArgs {
    /// A unique beginning of the run's id, or `last`
    run: String,
}

/// Take back the changes that a run applied
///
/// Every file must still be what the run left; otherwise nothing is touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan run undo last")]
pub(super) struct UndoArgs {
    /// A unique beginning of the run's id, or `last`
    run: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    let app = &context.app;
    match command {
        Command::List(ListArgs {}) => {
            let runs = app.run_list()?;
            Ok(Output::done(render::runs(&runs), &runs))
        }
        Command::Show(args) => {
            let view = app.run_show(&args.run)?;
            Ok(Output::done(render::run(&view), &view))
        }
        Command::Events(args) => {
            let events = app.run_events(&args.run, args.after)?;
            let text: String = events.iter().map(render::event).collect();
            Ok(Output::stream(text, events))
        }
        Command::Resume(args) => {
            super::secret::unlock(context)?;
            let view = app.run_resume(&args.run)?;
            finish(view, args.no_prompt, context)
        }
        Command::Retry(args) => {
            let RetryMode::ForceNewIdempotencyKey = args.mode;
            let view = app.run_retry(&args.run, &args.step)?;
            finish(view, args.no_prompt, context)
        }
        Command::Cancel(args) => {
            let view = app.run_cancel(&args.run)?;
            Ok(Output::done(render::run(&view), &view))
        }
        Command::Undo(args) => {
            let view = app.run_undo(&args.run)?;
            Ok(Output::done(render::undo(&view), &view))
        }
    }
}

/// Asks for each approval that the run waits for, if it can ask, and shows where the run ended.
pub(super) fn finish(mut view: RunView, no_prompt: bool, context: &Context) -> Result<Output, Failure> {
    while !no_prompt && context.ui.can_ask() {
        let Some(approval) = view.approvals.iter().find(|approval| approval.status == "waiting") else {
            break;
        };
        let question = if approval.call.is_some() { "Send exactly this?" } else { "Apply exactly this?" };
        let answer = context.ui.choose(&render::approval(approval), question, &["yes", "no", "later"]);
        // The whole digest: what was shown, and nothing that came since.
        let shown = approval.digest.hex();
        view = match answer.as_deref() {
            Some("yes") => {
                let typed = super::approval::typed_target(approval.confirm.as_deref(), None, context);
                let passphrase = super::approval::passphrase(context)?;
                context.app.approve(&shown, typed.as_deref(), passphrase.as_deref())?
            }
            Some("no") => context.app.reject(&shown, "rejected at the prompt")?,
            _ => break,
        };
    }
    let exit = exit_of(&view.status);
    Ok(Output::done(render::run(&view), &view).exit(exit))
}

/// How the program ends when a run is in this state.
pub(super) fn exit_of(status: &str) -> Exit {
    match status {
        "completed" => Exit::Done,
        "requires_approval" | "yielded" => Exit::Waiting,
        "running" | "queued" => Exit::Interrupted,
        _ => Exit::Failed,
    }
}
