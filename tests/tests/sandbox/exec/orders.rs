//! The confining process by itself, given orders that no call makes yet or that a call cannot make:
//! to change files, and to run what was replaced meanwhile.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::Digest as _;
use tests::Env;

use super::{HOSTILE, line, processes, wait_for, with_hostile};

fn digest(path: &Path) -> String {
    let bytes = sha2::Sha256::digest(fs::read(path).unwrap());
    format!("sha256:{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// An order to run the hostile program in the workspace, with folders that it may change.
fn order(env: &Env, arguments: &[&str], writable: &[&str]) -> Value {
    let program = env.folder().join("programs").join(HOSTILE);
    let about = fs::metadata(env.work()).unwrap();
    json!({ "run": {
        "program": { "name": HOSTILE, "path": program, "digest": digest(&program) },
        "arguments": arguments,
        "variables": { "TMPDIR": "/dev/shm" },
        "folder": { "root": env.work(), "device": about.dev(), "inode": about.ino(), "below": "", "hidden": null },
        "writable": writable,
        "stdin": "",
        "limits": {
            "wall_ms": 10_000, "cpu_s": 10, "memory_bytes": 1_u64 << 30, "tasks": 64, "open_files": 64,
            "output_bytes": 1 << 20, "scratch_bytes": 1 << 20,
        },
    }})
}

/// Gives the report and what the program printed.
fn obey(order: &Value) -> (Value, String) {
    obey_by(&["internal", "confine"], order)
}

/// The same of a process that may not report at all.
fn obey_by(words: &[&str], order: &Value) -> (Value, String) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(tests::program());
    command.args(words).stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(command);
    let json = order.to_string();
    let length = (json.len() as u64).to_be_bytes();
    // Whoever refuses reads none of it.
    let _sent = ours.write_all(&length).and_then(|()| ours.write_all(json.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let mut said = Vec::new();
    let _reset = ours.read_to_end(&mut said);
    (serde_json::from_slice(&said).unwrap_or_default(), String::from_utf8(output.stdout).unwrap())
}

/// Sends the order and hangs on to the socket, so that nothing ends for want of it.
fn send(command: &mut Command, order: &Value) -> (std::process::Child, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).spawn().unwrap();
    command.stdin(Stdio::null());
    let json = order.to_string();
    ours.write_all(&(json.len() as u64).to_be_bytes()).unwrap();
    ours.write_all(json.as_bytes()).unwrap();
    (child, ours)
}

/// Of two processes that hold a program, neither leaves it behind when it is killed, nor when whoever
/// started them is.
#[test]
fn whoever_of_its_keepers_is_killed_the_program_ends() {
    let env = with_hostile();
    let program = tests::program();
    let program = program.to_str().unwrap();
    let keeper = ["internal", "confine"];
    for (name, words) in [
        ("keeper", [&[program][..], &keeper].concat()),
        // A shell that waits for it.
        ("starter", [&["sh", "-c", "\"$@\"; true", "sh", program][..], &keeper].concat()),
    ] {
        let marker = format!("{name}-{}", std::process::id());
        let order = order(&env, &["sleep", &marker], &[]);
        let (mut child, ours) = send(Command::new(words[0]).args(&words[1..]), &order);
        wait_for("the program", || processes(&marker).len() == 2);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for("the end of the program", || processes(&marker).is_empty());
        drop(ours);
    }
}

/// The room for an order is not taken on trust.
#[test]
fn an_order_that_is_too_long_is_not_read() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(tests::program());
    command.args(["internal", "confine"]).stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    ours.write_all(&((512_u64 << 20) + 1).to_be_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("the order is too long"), "{said}");
    // A long one is read to its end.
    let env = with_hostile();
    let mut order = order(&env, &["self"], &[]);
    order["run"]["stdin"] = json!("A".repeat(4 << 20));
    assert_eq!(obey(&order).0["ended"][0]["exited"], 0);
}

/// The inner process changes mounts and bounds: of its own namespaces, or nothing.
#[test]
fn outside_of_namespaces_it_does_nothing() {
    let env = with_hostile();
    let mut order = order(&env, &["self"], &[]);
    assert_eq!(obey(&order).0["ended"][0]["exited"], 0);
    // One that fails before anything is changed, should it be looked at all the same.
    order["run"]["program"]["path"] = json!("/nonexistent");
    assert_eq!(obey(&order).0, json!({ "failed": "not_found" }));
    assert_eq!(obey_by(&["internal", "confine", "--inside"], &order), (Value::Null, String::new()));
}

#[test]
fn only_folders_that_were_given_are_changed() {
    let env = with_hostile();
    for file in ["given/file", "given/other", "other/file", "file"] {
        env.write(file, "as it was");
    }
    let (said, printed) = obey(&order(&env, &["change", "given/file"], &["given"]));
    assert_eq!(said["ended"][0]["exited"], 0, "{said}");
    for attempt in [
        "chmod",
        "utimensat",
        "open to write",
        "append",
        "create",
        "link",
        "symlink",
        "mkdir",
        "truncate",
        "rename",
        "unlink",
    ] {
        assert_eq!(line(&printed, attempt), "ok", "{printed}");
    }
    assert_eq!(fs::read_dir(env.work().join("given")).unwrap().count(), 1);
    let before = Env::tree(&env.work());
    let state = |path: &str| {
        let about = fs::metadata(env.work().join(path)).unwrap();
        (about.mode(), about.nlink(), about.mtime(), about.ctime_nsec())
    };
    for path in ["other/file", "file"] {
        let then = state(path);
        let (_, printed) = obey(&order(&env, &["change", path], &["given"]));
        for attempt in printed.lines() {
            let refused = ["EPERM", "EACCES", "EROFS"].iter().any(|error| attempt.ends_with(error));
            assert!(refused, "{path}: {printed}");
        }
        assert_eq!(line(&printed, "chmod"), "EROFS");
        assert_eq!(then, state(path));
    }
    assert_eq!(before, Env::tree(&env.work()));
    // And the file's own folder is read-only where none is given.
    let (_, printed) = obey(&order(&env, &["change", "given/other"], &[]));
    assert_eq!(line(&printed, "chmod"), "EPERM");
}

/// All of the root, in the folder that the program stands in.
#[test]
fn a_root_may_be_given_as_a_whole() {
    let env = with_hostile();
    env.write("file", "as it was");
    let outside = env.folder().join("outside");
    fs::write(&outside, "as it was").unwrap();
    let (_, printed) = obey(&order(&env, &["change", "file"], &[""]));
    assert_eq!(line(&printed, "chmod"), "ok", "{printed}");
    assert_eq!(line(&printed, "open to write"), "ok", "{printed}");
    let mode = fs::metadata(&outside).unwrap().mode();
    let (_, printed) = obey(&order(&env, &["change", "../outside"], &[""]));
    assert!(printed.lines().all(|attempt| !attempt.ends_with(": ok")), "{printed}");
    assert_eq!(fs::metadata(&outside).unwrap().mode(), mode);
}

/// A file that runs as its owner would outlive the program, for others to start.
#[test]
fn no_file_is_made_that_runs_as_its_owner() {
    let env = with_hostile();
    env.write("file", "as it was");
    let (_, printed) = obey(&order(&env, &["setid", "file"], &[""]));
    assert_eq!(line(&printed, "plain mode"), "ok", "{printed}");
    for attempt in ["chmod", "fchmod", "fchmodat", "open", "openat", "creat", "mknod"] {
        assert_eq!(line(&printed, attempt), "EPERM", "{printed}");
    }
    assert_eq!(line(&printed, "openat2"), "ENOSYS", "{printed}");
    for entry in fs::read_dir(env.work()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o6000, 0);
    }
}

/// The file and the folder are those that were resolved, or nothing runs.
#[test]
fn what_was_replaced_since_it_was_resolved_is_not_used() {
    let env = with_hostile();
    let order = order(&env, &["self"], &[]);
    assert_eq!(obey(&order).0["ended"][0]["exited"], 0);
    // Another file that does the same, at the same path.
    let program = env.folder().join("programs").join(HOSTILE);
    let kept = env.folder().join("kept");
    fs::copy(&program, &kept).unwrap();
    let mut bytes = fs::read(&program).unwrap();
    bytes.push(0);
    fs::remove_file(&program).unwrap();
    fs::write(&program, &bytes).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(obey(&order).0, json!({ "failed": "changed" }));
    // A link to the very file.
    fs::remove_file(&program).unwrap();
    std::os::unix::fs::symlink(&kept, &program).unwrap();
    assert_eq!(obey(&order).0, json!({ "failed": "changed" }));
    fs::remove_file(&program).unwrap();
    fs::rename(&kept, &program).unwrap();
    assert_eq!(obey(&order).0["ended"][0]["exited"], 0);
    // Another folder at the path of the root.
    fs::rename(env.work(), env.folder().join("was-work")).unwrap();
    fs::create_dir(env.work()).unwrap();
    assert_eq!(obey(&order).0, json!({ "failed": "not_found" }));
}

/// While its program is exchanged and put back without end, a call runs the one or says `changed`.
#[test]
fn a_program_that_is_swapped_meanwhile_is_never_run() {
    let env = with_hostile();
    let order = order(&env, &["self"], &[]);
    let program = env.folder().join("programs").join(HOSTILE);
    let (other, spare) = (env.folder().join("other"), env.folder().join("spare"));
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, &spare).unwrap();
        fs::set_permissions(&spare, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&spare, to).unwrap();
    };
    copy(&program, &env.folder().join("first"));
    copy(Path::new("/bin/echo"), &other);
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut ran, mut changed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                copy(&other, &program);
                copy(&env.folder().join("first"), &program);
            }
        });
        for _ in 0..60 {
            let (said, printed) = obey(&order);
            match &said["ended"][0]["exited"] {
                Value::Number(_) => {
                    assert!(printed.contains("seccomp: 2"), "another program ran: {printed}");
                    ran += 1;
                }
                _ => {
                    assert!(["changed", "not_found"].contains(&said["failed"].as_str().unwrap()), "{said}");
                    changed += 1;
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(ran > 0 && changed > 0, "{ran} {changed}");
}
