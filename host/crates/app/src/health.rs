//! The health of an installed pack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use authority::{Authority, DecidedBy, DeniedReason, Scope, Standing};
use base::{Digest, Effect, Limits, PackId};
use engine::files::Roots;
use engine::{ArtifactError, Artifacts, CancelToken, HostContext, Invocation, Outcome};
use pack::VerifiedPack;
use values::{FunctionType, Type, Value};

use crate::app::App;
use crate::consent::Consent;
use crate::packs::parse_id;
use crate::view::{Finding, HealthView};
use crate::{Error, system};

/// The interface through which a pack speaks about itself.
const HEALTH: &str = "capstan:pack/health";

/// Findings, in the order of the checks.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        severity: &'static str,
        check: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.0.push(Finding { severity, check: check.to_owned(), message: message.into(), hint });
    }

    pub(crate) fn ok(&mut self, check: &str, message: impl Into<String>) {
        self.add("ok", check, message, None);
    }

    pub(crate) fn view(self, subject: String) -> HealthView {
        let healthy = self.0.iter().all(|finding| matches!(finding.severity, "ok" | "note"));
        HealthView { subject, healthy, findings: self.0 }
    }
}

impl App {
    /// Checks an installed pack, and calls its own health check as `pure`.
    ///
    /// # Errors
    /// If it is not installed. That it no longer verifies is a finding.
    pub fn pack_health(&self, pack: &str) -> Result<HealthView, Error> {
        let id = parse_id(pack)?;
        let mut findings = Findings::default();
        match self.load_pack(&id) {
            Ok(pack) => {
                findings.ok(
                    "signature",
                    format!("signed by {}, which is trusted for `{}`", pack.signer(), id.publisher),
                );
                findings.ok("digests", format!("{} files are what was signed", pack.statement().files.len()));
                findings.ok("abi", format!("host interfaces {}", pack.statement().host_abi));
                let consent = self.consent()?;
                check_grants(&mut findings, &pack, &consent);
                check_limits(&mut findings, &pack, &consent);
                self.check_own(&mut findings, &pack, &consent)?;
            }
            Err(Error::Refused(refusal)) if refusal.code == base::Code::PackUnknown => {
                return Err(refusal.into());
            }
            Err(Error::Refused(refusal)) => {
                let hint =
                    refusal.hints.first().cloned().unwrap_or_else(|| format!("capstan pack uninstall {id}"));
                findings.add(
                    "error",
                    "signature",
                    format!("{}: {}", refusal.code, refusal.message),
                    Some(hint),
                );
            }
            Err(other) => return Err(other),
        }
        Ok(findings.view(id.to_string()))
    }

    fn check_own(
        &self,
        findings: &mut Findings,
        pack: &VerifiedPack,
        consent: &Consent,
    ) -> Result<(), Error> {
        if !pack.inspection().health {
            findings.add("note", "own check", "the pack exports no `capstan:pack/health`", None);
            return Ok(());
        }
        let id = &pack.manifest().id;
        let program = match self.program(pack) {
            Ok(program) => program,
            Err(error) => {
                findings.add(
                    "error",
                    "own check",
                    error.to_string(),
                    Some(format!("capstan pack uninstall {id}")),
                );
                return Ok(());
            }
        };
        let standing = Standing::none(id.clone());
        let authority = Authority::of(&pack.manifest().request, &standing, &consent.ceiling, Effect::Pure);
        let report = program.within(self.workers()?).invoke(Invocation {
            interface: HEALTH.to_owned(),
            function: "check".to_owned(),
            signature: signature(),
            arguments: Vec::new(),
            limits: authority.limits(Limits::DEFAULT),
            authority,
            host: HostContext {
                roots: Arc::new(
                    Roots::open(BTreeMap::<_, PathBuf>::new())
                        .map_err(|error| Error::Bug(error.to_string()))?,
                ),
                artifacts: Arc::new(Nothing),
                http: self.http()?,
                exec: self.exec()?,
                models: self.model_table()?.none(),
                secrets: BTreeMap::new(),
                clock: Arc::clone(&self.clock),
                seed: system::random::<32>()?,
            },
            call_id: String::new(),
            tape: None,
            cancel: CancelToken::default(),
        });
        let ask_author = || Some(format!("ask the publisher of `{id}` about it"));
        let stopped = format!("it was stopped: {}", report.stopped().unwrap_or_default());
        match report.outcome {
            Outcome::Returned(Some(Value::String(text))) => findings.ok("own check", text),
            Outcome::Failed(Some(Value::String(text))) => {
                findings.add("error", "own check", text, ask_author());
            }
            Outcome::Returned(_) | Outcome::Failed(_) => findings.ok("own check", "it answered"),
            Outcome::Denied(denied) => findings.add("error", "own check", denied.to_string(), ask_author()),
            // A check is `pure`: it has nothing that could be held.
            Outcome::Held(_) | Outcome::Diverged(_) => {
                findings.add("error", "own check", "it made a call that is held".to_owned(), ask_author());
            }
            Outcome::Trapped(_) => findings.add("error", "own check", stopped, ask_author()),
        }
        Ok(())
    }
}

fn check_grants(findings: &mut Findings, pack: &VerifiedPack, consent: &Consent) {
    let id: &PackId = &pack.manifest().id;
    let authority = consent.authority(pack, Effect::Destructive);
    let missing = authority.missing();
    for missing in &missing {
        let why = missing.lapsed.unwrap_or("is requested and not granted");
        let message = format!("`{}` {why}", missing.capability);
        findings.add("note", "grants", message, Some(missing.command(id)));
    }
    for capability in pack.unused_requests() {
        findings.add("note", "grants", format!("`{capability}` is requested and never imported"), None);
    }
    for row in authority.explain() {
        let (Some(requested), Some(granted)) = (row.requested, row.granted) else { continue };
        if row.blocked == Some(DeniedReason::Ceiling) {
            let message = format!("the ceiling in `config.toml` forbids `{}`", row.capability);
            findings.add("note", "grants", message, None);
        }
        if !requested.iter().all(|scope| granted.iter().any(|granted| scope.is_within(granted))) {
            let [requested, granted] = [requested, granted].map(listed);
            let message =
                format!("`{}` is requested for {requested}, and granted for {granted}", row.capability);
            findings.add("note", "grants", message, None);
        }
    }
    if missing.is_empty() {
        findings.ok("grants", "each requested capability has a grant");
    }
}

fn listed(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
}

fn check_limits(findings: &mut Findings, pack: &VerifiedPack, consent: &Consent) {
    for (local, operation) in &pack.manifest().operations {
        let authority = consent.authority(pack, operation.effect);
        let asked = operation.limits.resolve();
        let lowered = authority.explain_limits(asked).into_iter();
        let lowered: Vec<String> = lowered
            .filter(|limit| limit.decided_by != DecidedBy::Operation)
            .map(|limit| format!("{} by the {}", limit.kind, limit.decided_by.as_str()))
            .collect();
        let lowered =
            if lowered.is_empty() { String::new() } else { format!("; lowered: {}", lowered.join(", ")) };
        findings.ok("limits", format!("{local}: {}{lowered}", authority.limits(asked)));
    }
}

/// A health check keeps nothing.
struct Nothing;

impl Artifacts for Nothing {
    fn put(&self, _: &Digest, _: &[u8], _: &str) -> Result<(), ArtifactError> {
        Err(ArtifactError::NotFound)
    }

    fn get(&self, _: &Digest, _: u64) -> Result<Vec<u8>, ArtifactError> {
        Err(ArtifactError::NotFound)
    }
}

/// That of `check` in `capstan:pack/health`.
fn signature() -> FunctionType {
    let text = || Some(Box::new(Type::String));
    FunctionType { params: Vec::new(), result: Some(Type::Result { ok: text(), err: text() }) }
}
