//! Health: of an installed pack, and of this machine and home.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use authority::{Authority, Grants};
use base::{Digest, Effect, Limits, PackId};
use engine::files::Roots;
use engine::{ArtifactError, Artifacts, CancelToken, HostContext, Invocation, Outcome};
use pack::VerifiedPack;
use values::{FunctionType, Type, Value};

use crate::app::App;
use crate::packs::parse_id;
use crate::view::{Finding, HealthView};
use crate::{Error, grants, keys, system};

/// The interface through which a pack speaks about itself.
const HEALTH: &str = "capstan:pack/health";

/// Findings, in the order of the checks.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: &'static str, check: &str, message: impl Into<String>, hint: Option<String>) {
        self.0.push(Finding { severity, check: check.to_owned(), message: message.into(), hint });
    }

    fn ok(&mut self, check: &str, message: impl Into<String>) {
        self.add("ok", check, message, None);
    }

    fn view(self, subject: String) -> HealthView {
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
                check_grants(&mut findings, &pack, &grants::load(&self.home)?);
                check_limits(&mut findings, &pack);
                self.check_own(&mut findings, &pack)?;
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

    fn check_own(&self, findings: &mut Findings, pack: &VerifiedPack) -> Result<(), Error> {
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
        let text = || Some(Box::new(Type::String));
        let report = program.invoke(Invocation {
            interface: HEALTH.to_owned(),
            function: "check".to_owned(),
            signature: FunctionType {
                params: Vec::new(),
                result: Some(Type::Result { ok: text(), err: text() }),
            },
            arguments: Vec::new(),
            limits: Limits::DEFAULT,
            authority: Authority::of(&pack.manifest().request, &Grants::new(), id, Effect::Pure),
            host: HostContext {
                roots: Arc::new(
                    Roots::open(BTreeMap::<_, PathBuf>::new())
                        .map_err(|error| Error::Bug(error.to_string()))?,
                ),
                artifacts: Arc::new(Nothing),
                clock: Arc::clone(&self.clock),
                seed: system::random::<32>()?,
            },
            cancel: CancelToken::default(),
        });
        let ask_author = || Some(format!("ask the publisher of `{id}` about it"));
        match report.outcome {
            Outcome::Returned(Some(Value::String(text))) => findings.ok("own check", text),
            Outcome::Failed(Some(Value::String(text))) => {
                findings.add("error", "own check", text, ask_author());
            }
            Outcome::Returned(_) | Outcome::Failed(_) => findings.ok("own check", "it answered"),
            Outcome::Denied(denied) => findings.add("error", "own check", denied.to_string(), ask_author()),
            Outcome::Trapped(trap) => {
                findings.add("error", "own check", format!("it was stopped: {trap}"), ask_author());
            }
        }
        Ok(())
    }

    /// Checks this machine and the home folder.
    #[must_use]
    pub fn doctor(&self) -> HealthView {
        let mut findings = Findings::default();
        let home = self.home.path().display().to_string();
        if self.home.is_initialised() {
            findings.ok("home", format!("`{home}`"));
        } else {
            findings.add(
                "error",
                "home",
                format!("`{home}` is not initialised"),
                Some("capstan init".to_owned()),
            );
        }
        match keys::record(&self.home, keys::APPROVER) {
            Ok(key) if key.protected => findings.ok("approver", "the approver key has a passphrase"),
            Ok(_) => findings.add(
                "note",
                "approver",
                "the approver key has no passphrase: approvals are `unattended`",
                None,
            ),
            Err(_) => {
                findings.add(
                    "error",
                    "approver",
                    "there is no approver key",
                    Some("capstan init".to_owned()),
                );
            }
        }
        match crate::trust::load(&self.home) {
            Ok(trust) => findings.ok("trust", format!("{} key(s)", trust.entries().len())),
            Err(error) => {
                findings.add("error", "trust", error.to_string(), Some(format!("edit `{home}/trust.toml`")));
            }
        }
        match grants::load(&self.home) {
            Ok(grants) => findings.ok("grants", format!("{} grant(s)", grants.iter().count())),
            Err(error) => {
                findings.add(
                    "error",
                    "grants",
                    error.to_string(),
                    Some(format!("edit `{home}/grants.toml`")),
                );
            }
        }
        if self.home.is_initialised() {
            match self.journal() {
                Ok(_) => findings.ok("journal", "opens, and its format is this program's"),
                Err(error) => findings.add("error", "journal", error.to_string(), None),
            }
            match self.engine() {
                Ok(_) => findings.ok("engine", "starts"),
                Err(error) => findings.add("error", "engine", error.to_string(), None),
            }
            self.check_packs(&mut findings);
        }
        check_machine(&mut findings);
        findings.view("this machine and home".to_owned())
    }

    fn check_packs(&self, findings: &mut Findings) {
        let receipts = match self.store().and_then(|store| Ok(store.list()?)) {
            Ok(receipts) => receipts,
            Err(error) => return findings.add("error", "packs", error.to_string(), None),
        };
        for receipt in receipts {
            match self.load_pack(&receipt.pack) {
                Ok(_) => findings.ok("pack", format!("`{}` {} verifies", receipt.pack, receipt.version)),
                Err(error) => {
                    let hint = Some(format!("capstan pack health {}", receipt.pack));
                    findings.add("error", "pack", format!("`{}`: {error}", receipt.pack), hint);
                }
            }
        }
    }
}

fn check_grants(findings: &mut Findings, pack: &VerifiedPack, grants: &Grants) {
    let id: &PackId = &pack.manifest().id;
    let authority = Authority::of(&pack.manifest().request, grants, id, Effect::Destructive);
    let missing = authority.missing();
    for missing in &missing {
        let hint = authority::grant_command(id, &missing.grant);
        findings.add(
            "note",
            "grants",
            format!("`{}` is requested and not granted", missing.capability),
            Some(hint),
        );
    }
    for capability in pack.unused_requests() {
        findings.add("note", "grants", format!("`{capability}` is requested and never imported"), None);
    }
    if missing.is_empty() {
        findings.ok("grants", "everything that is requested is granted");
    }
}

fn check_limits(findings: &mut Findings, pack: &VerifiedPack) {
    for (local, operation) in &pack.manifest().operations {
        findings.ok("limits", format!("{local}: {}", operation.limits.resolve()));
    }
}

/// What the sandbox needs of the kernel.
fn check_machine(findings: &mut Findings) {
    if cfg!(target_os = "linux") && cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        findings.ok("machine", format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH));
    } else {
        findings.add("error", "machine", "only Linux on x86-64 and aarch64 is complete", None);
    }
    match engine::files::enforces_beneath() {
        true => findings.ok("files", "the kernel resolves paths beneath a folder (openat2)"),
        false => findings.add("error", "files", "the kernel has no openat2: file access is refused", None),
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
