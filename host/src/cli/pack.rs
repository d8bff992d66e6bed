//! `capstan pack`

mod install;

use std::path::{Path, PathBuf};

use app::InspectView;
use clap::Subcommand;

use super::{Context, render};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    New(NewArgs),
    Build(BuildArgs),
    Sign(SignArgs),
    Validate(ValidateArgs),
    Install(install::Args),
    Uninstall(UninstallArgs),
    List(ListArgs),
    Inspect(InspectArgs),
    Audit(AuditArgs),
    Health(HealthArgs),
}

/// Make a new pack in Rust
///
/// Writes a folder that builds, with the SDK in it, so that it needs nothing else of Capstan.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack new acme:notes")]
pub(super) struct NewArgs {
    /// The pack, `publisher:name`
    pack: String,
    /// The folder to make (default: the pack's name)
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Compile a pack's sources and write its pack folder, `dist/`
///
/// The sources are a Rust crate, or what another language's tools made a component of: then
/// `--component` names that, and the folder holds the WIT that it was made for. What such a
/// component imports of WASI is there and reaches nothing; `files-read` and the like give it
/// files.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  capstan pack build packs/text\n  capstan pack build notes --component notes.wasm"
)]
pub(super) struct BuildArgs {
    /// The folder with `pack.toml`, `wit/` and `Cargo.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// A component, or a module with WIT bindings, instead of the crate
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// Sign a built pack
///
/// The statement that is signed names every file by digest, the imports, the operations with
/// their effects and the requested capabilities. Its number is one more than that of the last
/// statement signed in this home.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack sign packs/text --key acme")]
pub(super) struct SignArgs {
    /// The pack folder, or the folder with its `dist/`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The key's name (default: the home's only pack key)
    #[arg(long)]
    key: Option<String>,
}

/// Check a pack, signed or not, without running any of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack validate packs/text")]
pub(super) struct ValidateArgs {
    /// The pack folder, or the folder with its `dist/`
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Remove an installed pack
///
/// Its grants go with it. The number of its last statement is kept, so that an older one cannot
/// be installed later.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack uninstall capstan:text")]
pub(super) struct UninstallArgs {
    /// The pack, e.g. `capstan:text`
    pack: String,
}

/// List installed packs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack list")]
pub(super) struct ListArgs {}

/// Show what a pack is: files, operations with their types, capabilities
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  capstan pack inspect capstan:text\n  capstan pack inspect packs/text")]
pub(super) struct InspectArgs {
    /// An installed pack, or a folder
    pack: String,
}

/// One screen for a reviewer: who signed it, what it may reach, and by which operation
///
/// Runs no guest code, so it is safe on a pack that nobody trusts yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  capstan pack audit capstan:files\n  capstan pack audit packs/files")]
pub(super) struct AuditArgs {
    /// An installed pack, or a folder
    pack: String,
}

/// Check an installed pack and say what to do about each finding
///
/// Verifies the signature and every digest again, compares requests with grants, prints the
/// effective limits, and calls the pack's own `capstan:pack/health` export as `pure`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack health capstan:text")]
pub(super) struct HealthArgs {
    /// The pack, e.g. `capstan:text`
    pack: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    let app = &context.app;
    match command {
        Command::New(args) => {
            let view = app.pack_new(&args.pack, args.folder.as_deref(), &settings::current_folder()?)?;
            let text = format!(
                "Made `{}` in `{}`.\nBuild and call it:\n  capstan op call {} {} '{{\"title\": \"Plan\", \"points\": []}}'\n",
                view.pack, view.folder, view.folder, view.operation
            );
            Ok(Output::done(text, &view))
        }
        Command::Build(args) => {
            let view = app.pack_build(&args.folder, args.component.as_deref())?;
            let hint = format!("hint: {}\n", app.sign_command(&args.folder));
            Ok(Output::done(render::build(&view) + &hint, &view))
        }
        Command::Sign(args) => {
            let view = app.pack_sign(&args.folder, args.key.as_deref())?;
            Ok(Output::done(render::sign(&view), &view))
        }
        Command::Validate(args) => {
            let view = app.pack_validate(&args.folder)?;
            let hint = sign_hint(&view, &args.folder, context);
            Ok(Output::done(render::validate(&view) + &hint, &view))
        }
        Command::Install(args) => install::exec(&args, context),
        Command::Uninstall(args) => {
            let view = app.pack_uninstall(&args.pack)?;
            Ok(Output::done(format!("`{}` {} is no longer installed.\n", view.pack, view.version), &view))
        }
        Command::List(ListArgs {}) => {
            let views = app.pack_list()?;
            Ok(Output::done(render::packs(&views), &views))
        }
        Command::Inspect(args) => {
            let view = app.pack_inspect(&args.pack)?;
            Ok(Output::done(render::inspect(&view), &view))
        }
        Command::Audit(args) => {
            let view = app.pack_inspect(&args.pack)?;
            let hint = sign_hint(&view, Path::new(&args.pack), context);
            Ok(Output::done(render::audit(&view) + &hint, &view))
        }
        Command::Health(args) => {
            let view = app.pack_health(&args.pack)?;
            let exit = if view.healthy { Exit::Done } else { Exit::Failed };
            Ok(Output::done(render::findings(&view.findings), &view).exit(exit))
        }
    }
}

/// What comes next for a pack in a folder that nobody signed yet.
fn sign_hint(view: &InspectView, folder: &Path, context: &Context) -> String {
    if view.signature == "unsigned" {
        return format!("hint: {}\n", context.app.sign_command(folder));
    }
    String::new()
}
