//! `capstan approval`, `approve` and `reject`

use clap::Subcommand;

use super::{Context, render, run};
use crate::failure::Failure;
use crate::ui::{Output, one_line};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(ListArgs),
    Show(ShowArgs),
}

/// List what waits for approval
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan approval list")]
pub(super) struct ListArgs {}

/// Show exactly what would happen, and what the approval is bound to
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan approval show last")]
pub(super) struct ShowArgs {
    /// A unique beginning of the approval's id, or `last`
    approval: String,
}

/// Approve exactly what `approval show` shows, and continue the run
///
/// The approval is signed with your approver key over the digest of the effect, the plan, the
/// pack, the inputs, the grants and the policy. It is used once. If any of them changed since,
/// it is refused and the change named. A destructive effect is approved by typing its target.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan approve last")]
pub(super) struct ApproveArgs {
    /// A unique beginning of the approval's id, or `last`
    approval: String,
    /// The target of a destructive effect, as `approval show` names it; asked for on a terminal
    #[arg(long, value_name = "ROOT:PATH")]
    confirm: Option<String>,
}

/// Reject an effect; its run fails and nothing is applied
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  capstan reject last --reason 'wrong file'")]
pub(super) struct RejectArgs {
    /// A unique beginning of the approval's id, or `last`
    approval: String,
    /// Why, for the record
    #[arg(long, default_value = "")]
    reason: String,
}

pub(super) fn exec(command: Command, context: &Context) -> Result<Output, Failure> {
    match command {
        Command::List(ListArgs {}) => {
            let views = context.app.approval_list()?;
            Ok(Output::done(render::approvals(&views), &views))
        }
        Command::Show(args) => {
            let view = context.app.approval_show(&args.approval)?;
            Ok(Output::done(render::whole_approval(&view), &view))
        }
    }
}

pub(super) fn approve(args: &ApproveArgs, context: &Context) -> Result<Output, Failure> {
    // Which one is meant is settled before anything is asked, and shown to whoever is asked: what
    // parks meanwhile is another approval.
    let shown = context.app.approval_show(&args.approval)?;
    let is_protected = context.app.approver_is_protected()?;
    if is_protected || (shown.confirm.is_some() && args.confirm.is_none()) {
        context.ui.show(&render::approval(&shown));
    }
    let typed = typed_target(shown.confirm.as_deref(), args.confirm.as_deref(), context);
    let passphrase = if is_protected { passphrase(context)? } else { None };
    // It is the passphrase of the secrets' key, too; after a wrong one neither is used.
    if let Some(passphrase) =
        passphrase.as_deref().filter(|_| context.app.secrets_are_locked().unwrap_or(false))
    {
        context.app.unlock_secrets(passphrase)?;
    }
    let view = context.app.approve(&shown.digest.hex(), typed.as_deref(), passphrase.as_deref())?;
    let exit = run::exit_of(&view.status);
    Ok(Output::done(render::run(&view), &view).exit(exit))
}

pub(super) fn reject(args: &RejectArgs, context: &Context) -> Result<Output, Failure> {
    let view = context.app.reject(&args.approval, &args.reason)?;
    Ok(Output::done(render::run(&view), &view))
}

/// What was given as the target of a destructive effect, or is typed now where one is wanted. What
/// is shown escaped is typed so.
pub(super) fn typed_target(target: Option<&str>, given: Option<&str>, context: &Context) -> Option<String> {
    let asked = || target.and_then(|_| context.ui.line("Type the target to approve this: "));
    let typed = given.map(ToOwned::to_owned).or_else(asked)?;
    Some(target.filter(|target| one_line(target) == typed).map_or(typed.clone(), ToOwned::to_owned))
}

/// The approver key's passphrase, if it has one.
pub(super) fn passphrase(context: &Context) -> Result<Option<String>, Failure> {
    if !context.app.approver_is_protected()? {
        return Ok(None);
    }
    context.ui.passphrase("passphrase of your approver key: ").map(Some).ok_or_else(|| {
        Failure::usage("the approver key has a passphrase, and there is no terminal to ask for it", &[])
    })
}
