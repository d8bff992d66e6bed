//! What `doctor` and `pack health` find, and that what they say to do about it helps.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use tests::golden::shell;
use tests::{Env, Outcome};

use crate::place;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The first hint below an error.
#[track_caller]
fn hint(outcome: &Outcome) -> String {
    let mut hints = outcome.stdout.lines().filter_map(|line| line.trim_start().strip_prefix("hint: "));
    hints.next().unwrap_or_else(|| panic!("no hint in {}", outcome.stdout)).to_owned()
}

#[test]
fn a_home_that_others_can_reach_is_found() {
    let env = place::installed();
    drop(env.run(["doctor"]).exits(0).says("nobody else can reach the home and its keys"));
    for (name, open, closed) in [
        ("", 0o750, 0o700),
        ("", 0o701, 0o700),
        ("keys/approver.key", 0o640, 0o600),
        ("keys/approver.key", 0o604, 0o600),
        ("cache/secret", 0o644, 0o600),
    ] {
        let path = env.home().join(name);
        set_mode(&path, open);
        let found = env.run(["doctor"]).exits(1).says(&format!("has mode {open:o}"));
        let cure = hint(&found);
        assert_eq!(cure, format!("chmod {closed:o} '{}'", path.display().to_string().trim_end_matches('/')));
        drop(shell(&env, &cure).exits(0));
        assert_eq!(mode(&path), closed);
        drop(env.run(["doctor"]).exits(0));
    }
}

#[test]
fn init_closes_the_home_to_others() {
    for open in [0o755, 0o770, 0o707] {
        let env = Env::new();
        fs::create_dir(env.home()).unwrap();
        set_mode(&env.home(), open);
        drop(env.run(["init"]).exits(0));
        assert_eq!(mode(&env.home()), 0o700);
        // Also a home that was made before.
        set_mode(&env.home(), open);
        drop(env.run(["init"]).exits(0).says("was already there"));
        assert_eq!(mode(&env.home()), 0o700);
        drop(env.run(["doctor"]).exits(0));
    }
}

#[test]
fn a_home_of_another_user_is_refused() {
    let env = Env::new();
    fs::create_dir(env.home()).unwrap();
    let nobody = 65_534;
    if chown(env.home(), Some(nobody), None).is_err() {
        eprintln!("SKIPPED: only root can give a folder to another user");
        return;
    }
    drop(env.run(["init"]).exits(2).says("error[E-USAGE]").says("belongs to another user"));
    assert_eq!(fs::read_dir(env.home()).unwrap().count(), 0, "nothing was made");
    chown(env.home(), Some(0), None).unwrap();
    drop(env.run(["init"]).exits(0));
    drop(env.run(["doctor"]).exits(0));
    chown(env.home().join("keys/approver.key"), Some(nobody), None).unwrap();
    drop(env.run(["doctor"]).exits(1).says("approver.key` belongs to another user"));
}

#[test]
fn grants_are_counted_as_they_are_listed() {
    let env = place::installed();
    let second = ["grant", "add", "capstan:files", "files-read=workspace:docs/**"];
    drop(env.run(second).exits(0));
    let listed = env.run(["grant", "list"]).exits(0).stdout.lines().count();
    assert_eq!(listed, 3, "two of them are of one capability");
    drop(env.run(["doctor"]).exits(0).says(&format!("{listed} grant(s)")));
}

#[test]
fn a_run_and_its_rows_are_read() {
    let env = place::completed();
    drop(env.run(["doctor"]).exits(0).says("1 run(s), and every row is as it was written"));
}

#[test]
fn one_damaged_pack_does_not_hide_the_others() {
    let env = place::installed();
    let verifies = "`capstan:files` 0.1.0 verifies";
    drop(env.run(["doctor"]).exits(0).says(verifies));
    fs::write(env.home().join("packs/capstan/text/receipt.json"), "{").unwrap();
    drop(env.run(["doctor"]).exits(1).says("`capstan:text`: E-STORE-DAMAGED").says(verifies));
}

#[test]
fn health_notes_a_grant_that_is_narrower_than_the_request() {
    let env = place::installed();
    let health = || env.run(["pack", "health", "capstan:files"]).exits(0).stdout;
    let (all, note) = ("each requested capability has a grant", "`files-write` is requested for");
    assert!(health().contains(all) && !health().contains(note), "{}", health());
    drop(env.run(["grant", "remove", "capstan:files", "files-write"]).exits(0));
    assert!(!health().contains(all) && health().contains("`files-write` is requested and not granted"));
    drop(env.run(["grant", "add", "capstan:files", "files-write=workspace:docs/**"]).exits(0));
    let wanted = "`files-write` is requested for `workspace:**`, and granted for `workspace:docs/**`";
    assert!(health().contains(all) && health().contains(wanted), "{}", health());
}
