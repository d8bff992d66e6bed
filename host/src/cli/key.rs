//! `capstan key`

use app::KeyRole;
use clap::Subcommand;

use super::Context;
use crate::failure::Failure;
use crate::ui::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    New(NewArgs),
    List(ListArgs),
}

/// Make a signing key
///
/// A pack key signs packs; an approver key signs approvals. One key has one role.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan key new acme")]
pub(super) struct NewArgs {
    /// The key's name in your home: lower-case letters, digits and `-`
    name: String,
    /// What it signs
    #[arg(long, value_enum, default_value = "pack")]
    role: Role,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Role {
    /// Packs
    Pack,
    /// Approvals
    Approver,
}

/// List your signing keys
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  capstan key list\n  capstan key list --fingerprint acme")]
pub(super) struct ListArgs {
    /// Print only the fingerprint of this key
    #[arg(long, value_name = "NAME")]
    fingerprint: Option<String>,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::New(args) => new(&args, context),
        Command::List(args) => list(&args, context),
    }
}

fn new(args: &NewArgs, context: &Context) -> Result<Output, Failure> {
    let (role, passphrase) = match args.role {
        Role::Pack => (KeyRole::Pack, None),
        Role::Approver => {
            (KeyRole::Approver, context.ui.passphrase("passphrase for the key (empty for none): "))
        }
    };
    let view = context.app.key_new(&args.name, role, passphrase.as_deref())?;
    let text = format!(
        "Made the {} key `{}`.\n  fingerprint  {}\n  public key   {}\n",
        view.role, view.name, view.fingerprint, view.public_key
    );
    Ok(Output::done(text, &view))
}

fn list(args: &ListArgs, context: &Context) -> Result<Output, Failure> {
    let keys = context.app.key_list()?;
    if let Some(name) = &args.fingerprint {
        let key = keys.iter().find(|key| key.name == *name);
        let key =
            key.ok_or_else(|| Failure::usage(format!("there is no key `{name}`"), &["capstan key list"]))?;
        return Ok(Output::done(format!("{}\n", key.fingerprint), key));
    }
    let mut text = String::new();
    for key in &keys {
        text += &format!("{:<12} {:<9} {}  {}\n", key.name, key.role, key.fingerprint, key.public_key);
    }
    if keys.is_empty() {
        text += "No keys. Make one with `capstan key new <name>`.\n";
    }
    Ok(Output::done(text, &keys))
}
