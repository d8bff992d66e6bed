//! Workers that do not keep to the protocol. Each is this very test binary, started as the host
//! starts its own: one of its tests then speaks the bytes of the protocol over standard input.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base::{ChangeSet, Effect, Limits};
use engine::{IsolationError, Outcome, Program, Report, Trap, WorkerSettings, Workers};
use values::{Type, Value};

use crate::fixture::{USES_HEAP, assert_trap, authority, call, echo, load, text, with_imports};

/// The test that is a worker where it is started as one.
const WORKER: &str = "evil_workers::a_worker_where_it_is_started_as_one";
/// What the name of an act is after, which to the test runner is a name of a test.
const ACT: &str = "act=";

#[test]
fn a_worker_where_it_is_started_as_one() {
    let Some(act) = std::env::args().find_map(|word| word.strip_prefix(ACT).map(str::to_owned)) else {
        return;
    };
    let (_, act) = ACTS.iter().find(|(name, _)| *name == act).unwrap();
    act();
}

const ACTS: &[(&str, fn())] = &[
    ("dies_at_once", acts::dies_at_once),
    ("is_something_else", acts::is_something_else),
    ("speaks_without_end", acts::speaks_without_end),
    ("fails", acts::fails),
    ("can_open_a_file", acts::can_open_a_file),
    ("lies", acts::lies),
    ("dies", acts::dies),
    ("says_nothing_of_sense", acts::says_nothing_of_sense),
    ("says_half", acts::says_half),
    ("announces_too_much", acts::announces_too_much),
    ("gives_another_type", acts::gives_another_type),
    ("gives_no_json", acts::gives_no_json),
    ("gives_nothing", acts::gives_nothing),
    ("gives_too_much", acts::gives_too_much),
    ("ends_by_what_is_no_trap", acts::ends_by_what_is_no_trap),
    ("loads_twice", acts::loads_twice),
    ("asks_what_is_not_imported", acts::asks_what_is_not_imported),
    ("draws_without_wasi", acts::draws_without_wasi),
    ("asks_the_time", acts::asks_the_time),
    ("tells_who_it_is", acts::tells_who_it_is),
    ("is_late", acts::is_late),
    ("does_not_load", acts::does_not_load),
    ("dies_loading", acts::dies_loading),
];

fn workers(act: &str) -> Result<Workers, IsolationError> {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", WORKER, "--test-threads=1", &format!("{ACT}{act}")].map(Into::into).to_vec();
    Workers::open(WorkerSettings { program, arguments })
}

fn within(act: &str) -> Program {
    echo().within(Some(workers(act).unwrap()))
}

fn made_by(act: &str) -> Report {
    within(act).invoke(call("echo", vec![text("hello")], Some(Type::String)))
}

#[track_caller]
fn refused(act: &str) -> String {
    match workers(act) {
        Ok(_) => panic!("`{act}` was taken for a worker"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_not_confined_is_no_worker() {
    assert!(refused("dies_at_once").contains("it ended, or did not keep to its protocol"));
    assert!(refused("is_something_else").contains("did not keep to its protocol"));
    assert!(refused("speaks_without_end").contains("did not keep to its protocol"));
    assert!(refused("fails").contains("no reason"));
    assert!(refused("can_open_a_file").contains("a confined worker can open a file"));
}

#[test]
fn one_that_keeps_to_the_protocol_is_believed_as_far_as_it_can_be_true() {
    let report = made_by("lies");
    assert_eq!(report.outcome, Outcome::Returned(Some(Value::String("made up".to_owned()))));
    let (usage, limits) = (report.usage, Limits::DEFAULT);
    assert_eq!(
        (usage.fuel, usage.memory_bytes, usage.host_call_bytes, usage.host_calls, usage.stdio_bytes),
        (limits.fuel, limits.memory_bytes, limits.host_call_bytes, limits.fuel, limits.stdio_bytes)
    );
    let said: usize = report.log.iter().map(|line| line.text.len()).sum();
    assert_eq!(said as u64, limits.stdio_bytes, "it sent more than there may be");
    assert_eq!((report.changes, report.blobs), (ChangeSet::default(), BTreeMap::new()));
}

#[test]
fn one_that_breaks_the_protocol_ends_its_call() {
    for act in [
        "dies",
        "says_nothing_of_sense",
        "says_half",
        "announces_too_much",
        "gives_another_type",
        "gives_no_json",
        "gives_nothing",
        "gives_too_much",
        "ends_by_what_is_no_trap",
        "loads_twice",
        "asks_what_is_not_imported",
        "draws_without_wasi",
    ] {
        let report = made_by(act);
        assert_eq!(report.outcome, Outcome::Trapped(Trap::Worker), "{act}");
        assert!(report.usage.fuel <= Limits::DEFAULT.fuel);
    }
}

/// A run that has begun ends no worse for want of a worker than one that never does: it says why.
#[test]
fn a_call_for_which_no_worker_gets_ready_says_why() {
    for (act, why) in [("does_not_load", "no reason"), ("dies_loading", "it ended, or did not keep")] {
        let report = made_by(act);
        assert_eq!(report.outcome, Outcome::Trapped(Trap::Worker), "{act}");
        let said = report.stopped().unwrap();
        assert!(said.starts_with("worker: no guest can be isolated") && said.contains(why), "{said}");
    }
    let said = made_by("dies").stopped().unwrap();
    assert_eq!(said, format!("worker: {}", Trap::Worker.meaning()), "it was ready");
    assert_eq!(made_by("lies").problem, None);
}

/// It reaches what its authority permits, and asks for the rest in vain.
#[test]
fn one_that_asks_is_answered_as_the_guest_would_be() {
    let core = r#"(import "host" "now" (func $now (result i64))) (func (export "f"))"#;
    let program = load(&with_imports(
        r#"(import "capstan:host/clock@0.1.0" (instance $clock (export "now" (func (result u64)))))"#,
        r#"(core func $now (canon lower (func $clock "now"))) (core instance $host (export "now" (func $now)))"#,
        core,
        &[("f", "")],
    ));
    let program = program.within(Some(workers("asks_the_time").unwrap()));
    let permitted = |granted: &[&str]| {
        let mut invocation = call("f", Vec::new(), None);
        invocation.authority = authority(&["clock"], granted, Effect::Read);
        program.invoke(invocation)
    };
    assert_eq!(permitted(&["clock"]).outcome, Outcome::Returned(None));
    assert!(matches!(permitted(&[]).outcome, Outcome::Denied(_)), "and it says that it returned");
}

/// One worker for the calls of one component, another for another's, and none when the run is over.
#[test]
fn a_worker_is_one_components_and_ends_with_its_run() {
    let workers = workers("tells_who_it_is").unwrap();
    let who = |program: &Program| {
        let report = program.invoke(call("echo", vec![text("who")], Some(Type::String)));
        let Outcome::Returned(Some(Value::String(number))) = report.outcome else {
            panic!("{:?}", report.outcome)
        };
        number
    };
    let core = format!(r#"{USES_HEAP} (func (export "echo") (param i32 i32) (result i32) unreachable)"#);
    let [one, other] = ["", "(core module $other)"].map(|more| {
        let lifts = [("echo", r#"(param "text" string) (result string)"#)];
        load(&with_imports(more, "", &core, &lifts)).within(Some(workers.clone()))
    });
    let [first, second] = [who(&one), who(&other)];
    assert_ne!(first, second, "of two components");
    assert_eq!([who(&one), who(&other), who(&one)], [first.clone(), second.clone(), first.clone()]);
    let is_there = |number: &str| std::path::Path::new("/proc").join(number).exists();
    assert!(is_there(&first) && is_there(&second));
    drop((workers, one));
    assert!(is_there(&first) && is_there(&second), "the other program still has them");
    drop(other);
    assert!(!is_there(&first) && !is_there(&second));
}

#[test]
fn one_that_is_late_is_killed() {
    let program = within("is_late");
    let started = Instant::now();
    let mut invocation = call("echo", vec![text("hello")], Some(Type::String));
    invocation.limits.wall_ms = 100;
    let report = program.invoke(invocation);
    assert_trap(&report, Trap::Deadline);
    assert_eq!(report.usage.fuel, Limits::DEFAULT.fuel, "what it burnt is not known");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let invocation = call("echo", vec![text("hello")], Some(Type::String));
    let cancel = invocation.cancel.clone();
    cancel.cancel();
    assert_trap(&program.invoke(invocation), Trap::Cancelled);
}

/// What the workers do. None of them is confined, and none could be told from one that was broken into.
mod acts {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    fn socket() -> UnixStream {
        UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap())
    }

    fn say(bytes: &[u8]) {
        let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        frame.extend(bytes);
        socket().write_all(&frame).unwrap();
    }

    fn hear() -> Vec<u8> {
        let (mut socket, mut head) = (socket(), [0; 4]);
        socket.read_exact(&mut head).unwrap();
        let mut bytes = vec![0; u32::from_be_bytes(head) as usize];
        socket.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Until the host has killed it.
    fn wait() {
        drop(socket().read(&mut [0]));
    }

    const CONFINED: &[u8] = &[0, 0];
    const LOADED: &[u8] = &[2];
    /// Counters that are all nothing.
    const METER: &[u8] = &[0, 0, 0, 0];

    /// As every worker does until its first call.
    fn begin() {
        say(CONFINED);
        drop(hear());
        say(LOADED);
        drop(hear());
    }

    fn begin_and_say(bytes: &[u8]) {
        begin();
        say(bytes);
        wait();
    }

    /// Returns whatever the answer is: that it was not killed before is what matters.
    fn ask_and_return(asked: &[u8]) {
        begin();
        say(&[&[3], METER, asked].concat());
        drop(hear());
        say(&returned(b"\"answered\""));
        wait();
    }

    /// The end of a call that returned this JSON, and used nothing.
    fn returned(json: &[u8]) -> Vec<u8> {
        let mut length = json.len();
        let mut frame = vec![4, 0, 1];
        while length >= 0x80 {
            frame.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        frame.push(length as u8);
        [&frame, json, &[0, 0], METER, &[0, 0]].concat()
    }

    pub(super) fn dies_at_once() {}

    pub(super) fn is_something_else() {
        say(b"SSH-2.0-OpenSSH_9.9");
        wait();
    }

    pub(super) fn speaks_without_end() {
        drop(socket().write_all(&[0xff; 1 << 20]));
        wait();
    }

    pub(super) fn fails() {
        say(b"\x01\x09no reason");
        wait();
    }

    pub(super) fn does_not_load() {
        say(CONFINED);
        drop(hear());
        fails();
    }

    pub(super) fn dies_loading() {
        say(CONFINED);
        drop(hear());
    }

    pub(super) fn can_open_a_file() {
        say(b"\x00\x01\x0bopen a file\x01\x06it can");
        wait();
    }

    pub(super) fn lies() {
        begin();
        let most: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        // The limit is 64 KiB; this is half a MiB.
        let output = [&[0x80, 0x80, 0x20][..], &[b'x'; 512 << 10]].concat();
        let end: &[u8] = b"\x04\x00\x01\x09\"made up\"";
        say(&[end, most, most, most, most, most, most, &output, &output].concat());
        wait();
    }

    pub(super) fn dies() {
        begin();
    }

    pub(super) fn says_nothing_of_sense() {
        begin_and_say(&[0xff; 64]);
    }

    pub(super) fn says_half() {
        begin();
        socket().write_all(&[0, 0, 0, 9, 4]).unwrap();
    }

    pub(super) fn announces_too_much() {
        begin();
        socket().write_all(&[0xff; 4]).unwrap();
        wait();
    }

    pub(super) fn gives_another_type() {
        begin_and_say(&returned(b"1"));
    }

    pub(super) fn gives_no_json() {
        begin_and_say(&returned(b"\"a"));
    }

    pub(super) fn gives_nothing() {
        begin_and_say(&[&[4, 0, 0, 0, 0], METER, &[0, 0]].concat());
    }

    /// One byte more than a call may return, of a value that would be fine otherwise.
    pub(super) fn gives_too_much() {
        let mut json = vec![b'x'; (4 << 20) + 1];
        (json[0], json[4 << 20]) = (b'"', b'"');
        begin_and_say(&returned(&json));
    }

    pub(super) fn ends_by_what_is_no_trap() {
        begin_and_say(&[b"\x04\x01\x04trip\x00\x00", METER, &[0, 0]].concat());
    }

    pub(super) fn loads_twice() {
        begin_and_say(LOADED);
    }

    /// `files-read.read` of `workspace:a`.
    pub(super) fn asks_what_is_not_imported() {
        ask_and_return(b"\x06\x09workspace\x01a");
    }

    pub(super) fn draws_without_wasi() {
        ask_and_return(&[17]);
    }

    /// Twice in its life, and whatever it is told it says that the function returned.
    pub(super) fn asks_the_time() {
        say(CONFINED);
        drop(hear());
        say(LOADED);
        for _ in 0..2 {
            drop(hear());
            say(&[&[3], METER, &[2]].concat());
            drop(hear());
            say(&[&[4, 0, 0, 0, 0], METER, &[0, 0]].concat());
        }
        wait();
    }

    /// To every call.
    pub(super) fn tells_who_it_is() {
        say(CONFINED);
        drop(hear());
        say(LOADED);
        loop {
            drop(hear());
            say(&returned(format!("\"{}\"", std::process::id()).as_bytes()));
        }
    }

    pub(super) fn is_late() {
        begin();
        wait();
        wait();
    }
}
