//! `capstan trust`

use clap::Subcommand;

use super::Context;
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Trust a publisher's key
///
/// Packs of the publisher install when this key signed them. The key is checked first: it must
/// be canonical, not of small order and free of torsion.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan trust add acme acme.pub")]
pub(super) struct AddArgs {
    /// The publisher: the part of a pack's name before the colon
    publisher: String,
    /// The public key, `ed25519:<base64>`, or a file that holds it
    key: String,
}

/// List the keys you trust
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan trust list")]
pub(super) struct ListArgs {}

/// Stop trusting a publisher's key
///
/// Installed packs that it signed no longer load.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan trust remove acme")]
pub(super) struct RemoveArgs {
    /// The publisher, or the key's fingerprint
    publisher_or_fingerprint: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::Add(args) => {
            let view = context.app.trust_add(&args.publisher, &args.key)?;
            Ok(Output::done(
                format!("Packs of `{}` signed by {} may be installed.\n", view.publisher, view.fingerprint),
                &view,
            ))
        }
        Command::List(ListArgs {}) => {
            let keys = context.app.trust_list()?;
            let mut text = String::new();
            for key in &keys {
                text += &format!(
                    "{:<12} {:<9} {}  since {}\n",
                    key.publisher, key.role, key.fingerprint, key.added
                );
            }
            if keys.is_empty() {
                text += "No key is trusted. Add one with `capstan trust add <publisher> <key>`.\n";
            }
            Ok(Output::done(text, &keys))
        }
        Command::Remove(args) => {
            let view = context.app.trust_remove(&args.publisher_or_fingerprint)?;
            Ok(Output::done(
                format!("The key {} of `{}` is no longer trusted.\n", view.fingerprint, view.publisher),
                &view,
            ))
        }
    }
}
