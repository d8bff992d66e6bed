//! The command line: what there is to type, and which function it calls.

mod approval;
mod artifact;
mod doctor;
mod explain;
mod grant;
mod init;
mod internal;
mod key;
mod op;
mod pack;
mod plan;
mod render;
mod run;
mod secret;
mod trust;

use std::path::PathBuf;

use app::App;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use crate::ui::{Format, Output, Ui};

/// Runs signed, sandboxed capability packs, and the plans that call them.
///
/// A pack is a signed WebAssembly component. Each call gets only the authority that the pack
/// requests and you grant, under limits. A plan is type-checked before anything runs, and stops
/// before every side effect until you approved exactly that effect.
#[derive(Debug, Parser)]
#[command(name = "capstan", version, disable_help_subcommand = true, max_term_width = 100)]
struct CommandLine {
    /// The folder with your keys, trust, grants, packs and journal [env: CAPSTAN_HOME]
    #[arg(long, global = true, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// Text for people or JSON for programs
    #[arg(long, global = true, value_enum, default_value = "text")]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    /// Make and list signing keys
    #[command(subcommand)]
    Key(key::Command),
    /// Decide whose packs may be installed
    #[command(subcommand)]
    Trust(trust::Command),
    /// Make, sign, check, install and look into packs
    #[command(subcommand)]
    Pack(pack::Command),
    /// Decide what an installed pack may reach
    #[command(subcommand)]
    Grant(grant::Command),
    /// Keep the secrets that the host fills in for packs
    #[command(subcommand)]
    Secret(secret::Command),
    /// Look up and call single operations
    #[command(subcommand)]
    Op(op::Command),
    /// Check and run planfiles
    #[command(subcommand)]
    Plan(plan::Command),
    /// Look at, continue, cancel and undo runs
    #[command(subcommand)]
    Run(run::Command),
    /// Look at what waits for approval
    #[command(subcommand)]
    Approval(approval::Command),
    Approve(approval::ApproveArgs),
    Reject(approval::RejectArgs),
    /// Look at what runs kept
    #[command(subcommand)]
    Artifact(artifact::Command),
    Doctor(doctor::Args),
    Help(explain::Args),
    #[command(subcommand, hide = true)]
    Internal(internal::Command),
}

/// What every command gets.
struct Context {
    app: App,
    ui: Ui,
}

/// Reads the command line, carries it out, prints, and says how to end.
pub(crate) fn run() -> Exit {
    let matches = match CommandLine::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage_error(&error),
    };
    let line = match CommandLine::from_arg_matches(&matches) {
        Ok(line) => line,
        Err(error) => return usage_error(&error),
    };
    let ui = Ui::new(line.format);
    // Secrets may be in the environment already. What `internal` commands start inherits no such thing.
    if !matches!(line.command, Command::Internal(_)) {
        app::keep_memory_private();
    }
    let result = settings::load(line.home).and_then(|settings| {
        let context = Context { app: App::new(settings), ui };
        dispatch(line.command, &context)
    });
    match result {
        Ok(output) => ui.emit(&output),
        Err(failure) => ui.fail(&failure),
    }
}

fn dispatch(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::Init(args) => init::exec(&args, context),
        Command::Key(command) => key::exec(command, context),
        Command::Trust(command) => trust::exec(command, context),
        Command::Pack(command) => pack::exec(command, context),
        Command::Grant(command) => grant::exec(command, context),
        Command::Secret(command) => secret::exec(command, context),
        Command::Op(command) => op::exec(command, context),
        Command::Plan(command) => plan::exec(command, context),
        Command::Run(command) => run::exec(command, context),
        Command::Approval(command) => approval::exec(command, context),
        Command::Approve(args) => approval::approve(&args, context),
        Command::Reject(args) => approval::reject(&args, context),
        Command::Artifact(command) => artifact::exec(command, context),
        Command::Doctor(args) => doctor::exec(&args, context),
        Command::Help(args) => explain::exec(&args),
        Command::Internal(command) => internal::exec(command, context),
    }
}

/// The help of a command, for `capstan help <command>`.
fn long_help(path: &[String]) -> Option<String> {
    let mut command = CommandLine::command();
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name)?;
    }
    Some(found.render_long_help().to_string())
}

/// `--help` and `--version` are answers; everything else that clap reports is a usage error,
/// as JSON where JSON was asked for.
fn usage_error(error: &clap::Error) -> Exit {
    let args = settings::arguments();
    let asks_json = args.iter().any(|arg| arg == "--format=json")
        || args.windows(2).any(|pair| matches!(pair, [a, b] if a == "--format" && b == "json"));
    if error.use_stderr() && asks_json {
        return Ui::new(Format::Json).fail(&usage_failure(&error.render().to_string()));
    }
    Ui::new(Format::Text).say(&error.render().to_string(), error.use_stderr());
    if error.use_stderr() { Exit::Malformed } else { Exit::Done }
}

/// A report of clap as a failure: its first paragraph is the message, the others are hints.
fn usage_failure(report: &str) -> Failure {
    let mut paragraphs = report
        .split("\n\n")
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| !text.is_empty());
    let first = paragraphs.next().unwrap_or_default();
    let Some(message) = first.strip_prefix("error: ") else {
        return Failure::usage("no command is named", &["capstan help"]);
    };
    let message = message.replace(", internal]", "]").replace(", internal", "");
    let hints: Vec<String> =
        paragraphs.filter(|text| text.starts_with("tip:") || text.starts_with("Usage:")).collect();
    let hints: Vec<&str> = hints.iter().map(String::as_str).chain(["capstan help"]).collect();
    Failure::usage(message, &hints)
}
