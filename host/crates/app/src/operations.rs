//! Single operations: list, show, call.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authority::{Authority, Denied, Grant, Signer, Terms};
use base::{Code, Digest, OperationName, PackId, Refusal, RootName};
use engine::files::{RootError, Roots};
use engine::{ArtifactError, Artifacts, CancelToken, HostContext, Invocation, Outcome, Report};
use pack::{Role, SigningKey, TrustStore, TrustedKey, VerifiedPack};
use values::FunctionType;
use zeroize::Zeroizing;

use crate::app::App;
use crate::consent::Consent;
use crate::host::denied_call;
use crate::inspect;
use crate::packs::parse_id;
use crate::view::{CallError, CallView, HeldView, OperationView, RunView};
use crate::{Error, Home, build, diff, grants, sources, system};

/// What a call is given beside its operation.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// A JSON object, by parameter name.
    pub arguments: String,
    /// Further roots, `name=folder`.
    pub roots: Vec<String>,
    /// Grants for a pack in a folder; empty for all that it requests.
    pub grants: Vec<String>,
    /// The folder that `workspace` names.
    pub workspace: PathBuf,
}

/// What a call came to.
#[derive(Debug)]
pub enum CallResult {
    /// The operation was called.
    Called(CallView),
    /// It has side effects, so it became a run of one step.
    Run(RunView),
}

/// Parses what the user gave as an operation.
pub(crate) fn parse_operation(text: &str) -> Result<OperationName, Error> {
    text.parse().map_err(|error: base::ParseNameError| Error::usage(error.to_string(), &["capstan op list"]))
}

impl App {
    /// The operations of installed packs.
    ///
    /// # Errors
    /// If a pack no longer verifies, or the named one is not installed.
    pub fn op_list(&self, pack: Option<&str>) -> Result<Vec<OperationView>, Error> {
        let packs = match pack {
            Some(text) => {
                let id = parse_id(text)?;
                vec![self.load_pack(&id)?]
            }
            None => self.all_installed()?.packs.into_values().collect(),
        };
        let views =
            |pack: &VerifiedPack| inspect::operations(pack.manifest(), pack.inspection(), pack.docs());
        Ok(packs.iter().flat_map(views).collect())
    }

    /// One operation of an installed pack.
    ///
    /// # Errors
    /// If there is none; with what it may have meant.
    pub fn op_show(&self, operation: &str) -> Result<OperationView, Error> {
        let name = parse_operation(operation)?;
        let pack = self.load_pack(&name.pack)?;
        let views = inspect::operations(pack.manifest(), pack.inspection(), pack.docs());
        let wanted = name.to_string();
        views.into_iter().find(|view| view.name == wanted).ok_or_else(|| unknown(&pack, &name.local()))
    }

    /// Calls an operation of an installed pack. One that may come to something that has to be approved
    /// becomes a run of one step.
    ///
    /// # Errors
    /// If there is no such operation, or the arguments do not fit. That the call failed, was
    /// denied or trapped is a result.
    pub fn op_call(&self, operation: &str, options: &CallOptions) -> Result<CallResult, Error> {
        let name = parse_operation(operation)?;
        let pack = self.load_pack(&name.pack)?;
        let effect = declared(&pack, &name.local())?.effect;
        let authority = self.consent()?.authority(&pack, effect);
        if effect.has_side_effects() || authority.holds_disclosure() {
            return self.run_one_step(&name, options).map(CallResult::Run);
        }
        let cure = |denied: &Denied| denied.hint(&name.pack);
        self.call(&pack, &name.local(), authority, options, &cure).map(CallResult::Called).map_err(|error| {
            match error {
                // Only an installed operation can be shown.
                Error::Refused(refusal) if refusal.code == Code::CallArguments => {
                    Error::Refused(refusal.hint(format!("capstan op show {name}")))
                }
                other => other,
            }
        })
    }

    /// Builds the pack in `folder`, signs it with a key that is thrown away, and calls it. A pack
    /// folder that was built there before stays as it is. What the call stages is shown and never
    /// applied.
    ///
    /// # Errors
    /// As for building and signing, and as [`App::op_call`].
    pub fn op_call_folder(
        &self,
        folder: &Path,
        local: &str,
        options: &CallOptions,
    ) -> Result<CallView, Error> {
        let files = build::files(folder, self.crate_source())?;
        let (manifest, _) = pack::validate(&files)?;
        let key = SigningKey::from_seed(&Zeroizing::new(system::random::<32>()?));
        let mut trust = TrustStore::new();
        let role = Role::Pack { publisher: manifest.id.publisher.clone() };
        trust.add(TrustedKey { role, key: key.public()?, added: self.clock.now() })?;
        let pack = pack::verify(pack::sign(files, &key, None)?, &trust)?;
        let Some(declared) = pack.manifest().operations.get(local) else {
            return Err(sources::unknown(&pack, local));
        };
        let granted = development_grants(&pack, folder, &options.grants)?;
        let authority = Consent { grants: granted, ..self.consent()? }.authority(&pack, declared.effect);
        let cure = |denied: &Denied| sources::cure(denied, folder, local);
        self.call(&pack, local, authority, options, &cure)
            .map_err(|error| sources::with_signature(error, &pack, local))
    }

    fn call(
        &self,
        pack: &VerifiedPack,
        local: &str,
        authority: Authority,
        options: &CallOptions,
        cure: &dyn Fn(&Denied) -> Option<String>,
    ) -> Result<CallView, Error> {
        let declared = declared(pack, local)?;
        let signature = signature(pack, local)?;
        let arguments = arguments(&options.arguments, signature, local)?;
        let (interface, function) = local.split_once('.').unwrap_or((local, ""));
        let program = self.program(pack)?.within(self.workers()?);
        let roots = Arc::new(open_roots(&self.home, &options.workspace, &options.roots)?);
        let invocation = Invocation {
            interface: interface.to_owned(),
            function: function.to_owned(),
            signature: signature.clone(),
            arguments,
            limits: authority.limits(declared.limits.resolve()),
            host: HostContext {
                models: self.model_table()?.of(&authority)?,
                secrets: self.secrets.values(&authority)?,
                roots: Arc::clone(&roots),
                artifacts: Arc::new(NoArtifacts),
                http: self.http()?,
                exec: self.exec()?,
                clock: Arc::clone(&self.clock),
                seed: system::random::<32>()?,
            },
            authority,
            // Nothing is sent outside a run, so no key is ever used.
            call_id: String::new(),
            tape: None,
            cancel: CancelToken::default(),
        };
        let report = program.invoke(invocation);
        Ok(view(&pack.manifest().id, local, &report, &roots, cure))
    }
}

/// A call outside a run has nowhere to keep artifacts.
struct NoArtifacts;

impl Artifacts for NoArtifacts {
    fn put(&self, _: &Digest, _: &[u8], _: &str) -> Result<(), ArtifactError> {
        Err(ArtifactError::Io("a single call keeps no artifacts: call the operation from a plan".to_owned()))
    }

    fn get(&self, _: &Digest, _: u64) -> Result<Vec<u8>, ArtifactError> {
        Err(ArtifactError::NotFound)
    }
}

pub(crate) fn declared<'a>(pack: &'a VerifiedPack, local: &str) -> Result<&'a pack::Operation, Error> {
    pack.manifest().operations.get(local).ok_or_else(|| unknown(pack, local))
}

fn signature<'a>(pack: &'a VerifiedPack, local: &str) -> Result<&'a FunctionType, Error> {
    pack.inspection().operations.get(local).ok_or_else(|| unknown(pack, local))
}

fn unknown(pack: &VerifiedPack, local: &str) -> Error {
    let id = &pack.manifest().id;
    let mut refusal = Refusal::new(Code::PlanOperation, format!("`{id}` has no operation `{local}`"));
    if let Some(name) = nearest(pack, local) {
        refusal = refusal.hint(format!("did you mean `{name}`?"));
    }
    Error::Refused(refusal.hint(format!("capstan op list {id}")))
}

/// The operation that `local` most likely means, which may be the function's name alone.
pub(crate) fn nearest<'a>(pack: &'a VerifiedPack, local: &str) -> Option<&'a str> {
    let likeness = |name: &str| {
        let function = name.split_once('.').filter(|_| !local.contains('.')).map_or(name, |(_, name)| name);
        strsim::jaro_winkler(name, local).max(strsim::jaro_winkler(function, local))
    };
    let known = pack.manifest().operations.keys().map(|name| (likeness(name), name.as_str()));
    known.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

fn arguments(text: &str, function: &FunctionType, local: &str) -> Result<Vec<values::Value>, Error> {
    let malformed = |message: String| Refusal::new(Code::CallArguments, message);
    let json = values::parse_json(text.as_bytes())
        .map_err(|error| malformed(format!("the arguments are not JSON: {error}")))?;
    values::arguments_from_json(&json, function).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Error::Refused(malformed(format!("the arguments do not fit `{local}`: {}", lines.join("; "))))
    })
}

/// All that the pack requests, or what the author names instead.
fn development_grants(
    pack: &VerifiedPack,
    folder: &Path,
    texts: &[String],
) -> Result<authority::Grants, Error> {
    let id = &pack.manifest().id;
    let request = &pack.manifest().request;
    let signer = Signer::of_fingerprint(&pack.signer());
    let mut granted = authority::Grants::new();
    if texts.is_empty() {
        for (capability, scopes) in request.iter() {
            let (scopes, terms) = (scopes.to_vec(), Terms::of(signer.clone()));
            granted.add(Grant { pack: id.clone(), capability, scopes, terms });
        }
    }
    for text in texts {
        let grant = grants::parse(id, text, request, &sources::requests(folder, request))?;
        granted.add(grant.to_signer(signer.clone()));
    }
    Ok(granted)
}

/// Opens the workspace and the further roots that the user named.
pub(crate) fn open_roots(home: &Home, workspace: &Path, roots: &[String]) -> Result<Roots, Error> {
    let opened = Roots::open(name_roots(workspace, roots)?).and_then(|roots| roots.without(home.path()));
    opened.map_err(|error| match error {
        RootError::Open { .. } => Error::usage(error.to_string(), &[]),
        RootError::Reserved { .. } => Error::usage(
            error.to_string(),
            &["work in another folder, or move the home and name it with `--home`"],
        ),
    })
}

/// The folders behind root names.
pub(crate) fn name_roots(workspace: &Path, roots: &[String]) -> Result<BTreeMap<RootName, PathBuf>, Error> {
    let workspace_name: RootName =
        "workspace".parse().map_err(|error: base::ParseIdError| Error::Bug(error.to_string()))?;
    let mut named = BTreeMap::from([(workspace_name, workspace.to_owned())]);
    for root in roots {
        let (name, folder) = root
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("`{root}` is no root"), &["write `--root name=folder`"]))?;
        let name: RootName =
            name.parse().map_err(|error: base::ParseIdError| Error::usage(error.to_string(), &[]))?;
        named.insert(name, std::path::absolute(folder).map_err(Error::io("find", Path::new(folder)))?);
    }
    Ok(named)
}

fn view(
    id: &PackId,
    local: &str,
    report: &Report,
    roots: &Roots,
    cure: &dyn Fn(&Denied) -> Option<String>,
) -> CallView {
    let (outcome, result, reason) = match &report.outcome {
        Outcome::Returned(value) => ("returned", value.as_ref(), None),
        Outcome::Failed(value) => ("failed", value.as_ref(), None),
        Outcome::Denied(denied) => ("denied", None, Some(denied.to_string())),
        Outcome::Trapped(trap) => ("trapped", None, Some(trap.as_str().to_owned())),
        Outcome::Held(held) => ("held", None, Some(held.call.target())),
        Outcome::Diverged(text) => ("trapped", None, Some(text.clone())),
    };
    let held = match &report.outcome {
        Outcome::Held(held) => Some(HeldView::of(&held.call)),
        _ => None,
    };
    let mut denied: Vec<&Denied> = report.denied.iter().collect();
    if let Outcome::Denied(last) = &report.outcome
        && !denied.contains(&last)
    {
        denied.push(last);
    }
    let mut missing_grants: Vec<String> = denied.iter().filter_map(|denied| cure(denied)).collect();
    missing_grants.sort();
    missing_grants.dedup();
    CallView {
        operation: format!("{id}/{local}"),
        outcome,
        result: result.map_or(serde_json::Value::Null, values::to_json),
        reason,
        error: call_error(report, result, &denied, &missing_grants),
        denied: denied.iter().map(|denied| denied_call(id, denied)).collect(),
        missing_grants,
        diff: diff::unified_of_call(&report.changes, roots, |digest| report.blobs.get(digest).cloned()),
        staged: report.changes.clone(),
        held,
        usage: report.usage,
        log: report.log.iter().map(|line| format!("{}: {}", line.source.as_str(), line.text)).collect(),
    }
}

/// Why there is no result. A guest that was refused something and gave up is denied: its own error
/// is only how it says so.
fn call_error(
    report: &Report,
    result: Option<&values::Value>,
    denied: &[&authority::Denied],
    hints: &[String],
) -> Option<CallError> {
    let said = || result.map(|value| values::to_json(value).to_string()).unwrap_or_default();
    let (code, message) = match &report.outcome {
        Outcome::Returned(_) => return None,
        Outcome::Failed(_) => match denied.last() {
            Some(denied) => (Code::CallDenied, format!("{denied}; the operation failed: {}", said())),
            None => (Code::CallFailed, format!("the operation failed: {}", said())),
        },
        Outcome::Denied(denied) => (Code::CallDenied, denied.to_string()),
        Outcome::Trapped(_) => (Code::CallTrapped, report.stopped().unwrap_or_default()),
        // Outside a run nobody can approve it, so this is as far as the call goes.
        Outcome::Held(_) => return None,
        Outcome::Diverged(text) => (Code::CallDiverged, text.clone()),
    };
    let code = code.as_str().to_owned();
    Some(CallError { code, message, causes: Vec::new(), hints: hints.to_vec() })
}

/// The planfile of a call with side effects: one step, the arguments as they were given, and as
/// output what the operation returns.
pub(crate) fn one_step_plan(
    name: &OperationName,
    pack: &VerifiedPack,
    arguments: &str,
) -> Result<String, Error> {
    let version = &pack.manifest().version;
    let returns = signature(pack, &name.local())?.ok().is_some();
    let outputs = if returns { serde_json::json!({ "result": "$call" }) } else { serde_json::json!({}) };
    let json = values::parse_json(arguments.as_bytes()).map_err(|error| {
        Error::refused(Code::CallArguments, format!("the arguments are not JSON: {error}"))
    })?;
    let plan = serde_json::json!({
        "schema": "capstan.plan/v1",
        "name": "call",
        "packs": { "p": format!("{} ={version}", name.pack) },
        "steps": { "call": { "call": format!("p/{}", name.local()), "with": escape_dollars(json) } },
        "outputs": outputs,
    });
    Ok(format!("{}\n", escape_unwritable(&format!("{plan:#}"))))
}

/// A planfile holds no control characters and none that reorder or hide text; a JSON string of it
/// may mean them.
fn escape_unwritable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let unwritable = c != '\n' && c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
        if unwritable {
            text += &format!("\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// In a planfile `$` starts a reference; `$$` is a dollar.
fn escape_dollars(json: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => Json::String(text.replace('$', "$$")),
        Json::Array(items) => Json::Array(items.into_iter().map(escape_dollars).collect()),
        Json::Object(map) => {
            Json::Object(map.into_iter().map(|(key, value)| (key, escape_dollars(value))).collect())
        }
        other => other,
    }
}
