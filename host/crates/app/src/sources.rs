//! What an author is told whose pack is called from its sources.
//!
//! Such a pack is not installed: what helps is in its `pack.toml` or on the command line, never in
//! a command that names the pack.

use std::path::Path;

use authority::{Denied, DeniedReason, Request, Scope};
use base::{Code, Refusal};
use pack::VerifiedPack;

use crate::operations::nearest;
use crate::{Error, inspect};

/// There is no operation `local`; these are.
pub(crate) fn unknown(pack: &VerifiedPack, local: &str) -> Error {
    let names = pack.manifest().operations.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let message = format!("`{}` has no operation `{local}`; it has {}", pack.manifest().id, names.join(", "));
    let refusal = Refusal::new(Code::PlanOperation, message);
    Error::Refused(match nearest(pack, local) {
        Some(name) => refusal.hint(format!("did you mean `{name}`?")),
        None => refusal,
    })
}

/// Adds what the operation takes to a refusal of its arguments.
pub(crate) fn with_signature(error: Error, pack: &VerifiedPack, local: &str) -> Error {
    match (error, pack.inspection().operations.get(local)) {
        (Error::Refused(refusal), Some(function)) if refusal.code == Code::CallArguments => {
            Error::Refused(refusal.hint(format!("`{local}` is {}", inspect::signature(function))))
        }
        (other, _) => other,
    }
}

/// What the manifest requests, for an author who granted something else.
pub(crate) fn requests(folder: &Path, request: &Request) -> String {
    let asked = request.iter().flat_map(|(capability, scopes)| {
        let one = scopes.is_empty().then(|| format!("`{capability}`"));
        one.into_iter().chain(scopes.iter().map(move |scope| format!("`{capability}={scope}`")))
    });
    let asked = asked.collect::<Vec<_>>().join(", ");
    let asked = if asked.is_empty() { "nothing" } else { &asked };
    format!("`{}` requests {asked}", folder.join(pack::MANIFEST).display())
}

/// What would make a denied host call of the operation `local` succeed.
pub(crate) fn cure(denied: &Denied, folder: &Path, local: &str) -> Option<String> {
    let manifest = folder.join(pack::MANIFEST);
    let manifest = manifest.display();
    let capability = denied.capability;
    match denied.reason {
        DeniedReason::NotGranted | DeniedReason::OutOfScope => {
            let grant = denied.grant.as_ref()?.replace('\'', r"'\''");
            Some(format!(
                "add `--grant '{grant}'`, or name no grant: then all is granted that the pack requests"
            ))
        }
        DeniedReason::AboveEffect => {
            let effect = capability.least_effect();
            Some(format!("declare `effect = \"{effect}\"` for `{local}` in `{manifest}`"))
        }
        // Such a call is given its grants just now, for the key that signed it just now. What is left is
        // the organisation's word.
        DeniedReason::Expired | DeniedReason::OtherSigner | DeniedReason::Ceiling => None,
        // The home is nobody's.
        DeniedReason::Reserved | DeniedReason::SpecialAddress => None,
        // Only what can be spelt as a scope can be asked for.
        DeniedReason::NotRequested => Scope::parse(capability, &denied.what).ok().map(|scope| {
            format!(
                "under `[capabilities]` in `{manifest}`, let `{capability}` have a scope that holds `{scope}`"
            )
        }),
    }
}
