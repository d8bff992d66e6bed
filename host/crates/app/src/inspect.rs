//! Looking into packs without running them: `inspect`, `audit`, `validate`.

use std::collections::BTreeMap;
use std::path::Path;

use authority::{Authority, Request, Scope};
use base::{Capability, Digest, Effect, PackId};
use pack::{Docs, ImportKind, Inspection, Manifest, Operation, PackFiles, VerifiedPack};
use values::FunctionType;

use crate::app::App;
use crate::consent::Consent;
use crate::packs::parse_id;
use crate::view::{CapabilityView, InspectView, OperationView};
use crate::{Error, build, trust};

/// A pack's parts, whether or not it is signed or installed.
struct Parts<'a> {
    manifest: &'a Manifest,
    inspection: &'a Inspection,
    docs: &'a Docs,
    files: &'a PackFiles,
    signed: Option<(Digest, u32)>,
    signer: Option<String>,
    signature: &'static str,
}

impl App {
    /// Looks into an installed pack, or into a folder.
    ///
    /// # Errors
    /// If there is no such pack, or it is wrong in itself. That its signer is not trusted is told,
    /// not refused.
    pub fn pack_inspect(&self, pack_or_folder: &str) -> Result<InspectView, Error> {
        let folder = Path::new(pack_or_folder);
        if build::is_folder(folder) {
            return self.pack_inspect_folder(folder);
        }
        let id = parse_id(pack_or_folder)?;
        let pack = self.load_pack(&id)?;
        Ok(view(&verified_parts(&pack), &self.consent()?))
    }

    /// Looks into a pack folder, or the `dist/` below it. Runs none of it.
    ///
    /// # Errors
    /// As [`App::pack_inspect`].
    pub fn pack_inspect_folder(&self, folder: &Path) -> Result<InspectView, Error> {
        let files = PackFiles::read(&build::pack_folder(folder)?)?;
        let consent = self.consent()?;
        if files.get(pack::ENVELOPE).is_some() {
            let trusted = pack::verify(files.clone(), &trust::load(&self.home)?);
            match trusted {
                Ok(pack) => return Ok(view(&verified_parts(&pack), &consent)),
                Err(refusal) if refusal.code != base::Code::SigUntrusted => return Err(refusal.into()),
                Err(_) => {}
            }
            return untrusted(files, &consent);
        }
        let (manifest, inspection) = pack::validate(&files)?;
        let docs = Docs::read(files.require(pack::WIT)?)?;
        let parts = Parts {
            manifest: &manifest,
            inspection: &inspection,
            docs: &docs,
            files: &files,
            signed: None,
            signer: None,
            signature: "unsigned",
        };
        Ok(view(&parts, &consent))
    }

    /// Checks a pack folder, signed or not. Runs none of it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn pack_validate(&self, folder: &Path) -> Result<InspectView, Error> {
        self.pack_inspect_folder(folder)
    }
}

/// A signed pack of a key that nobody trusts: all is checked against the key that it brings, so
/// that a reviewer sees what would be installed, and by whose word.
fn untrusted(files: PackFiles, consent: &Consent) -> Result<InspectView, Error> {
    let envelope = pack::Envelope::parse(files.require(pack::ENVELOPE)?)?;
    let fingerprint =
        envelope.fingerprints().into_iter().next().ok_or_else(|| {
            Error::refused(base::Code::SigUntrusted, "the envelope brings no admissible key")
        })?;
    let (publisher, key) = pack::introduce(&files, &fingerprint)?;
    let mut supposed = pack::TrustStore::new();
    let role = pack::Role::Pack { publisher };
    supposed.add(pack::TrustedKey { role, key, added: base::Timestamp(0) })?;
    let pack = pack::verify(files, &supposed)?;
    Ok(view(&Parts { signature: "untrusted", ..verified_parts(&pack) }, consent))
}

fn verified_parts(pack: &VerifiedPack) -> Parts<'_> {
    Parts {
        manifest: pack.manifest(),
        inspection: pack.inspection(),
        docs: pack.docs(),
        files: pack.files(),
        signed: Some((pack.statement_digest(), pack.statement().sequence)),
        signer: Some(pack.signer().to_string()),
        signature: "trusted",
    }
}

fn view(parts: &Parts<'_>, consent: &Consent) -> InspectView {
    let operations = operations(parts.manifest, parts.inspection, parts.docs);
    let capabilities = capabilities(parts, consent);
    let warnings =
        capabilities.iter().filter_map(over_privilege).chain(disclosure(&parts.manifest.request)).collect();
    let baseline =
        |import: &pack::Import| !matches!(import.kind, ImportKind::Capability(c) if c.needs_grant());
    InspectView {
        pack: parts.manifest.id.clone(),
        version: parts.manifest.version.to_string(),
        statement: parts.signed.map(|(statement, _)| statement),
        signer: parts.signer.clone(),
        signature: parts.signature,
        sequence: parts.signed.map(|(_, sequence)| u64::from(sequence)),
        files: parts.files.iter().map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).collect(),
        operations,
        capabilities,
        baseline_imports: parts
            .inspection
            .imports
            .iter()
            .filter(|i| baseline(i))
            .map(|i| i.name.clone())
            .collect(),
        other_exports: parts.inspection.exports.iter().filter(|name| !name.contains('/')).cloned().collect(),
        health: parts.inspection.health,
        warnings,
    }
}

/// Every operation of a pack, by name.
pub(crate) fn operations(manifest: &Manifest, inspection: &Inspection, docs: &Docs) -> Vec<OperationView> {
    let view = |(local, declared): (&String, &Operation)| {
        let function = inspection.operations.get(local)?;
        Some(operation(&manifest.id, local, declared, function, docs.operation(local)))
    };
    manifest.operations.iter().filter_map(view).collect()
}

fn operation(
    id: &PackId,
    local: &str,
    declared: &Operation,
    function: &FunctionType,
    docs: Option<&str>,
) -> OperationView {
    OperationView {
        name: format!("{id}/{local}"),
        effect: declared.effect,
        idempotent: declared.idempotent,
        signature: signature(function),
        docs: docs.map(ToOwned::to_owned),
        limits: declared.limits.resolve(),
        arguments_schema: values::parameters_schema(function),
        result_schema: function.ok().map_or(serde_json::Value::Null, values::schema),
    }
}

/// Parameters and result as WIT would print them.
pub(crate) fn signature(function: &FunctionType) -> String {
    let params: Vec<String> =
        function.params.iter().map(|param| format!("{}: {}", param.name, param.ty)).collect();
    let result = function.result.as_ref().map(|ty| format!(" -> {ty}")).unwrap_or_default();
    format!("({}){result}", params.join(", "))
}

fn capabilities(parts: &Parts<'_>, consent: &Consent) -> Vec<CapabilityView> {
    let imported: Vec<Capability> = parts
        .inspection
        .imports
        .iter()
        .filter_map(|import| match import.kind {
            ImportKind::Capability(capability) if capability.needs_grant() => Some(capability),
            _ => None,
        })
        .collect();
    let signer = parts.signer.as_ref().map(|signer| signer as &dyn std::fmt::Display);
    let standing = consent.standing(&parts.manifest.id, signer);
    let request = &parts.manifest.request;
    let authority = Authority::of(request, &standing, &consent.ceiling, Effect::Destructive);
    let mut rows: BTreeMap<Capability, (Vec<String>, Vec<String>)> =
        imported.iter().map(|capability| (*capability, Default::default())).collect();
    for row in authority.explain() {
        rows.insert(row.capability, (scopes(row.requested), scopes(row.granted)));
    }
    let view =
        |(capability, (requested, granted)): (Capability, (Vec<String>, Vec<String>))| CapabilityView {
            capability: capability.to_string(),
            requested,
            imported: imported.contains(&capability),
            granted,
            used_by: parts
                .manifest
                .operations
                .iter()
                .filter(|(_, declared)| capability.permitted_by(declared.effect))
                .map(|(local, _)| local.clone())
                .collect(),
        };
    rows.into_iter().map(view).collect()
}

/// The scopes as text; a capability that has none is all or nothing.
fn scopes(scopes: Option<&[Scope]>) -> Vec<String> {
    match scopes {
        None => Vec::new(),
        Some([]) => vec!["*".to_owned()],
        Some(scopes) => scopes.iter().map(ToString::to_string).collect(),
    }
}

/// Says of each capability that tells somebody something what makes its calls wait.
fn disclosure(request: &Request) -> Vec<String> {
    let requested = |is: fn(Capability) -> bool| request.iter().map(|(c, _)| c).filter(move |c| is(*c));
    let sources: Vec<String> = requested(Capability::is_source).map(|source| format!("`{source}`")).collect();
    if sources.is_empty() {
        return Vec::new();
    }
    let warn = |sender| {
        let sources = sources.join(" or ");
        format!(
            "each request of `{sender}` waits for an approval while {sources} is granted, unless its grant \
             says `may-disclose`: what is asked for could hold what was read"
        )
    };
    requested(Capability::discloses).map(warn).collect()
}

/// What a reviewer should question.
fn over_privilege(row: &CapabilityView) -> Option<String> {
    let name = &row.capability;
    let importable = name.parse::<Capability>().is_ok_and(Capability::has_interface);
    if importable && !row.imported && !row.requested.is_empty() {
        return Some(format!("`{name}` is requested and not imported: the pack asks for more than it uses"));
    }
    if row.granted.iter().any(|scope| scope.ends_with(":**")) && name == Capability::FilesWrite.as_str() {
        return Some(format!("`{name}` is granted on everything under a root"));
    }
    if !row.requested.is_empty() && row.used_by.is_empty() {
        return Some(format!("`{name}` is requested and no operation's effect permits it"));
    }
    None
}
