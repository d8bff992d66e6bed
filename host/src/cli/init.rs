//! `capstan init`

use super::Context;
use crate::failure::Failure;
use crate::ui::Output;

/// Make the home folder and your approver key
///
/// The approver key signs your approvals. On a terminal you are asked for a passphrase that
/// protects it; without one the key, and every approval, is recorded as `unattended`. Nothing
/// in a home that exists is changed, but one that other users can reach is closed to them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan init")]
pub(super) struct Args {
    /// Do not ask for a passphrase
    #[arg(long)]
    unattended: bool,
}

pub(super) fn exec(args: &Args, context: &Context) -> Result<Output, Failure> {
    let passphrase =
        if args.unattended || context.app.home().is_initialised() { None } else { ask_twice(context)? };
    let view = context.app.init(passphrase.as_deref())?;
    let mut text = if view.created {
        format!("Made the home folder `{}`.\n", view.home)
    } else {
        format!("The home folder `{}` was already there; nothing in it was changed.\n", view.home)
    };
    let protection = if view.unattended { "without a passphrase: unattended" } else { "with a passphrase" };
    text += &format!("Your approver key is {} ({protection}).\n", view.approver);
    text += "You are the only approver: runs are marked `solo`.\n";
    Ok(Output::done(text, &view))
}

fn ask_twice(context: &Context) -> Result<Option<String>, Failure> {
    let Some(first) = context.ui.passphrase("passphrase for your approver key (empty for none): ") else {
        return Ok(None);
    };
    if context.ui.passphrase("the same again: ").as_ref() != Some(&first) {
        return Err(Failure::usage("the two passphrases differ", &["capstan init"]));
    }
    Ok(Some(first))
}
