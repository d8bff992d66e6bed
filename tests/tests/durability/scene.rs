//! A home with packs that this suite signed itself, a workspace, and plans with one effect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tests::env::{finish, isolation};
use tests::{Env, Outcome, repository};

/// What the witness adds: a second one would be seen.
pub const EFFECT: &str = "effect\n";
/// What the target holds before.
pub const BASE: &str = "first line\n";

const WITNESS: &str = "\
schema: capstan.plan/v1
name: witness
packs: { files: capstan:files ^0.1 }
inputs:
  path: { type: string, default: note.txt }
  text: { type: string, default: \"effect\\n\" }
steps:
  before: { call: files/tree.stat, with: { path: $inputs.path } }
  add: { needs: [before], call: files/tree.append, with: { path: $inputs.path, text: $inputs.text } }
  after: { needs: [add], call: files/tree.stat, with: { path: $inputs.path } }
outputs: { size: $after.size }
";

/// An environment of its own with everything that a run needs.
pub struct Scene {
    pub env: Env,
}

impl Scene {
    /// A copy of the home that the first scene made.
    pub fn new() -> Self {
        let env = Env::new();
        copy(template(), env.folder());
        let scene = Self { env };
        scene.env.write("witness.plan.yaml", WITNESS);
        scene.env.write("note.txt", BASE);
        scene
    }

    pub fn run(&self, words: &[&str]) -> Outcome {
        self.env.run(words)
    }

    pub fn json(&self, words: &[&str]) -> Value {
        self.env.json(words).json()
    }

    /// Runs a command that kills itself where `at` says.
    pub fn run_until(&self, words: &[&str], at: &str) -> Outcome {
        finish(self.env.command(words).env("CAPSTAN_KILL_AT", at))
    }

    /// Starts the witness, which stops at its approval, and gives the approval's id.
    pub fn stage(&self, more: &[&str]) -> String {
        drop(self.run(&[&["plan", "run", "witness.plan.yaml"], more].concat()).exits(3));
        self.asked()
    }

    /// The id of the approval that the newest run waits for.
    #[track_caller]
    pub fn asked(&self) -> String {
        let view = self.show();
        let mut approvals = view["approvals"].as_array().expect("a list").iter();
        let waiting = approvals.find(|approval| approval["status"] == "waiting");
        let waiting = waiting.unwrap_or_else(|| panic!("nothing waits in {view:#}"));
        waiting["id"].as_str().expect("an id").to_owned()
    }

    /// Stages the witness and kills the approving process right after a commit that ends in
    /// `kind`, so that what comes next is up to whoever resumes.
    pub fn stop_after(&self, kind: &str) {
        let id = self.stage(&[]);
        for visit in 1..20 {
            let outcome = self.run_until(&["approve", &id], &format!("journal:after-commit#{visit}"));
            assert_eq!(outcome.signal, Some(9), "`{kind}` was not reached: {}", outcome.said());
            if self.events("last").iter().any(|event| event == kind) {
                return;
            }
        }
        panic!("`{kind}` is too far away");
    }

    pub fn show(&self) -> Value {
        self.json(&["run", "show", "last"])
    }

    pub fn status(&self) -> String {
        self.show()["status"].as_str().expect("a status").to_owned()
    }

    /// How many runs there are.
    pub fn runs(&self) -> usize {
        self.json(&["run", "list"]).as_array().expect("a list").len()
    }

    /// The kinds of a run's events, in order.
    pub fn events(&self, run: &str) -> Vec<String> {
        let lines = self.env.json(["run", "events", run]).exits(0).lines();
        lines.iter().map(|line| line["event"].as_str().expect("a kind").to_owned()).collect()
    }

    /// Asserts that the newest run completed with exactly one effect, and left nothing else.
    #[track_caller]
    pub fn assert_done_once(&self, base: &str) {
        let view = self.show();
        assert_eq!(view["status"], "completed", "{view:#}");
        let after = format!("{base}{EFFECT}");
        assert_eq!(view["outputs"]["size"], after.len(), "{view:#}");
        assert!(self.env.read("note.txt").as_deref() == Some(&after), "the target is not what it should be");
        let events = self.events("last");
        for kind in ["approval_consumed", "effects_intended", "effects_applied", "run_completed"] {
            assert_eq!(count(&events, kind), 1, "{kind} in {events:?}");
        }
        self.assert_clean();
    }

    /// Asserts that no temporary file is left in the workspace.
    #[track_caller]
    pub fn assert_clean(&self) {
        let tree = Env::tree(&self.env.work());
        let left: Vec<_> = tree.keys().filter(|path| path.to_string_lossy().contains(".capstan-")).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// The file pack's folder, which can be signed again.
    pub fn pack(&self) -> String {
        self.env.folder().join("pack").display().to_string()
    }
}

pub fn count(events: &[String], kind: &str) -> usize {
    events.iter().filter(|event| *event == kind).count()
}

/// A folder with `home` and `pack`, made once per process: compiling the packs takes seconds.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = isolation().unwrap_or_else(|| "durability".to_owned());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&folder));
        let env = Env::with_home();
        prepare(
            &env,
            "packs/files",
            "pack",
            &["--grant", "files-read=workspace:**", "--grant", "files-write=workspace:**"],
        );
        prepare(&env, "tests/guests/limits", "limits", &[]);
        // Of the same publisher, so signed with the same key.
        sign_and_install(&env, "tests/guests/sender", "sender", "limits", &[]);
        sign_and_install(&env, "tests/guests/asker", "asker", "limits", &[]);
        sign_and_install(&env, "tests/guests/thinker", "thinker", "limits", &[]);
        env.write("witness.plan.yaml", WITNESS);
        env.write("note.txt", BASE);
        drop(env.run(["plan", "run", "witness.plan.yaml"]).exits(3));
        for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
            drop(fs::remove_file(env.home().join(name)));
        }
        fs::remove_dir_all(env.work()).expect("the workspace goes");
        copy(env.folder(), &folder);
        folder
    })
}

/// Signs a copy of a built pack with a key of its own, and installs it.
fn prepare(env: &Env, source: &str, name: &str, grants: &[&str]) {
    let key = env.json(["key", "new", name, "--role", "pack"]).exits(0).json();
    let fingerprint = key["fingerprint"].as_str().expect("a fingerprint").to_owned();
    sign_and_install(env, source, name, name, &[&["--trust", &fingerprint], grants].concat());
}

/// The same with a key that is there.
fn sign_and_install(env: &Env, source: &str, name: &str, key: &str, more: &[&str]) {
    let folder = env.folder().join(name);
    copy(&repository().join(source).join("dist"), &folder);
    fs::remove_file(folder.join("pack.dsse.json")).expect("the pack was signed");
    let folder = folder.to_str().expect("UTF-8");
    drop(env.run(["pack", "sign", folder, "--key", key]).exits(0));
    drop(env.run([&["pack", "install", folder], more].concat()).exits(0));
}

/// Copies what is in a folder, modes too.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    let mut command = Command::new("cp");
    command.arg("-a").arg(from.join(".")).arg(to);
    drop(finish(&mut command).exits(0));
}
