//! `capstan pack install`

use std::path::PathBuf;

use app::InstallOptions;

use crate::cli::{Context, render};
use crate::failure::Failure;
use crate::ui::Output;

/// Verify a pack and install it
///
/// The signature, the file set, every digest, and the component's real imports and exports are
/// checked before anything is written. On a terminal you are asked for trust and grants;
/// otherwise name them with `--trust` and `--grant`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan pack install packs/text --trust <fingerprint>")]
pub(in crate::cli) struct Args {
    /// The pack folder, or the folder with its `dist/`
    folder: PathBuf,
    /// Trust the signer, if this is its fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    trust: Option<String>,
    /// Grant something that the pack requests, e.g. `files-read=workspace:**`
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
}

pub(super) fn exec(args: &Args, context: &Context) -> Result<Output, Failure> {
    let mut options = InstallOptions { trust: args.trust.clone(), grants: args.grants.clone() };
    if context.ui.can_ask() && options.trust.is_none() && options.grants.is_empty() {
        ask(args, context, &mut options)?;
    }
    let view = context.app.pack_install(&args.folder, &options)?;
    Ok(Output::done(render::install(&view), &view))
}

/// Shows the audit screen once and asks for what is missing: trust in the signer, the grants.
fn ask(args: &Args, context: &Context, options: &mut InstallOptions) -> Result<(), Failure> {
    let view = context.app.pack_inspect_folder(&args.folder)?;
    let wanted: Vec<String> = render::requested_grants(&view);
    let untrusted = view.signature == "untrusted";
    if !untrusted && wanted.is_empty() {
        return Ok(());
    }
    let screen = render::audit(&view);
    let choices: &[&str] = if wanted.is_empty() { &["yes", "no"] } else { &["all", "none", "no"] };
    let question = match (untrusted, wanted.is_empty()) {
        (true, true) => "Trust this signer and install?".to_owned(),
        (true, false) => format!("Trust this signer, install, and grant {}?", wanted.join(", ")),
        (false, _) => format!("Install, and grant {}?", wanted.join(", ")),
    };
    match context.ui.choose(&screen, &question, choices).as_deref() {
        Some("yes" | "none") => {}
        Some("all") => options.grants = wanted,
        _ => return Err(Failure::usage("nothing was installed", &[])),
    }
    if untrusted {
        options.trust = view.signer;
    }
    Ok(())
}
