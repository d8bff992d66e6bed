//! `doctor`: whether this machine and the home folder are as the program needs them.

use std::path::Path;

use base::Refusal;
use journal::Journal;

use crate::app::App;
use crate::config::Isolation;
use crate::health::Findings;
use crate::home::access;
use crate::view::HealthView;
use crate::{Error, config, keys, trust};

impl App {
    /// Checks this machine and the home folder.
    #[must_use]
    pub fn doctor(&self) -> HealthView {
        let mut findings = Findings::default();
        let home = self.home.path().display().to_string();
        if self.home.is_initialised() {
            findings.ok("home", format!("`{home}`"));
        } else {
            let message = format!("`{home}` is not initialised");
            findings.add("error", "home", message, Some("capstan init".to_owned()));
        }
        self.check_access(&mut findings);
        self.check_operator_files(&mut findings);
        if self.home.is_initialised() {
            match self.journal() {
                Ok(journal) => self.check_runs(journal, &mut findings),
                Err(error) => findings.add("error", "journal", error.to_string(), None),
            }
            match self.engine() {
                Ok(_) => findings.ok("engine", "starts"),
                Err(error) => findings.add("error", "engine", error.to_string(), None),
            }
            self.check_packs(&mut findings);
        }
        self.check_models(&mut findings);
        check_machine(&mut findings);
        self.check_http(&mut findings);
        match self.try_keychain() {
            Ok(()) => findings.ok("keychain", "the system's keychain answers"),
            Err(why) => findings.add("note", "keychain", format!("no secret can be kept there: {why}"), None),
        }
        self.check_isolation(&mut findings);
        self.check_confinement(&mut findings);
        findings.view("this machine and home".to_owned())
    }

    /// Whoever else can write the home is an operator, and whoever else can read its keys can sign.
    fn check_access(&self, findings: &mut Findings) {
        let home = (self.home.path().to_owned(), "700");
        let secrets = self.home.secrets().into_iter().map(|path| (path, "600"));
        let mut is_private = true;
        for (path, mode) in std::iter::once(home).chain(secrets) {
            // What is absent is said by the other checks.
            let Ok(access) = access(&path) else { continue };
            let name = path.display();
            if !access.is_own {
                is_private = false;
                let hint = "use a home of your own, with `--home`".to_owned();
                findings.add("error", "access", format!("`{name}` belongs to another user"), Some(hint));
            } else if !access.is_private() {
                is_private = false;
                let message = format!("`{name}` has mode {:o}: other users can reach it", access.mode);
                findings.add("error", "access", message, Some(format!("chmod {mode} {}", shell_word(&path))));
            }
        }
        if is_private {
            findings.ok("access", "nobody else can reach the home and its keys");
        }
    }

    fn check_operator_files(&self, findings: &mut Findings) {
        let home = self.home.path().display();
        match keys::record(&self.home, keys::APPROVER) {
            Ok(key) if key.protected => findings.ok("approver", "the approver key has a passphrase"),
            Ok(_) => {
                let message = "the approver key has no passphrase: approvals are `unattended`";
                findings.add("note", "approver", message, None);
            }
            Err(_) => {
                let hint = Some("capstan init".to_owned());
                findings.add("error", "approver", "there is no approver key", hint);
            }
        }
        match trust::load(&self.home) {
            Ok(trust) => findings.ok("trust", format!("{} key(s)", trust.entries().len())),
            Err(error) => {
                findings.add("error", "trust", error.to_string(), Some(format!("edit `{home}/trust.toml`")));
            }
        }
        match self.grant_list(None) {
            Ok(grants) => {
                findings.ok("grants", format!("{} grant(s)", grants.len()));
                let lapsed = grants.iter().filter(|grant| !grant.in_force).count();
                if lapsed > 0 {
                    let message = format!("{lapsed} grant(s) are not in force");
                    findings.add("note", "grants", message, Some("capstan grant list".to_owned()));
                }
            }
            Err(error) => {
                let hint = Some(format!("edit `{home}/grants.toml`"));
                findings.add("error", "grants", error.to_string(), hint);
            }
        }
    }

    /// Where models are asked, and whether what opens them has a value.
    fn check_models(&self, findings: &mut Findings) {
        // Settings that cannot be read are said below, and a home that is none has no models.
        let Ok(config) = config::load(&self.home) else { return };
        let set = self.secret_list().unwrap_or_default();
        for (name, endpoint) in &config.models {
            let key = endpoint.key.as_ref().map(ToString::to_string);
            let is_set = |key: &String| set.iter().any(|secret| secret.name == *key && secret.is_set);
            match key.filter(|key| !is_set(key)) {
                None => findings.ok("model", format!("`{name}` is asked at `{}`", endpoint.url)),
                Some(key) => {
                    let message = format!("`{name}` cannot be asked: its key `{key}` has no value");
                    findings.add("note", "model", message, Some(format!("capstan secret set {key}")));
                }
            }
        }
    }

    /// Whom requests over TLS trust.
    fn check_http(&self, findings: &mut Findings) {
        findings.ok("http", "servers are trusted that the web's authorities vouch for (built in)");
        match self.http_roots() {
            Ok(files) => {
                for roots in files {
                    let (count, path) = (roots.certificates.len(), roots.path.display());
                    findings.ok("http", format!("and those that `{path}` does: {count} certificate(s)"));
                }
            }
            Err(error) => {
                let hint = format!("edit `{}`", self.home.file(config::FILE).display());
                findings.add("error", "http", error.to_string(), Some(hint));
            }
        }
    }

    /// Where guests run, and whether they could in processes of their own.
    fn check_isolation(&self, findings: &mut Findings) {
        let is_process = match config::load(&self.home) {
            Ok(config) => config.isolation == Isolation::Process,
            Err(error) => return findings.add("error", "isolation", error.to_string(), None),
        };
        let place = if is_process { "in confined processes of their own" } else { "on threads" };
        findings.ok("isolation", format!("guests run {place}"));
        match self.open_workers() {
            Ok(workers) => {
                for held in workers.holds() {
                    findings.ok("isolation", format!("a process for guests cannot {}", held.what));
                }
            }
            Err(Error::Refused(refusal)) if is_process => {
                let hint = refusal.hints.last().cloned();
                findings.add("error", "isolation", coded(&refusal), hint);
            }
            Err(error) => findings.add("note", "isolation", error.to_string(), None),
        }
    }

    /// Whether programs can be run, which nothing but `exec` needs.
    fn check_confinement(&self, findings: &mut Findings) {
        let exec = match self.exec() {
            Ok(exec) => exec,
            Err(error) => return findings.add("error", "exec", error.to_string(), None),
        };
        let held = match exec.trial() {
            Ok(held) => held,
            Err(error) => {
                let message = format!("no program is run for a pack: {error}");
                return findings.add("note", "exec", message, None);
            }
        };
        for held in held {
            let what = &held.what;
            match &held.reached {
                None => findings.ok("exec", format!("a confined program cannot {what}")),
                Some(reached) => {
                    findings.add("error", "exec", format!("a confined program can {what}: {reached}"), None);
                }
            }
        }
    }

    /// Reads every run as a command that works on it would.
    fn check_runs(&self, journal: &Journal, findings: &mut Findings) {
        findings.ok("journal", "opens, and its format is this program's");
        let runs = match journal.runs(usize::MAX) {
            Ok(runs) => runs,
            Err(error) => return findings.add("error", "runs", Refusal::from(error).to_string(), None),
        };
        let mut sound = 0;
        for entry in &runs {
            let Err(refusal) = run::load(journal, &entry.run) else {
                sound += 1;
                continue;
            };
            let path = self.home.file("journal.sqlite");
            let restore = || format!("restore `{}` from a copy; other runs are not affected", path.display());
            let hint = refusal.hints.first().cloned().unwrap_or_else(restore);
            findings.add("error", "runs", format!("run {}: {}", entry.run, coded(&refusal)), Some(hint));
        }
        if sound == runs.len() {
            findings.ok("runs", format!("{sound} run(s), and every row is as it was written"));
        }
    }

    fn check_packs(&self, findings: &mut Findings) {
        let listed = match self.pack_list() {
            Ok(listed) => listed,
            Err(error) => return findings.add("error", "packs", error.to_string(), None),
        };
        for pack in listed {
            let id = &pack.pack;
            match &pack.problem {
                None => {
                    let version = pack.version.unwrap_or_default();
                    findings.ok("pack", format!("`{id}` {version} verifies"));
                }
                Some(problem) => {
                    let message = format!("`{id}`: {}: {}", problem.code, problem.message);
                    findings.add("error", "pack", message, Some(format!("capstan pack health {id}")));
                }
            }
        }
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

fn coded(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code, refusal.message)
}

/// A path as one word for a POSIX shell.
fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
