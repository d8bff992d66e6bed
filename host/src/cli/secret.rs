//! `capstan secret`

use std::io::Read as _;

use clap::Subcommand;
use zeroize::Zeroizing;

use super::{Context, render};
use crate::failure::Failure;
use crate::ui::Output;

/// Longest value that is read from standard input, in bytes: more than any that is accepted.
const VALUE_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Set(SetArgs),
    List(ListArgs),
    Delete(DeleteArgs),
}

/// Keep the value of a secret: on a terminal you are asked for it, else it is standard input
///
/// The value is encrypted to a key of your home, which your approver key's passphrase protects if it
/// has one. Without one, whoever can read the home can read the value. With `--keychain` it is in the
/// system's keychain instead, which has to be unlocked when a call needs it. No guest sees it: the
/// host fills it in, for the host that the grant names.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan secret set example-token < token.txt")]
pub(super) struct SetArgs {
    /// The name that packs ask for: lower-case letters, digits and `-`
    name: String,
    /// Keep it in the system's keychain (the Secret Service, by libsecret's `secret-tool`)
    #[arg(long)]
    keychain: bool,
}

/// List secrets: where each is kept, and whether it is set; never a value
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan secret list")]
pub(super) struct ListArgs {}

/// Forget the value of a secret
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan secret delete example-token")]
pub(super) struct DeleteArgs {
    /// The name
    name: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::Set(args) if args.keychain => {
            let view = context.app.secret_set_in_keychain(&args.name, value(context)?)?;
            Ok(Output::done(format!("The secret `{}` is set, in the keychain.\n", view.name), &view))
        }
        Command::Set(args) => {
            let passphrase = match context.app.secret_key_wants_passphrase()? {
                true => super::approval::passphrase(context)?,
                false => None,
            };
            let view = context.app.secret_set(&args.name, value(context)?, passphrase.as_deref())?;
            Ok(Output::done(format!("The secret `{}` is set.\n", view.name), &view))
        }
        Command::List(ListArgs {}) => {
            let views = context.app.secret_list()?;
            Ok(Output::done(render::secrets(&views), &views))
        }
        Command::Delete(args) => {
            let view = context.app.secret_delete(&args.name)?;
            Ok(Output::done(format!("The secret `{}` is forgotten.\n", view.name), &view))
        }
    }
}

/// The value: what is typed unseen, else standard input without its last line break.
fn value(context: &Context) -> Result<Zeroizing<String>, Failure> {
    if context.ui.can_ask() {
        let typed = context.ui.passphrase("value: ").map(Zeroizing::new);
        return typed.ok_or_else(|| Failure::usage("no value was typed", &["capstan secret set --help"]));
    }
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(VALUE_BYTES_MAX).unwrap_or_default()));
    std::io::stdin()
        .lock()
        .take(VALUE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}"), &[]))?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

/// Asks for the passphrase of the secrets' key, where calls may need one and somebody can be asked.
pub(super) fn unlock(context: &Context) -> Result<(), Failure> {
    if context.ui.can_ask()
        && context.app.secrets_are_locked()?
        && let Some(passphrase) = context.ui.passphrase("passphrase of your secrets (your approver key's): ")
    {
        context.app.unlock_secrets(&Zeroizing::new(passphrase))?;
    }
    Ok(())
}
