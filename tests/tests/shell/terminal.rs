//! What a person at a terminal is asked. The terminal is `script`'s; without it nothing is tested.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tests::golden::{shell, shell_command};
use tests::{Env, Outcome};

use crate::place;

/// Longest wait for a question, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command at a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    screen: String,
    read_to: usize,
}

impl Terminal {
    /// Starts `line` at a terminal; nothing where there is no `script`.
    fn start(env: &Env, line: &str) -> Option<Self> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no `script` (util-linux), so no terminal to test at");
            return None;
        }
        let mut command = shell_command(env, "exec script -qec \"$LINE\" /dev/null");
        command
            .env("LINE", line)
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let keys = child.stdin.take().unwrap();
        let mut screen = child.stdout.take().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some(Self { child, keys, output, screen: String::new(), read_to: 0 })
    }

    /// Waits for a question, which is new since the last one, and types the answer.
    #[track_caller]
    fn answer(&mut self, question: &str, answer: &str) {
        loop {
            if let Some(at) = self.screen[self.read_to..].find(question) {
                self.read_to += at + question.len();
                break;
            }
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.screen += &String::from_utf8_lossy(&bytes).replace('\r', ""),
                Err(_) => panic!("`{question}` was not asked:\n{}", self.screen),
            }
        }
        self.keys.write_all(format!("{answer}\n").as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the end.
    fn end(mut self) -> Outcome {
        drop(self.keys);
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.screen += &String::from_utf8_lossy(&bytes).replace('\r', "");
        }
        let code = self.child.wait().unwrap().code();
        Outcome { code, signal: None, stdout: self.screen, stderr: String::new() }
    }
}

#[test]
fn a_run_shows_the_change_and_asks() {
    for (answer, code, status, written) in
        [("yes", 0, "completed", true), ("no", 1, "failed", false), ("later", 3, "requires_approval", false)]
    {
        let env = place::installed();
        let Some(mut terminal) = Terminal::start(&env, &format!("capstan plan run {}", place::PLAN)) else {
            return;
        };
        terminal.answer("Apply exactly this? [yes/no/later] ", answer);
        let outcome = terminal.end().exits(code);
        let (before, after) = outcome.stdout.split_once("Apply exactly this?").unwrap();
        assert!(before.contains("+- `reader.rs`: Reads what it is given."), "the diff comes first: {before}");
        assert!(after.contains(&format!("  {status}  codemap")), "{after}");
        assert_eq!(env.read("CODEMAP.md").is_some(), written, "{answer}");
    }
    // Where nobody may be asked, it parks at once.
    let env = place::installed();
    let line = format!("capstan plan run --no-prompt {}", place::PLAN);
    let outcome = Terminal::start(&env, &line).unwrap().end().exits(3);
    assert!(!outcome.stdout.contains("Apply exactly this?"));
}

#[test]
fn what_destroys_is_approved_by_typing_its_target() {
    let line = "capstan op call capstan:files/tree.remove-tree '{\"path\": \"build\"}'";
    for (typed, code, is_gone) in [("workspace:build", 0, true), ("build", 4, false), ("yes", 4, false)] {
        let env = place::installed();
        drop(env.run(["grant", "add", "capstan:files", "files-write=workspace:**"]).exits(0));
        env.write("build/a", "x");
        let Some(mut terminal) = Terminal::start(&env, line) else { return };
        terminal.answer("Apply exactly this? [yes/no/later] ", "yes");
        terminal.answer("Type the target to approve this: ", typed);
        let outcome = terminal.end().exits(code).says("target  workspace:build");
        assert_eq!(outcome.stdout.contains("E-APPROVAL-CONFIRM"), !is_gone, "{}", outcome.stdout);
        assert_eq!(env.read("build/a").is_none(), is_gone, "{typed}");
        if !is_gone {
            // It waits as before, and `approve` asks too.
            let mut again = Terminal::start(&env, "capstan approve last").unwrap();
            again.answer("Type the target to approve this: ", "workspace:build");
            drop(again.end().exits(0));
            assert_eq!(env.read("build/a"), None);
        }
    }
}

#[test]
fn an_install_asks_for_trust_and_grants_on_one_screen() {
    for (answer, code, grants) in [("all", 0, 2), ("none", 0, 0), ("no", 2, 0)] {
        let env = place::clone();
        drop(env.run(["init"]).exits(0));
        let Some(mut terminal) = Terminal::start(&env, "capstan pack install packs/files") else { return };
        terminal.answer("[all/none/no] ", answer);
        let outcome = terminal.end().exits(code);
        for text in [&Env::publisher(), "(untrusted", "files-write=workspace:**", "component.wasm"] {
            assert!(outcome.stdout.contains(text), "no {text} in {}", outcome.stdout);
        }
        assert_eq!(outcome.stdout.matches("Trust this signer, install, and grant").count(), 1);
        assert_eq!(env.json(["pack", "list"]).json().as_array().unwrap().len(), usize::from(code == 0));
        assert_eq!(env.json(["grant", "list"]).json().as_array().unwrap().len(), grants);
    }
}

#[test]
fn a_passphrase_protects_approvals() {
    let env = place::clone();
    let Some(mut terminal) = Terminal::start(&env, "capstan init") else { return };
    terminal.answer("(empty for none): ", "open sesame");
    terminal.answer("the same again: ", "open sesame");
    let outcome = terminal.end().exits(0);
    assert!(outcome.stdout.contains("with a passphrase"), "{}", outcome.stdout);
    env.install(
        "packs/files",
        &["--grant", "files-read=workspace:**", "--grant", "files-write=workspace:**"],
    );
    drop(env.run(["op", "call", "capstan:files/tree.write", r#"{"path": "a.md", "text": "x"}"#]).exits(3));
    // Nobody is there to ask.
    drop(env.run(["approve", "last"]).exits(2).says("no terminal"));
    let mut wrong = Terminal::start(&env, "capstan approve last").unwrap();
    wrong.answer("passphrase of your approver key: ", "open says me");
    let outcome = wrong.end();
    assert!(matches!(outcome.code, Some(2 | 4)), "{:?}: {}", outcome.code, outcome.stdout);
    assert!(outcome.stdout.contains("error["), "{}", outcome.stdout);
    assert_eq!(env.read("a.md"), None);
    let mut right = Terminal::start(&env, "capstan approve last").unwrap();
    right.answer("passphrase of your approver key: ", "open sesame");
    drop(right.end().exits(0));
    assert_eq!(env.read("a.md").as_deref(), Some("x"));
    let shown = env.json(["run", "show", "last"]).exits(0).json();
    assert_eq!(shown["approvals"][0]["unattended"], false);
    assert_eq!(shown["mode"], "solo");
}

#[test]
fn passphrases_that_differ_make_no_home() {
    let env = place::clone();
    let Some(mut terminal) = Terminal::start(&env, "capstan init") else { return };
    terminal.answer("(empty for none): ", "one");
    terminal.answer("the same again: ", "two");
    drop(terminal.end().exits(2).says("differ"));
    assert!(!env.home().join("config.toml").exists());
}

#[test]
fn a_secret_is_typed_unseen_and_its_key_has_the_passphrase_of_the_approvers() {
    let env = place::clone();
    let Some(mut terminal) = Terminal::start(&env, "capstan init") else { return };
    terminal.answer("(empty for none): ", "open sesame");
    terminal.answer("the same again: ", "open sesame");
    drop(terminal.end().exits(0));
    // Nobody is there to ask for the passphrase of the first one's key.
    drop(shell(&env, "echo typed-value | capstan secret set token").exits(2).says("no terminal"));
    let mut wrong = Terminal::start(&env, "capstan secret set token").unwrap();
    wrong.answer("passphrase of your approver key: ", "open says me");
    wrong.answer("value: ", "typed-value");
    assert!(wrong.end().stdout.contains("error["));
    let secrets = || env.json(["secret", "list"]).exits(0).json().as_array().unwrap().len();
    assert_eq!(secrets(), 0);
    let mut right = Terminal::start(&env, "capstan secret set token").unwrap();
    right.answer("passphrase of your approver key: ", "open sesame");
    right.answer("value: ", "typed-value");
    let outcome = right.end().exits(0);
    assert!(!outcome.stdout.contains("typed-value"), "{}", outcome.stdout);
    assert_eq!(secrets(), 1);
    // To keep another, its key need not be opened.
    drop(shell(&env, "echo other-value | capstan secret set other").exits(0));
    for (path, bytes) in Env::tree(&env.home()) {
        for text in ["AGE-SECRET-KEY", "typed-value", "other-value"] {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "`{text}` in {}", path.display());
        }
    }
}
