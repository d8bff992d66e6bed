//! Each limit of a call from both sides, through the program: at 90 % the guest succeeds, at 110 %
//! it ends with the limit's own outcome, and the next call works.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tests::Env;

use crate::guest::{call, install, install_wat, run_plan, wat, with_test_key, with_writer};

const MIB: u64 = 1 << 20;
/// `base::Limits::DEFAULT`, as documentation tells them to authors.
const FUEL: u64 = 2_000_000_000;
const MEMORY: u64 = 64 * MIB;
const HANDLES: u64 = 1_000;
const TABLE_ELEMENTS: u64 = 10_000;
const HOST_CALL_BYTES: u64 = 16 * MIB;
const OUTPUT: u64 = 4 * MIB;
const STDIO: u64 = 64 << 10;
const RANDOM: u64 = MIB;
const FILES: u64 = 10_000;
const FILE_BYTES: u64 = 64 * MIB;
/// How often the right amount of work is looked for.
const DEADLINE_TRIES: usize = 200;
/// What the process may need beside the guest's memory.
const PROCESS_GROWTH_MAX: u64 = 32 * MIB;
const PAGE: u64 = 64 << 10;

fn under(limit: u64) -> u64 {
    limit * 9 / 10
}

fn over(limit: u64) -> u64 {
    limit * 11 / 10
}

fn with_limits() -> Env {
    let env = Env::with_home();
    install(&env, "limits", &["artifacts", "clock", "random"]);
    env
}

#[track_caller]
fn assert_trapped(said: &Value, reason: &str) {
    assert_eq!(
        (said["outcome"].as_str(), said["reason"].as_str()),
        (Some("trapped"), Some(reason)),
        "{said:#}"
    );
}

#[track_caller]
fn assert_next_call_works(env: &Env) {
    assert_eq!(call(env, "test:limits/spend.fuel", &json!({ "rounds": 1 }))["outcome"], "returned");
}

/// `operation` with the arguments of each side. Beyond the limit the process is at most so much
/// larger than for a small call.
#[track_caller]
fn both_sides(env: &Env, operation: &str, arguments: impl Fn(u64) -> Value, limit: u64, reason: &str) {
    let small = peak(env, operation, &arguments(1));
    let said = call(env, operation, &arguments(under(limit)));
    assert_eq!(said["outcome"], "returned", "at 90 % of {limit}: {said:#}");
    let beyond = peak(env, operation, &arguments(over(limit)));
    assert_trapped(&beyond.said, reason);
    beyond.assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
    let again = call(env, operation, &arguments(1));
    assert_eq!(again["outcome"], "returned", "the next call: {again:#}");
}

#[test]
fn fuel() {
    let env = with_limits();
    let used = |rounds: u64| {
        let said = call(&env, "test:limits/spend.fuel", &json!({ "rounds": rounds }));
        said["usage"]["fuel"].as_u64().unwrap()
    };
    let once = used(1);
    let per_round = (used(1_000_001) - once) / 1_000_000;
    let rounds = (FUEL - once) / per_round;
    both_sides(&env, "test:limits/spend.fuel", |rounds| json!({ "rounds": rounds }), rounds, "fuel");
}

/// It has fuel for hours, and a second of time. How far it gets in that depends on the machine and
/// on who else is at work, so what takes nine tenths of it is found by trying.
#[test]
fn deadline_of_a_guest_that_computes() {
    let env = with_limits();
    let spin = |rounds: u64| peak(&env, "test:limits/spend.spin", &json!({ "rounds": rounds }));
    let wall = |said: &Value| said["usage"]["wall_us"].as_u64().unwrap();
    let small = spin(1);
    let mut rounds = 1_000_000;
    let close = (0..DEADLINE_TRIES).any(|_| {
        let said = spin(rounds).said;
        if said["outcome"] != "returned" {
            assert_trapped(&said, "deadline");
            rounds = rounds * 9 / 10;
            return false;
        }
        let is_close = (850_000..1_000_000).contains(&wall(&said));
        rounds = (rounds * 900_000 / wall(&said).max(1)).min(rounds * 100);
        is_close
    });
    assert!(close, "no call of nine tenths of the time returned");
    let beyond = spin(rounds * 10);
    assert_trapped(&beyond.said, "deadline");
    assert!(wall(&beyond.said) >= 1_000_000, "{:#}", beyond.said);
    beyond.assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
    assert_next_call_works(&env);
}

/// The guest is in a host call all the time; its limit is 4 s.
#[test]
fn deadline_of_a_blocked_host_call() {
    let env = with_limits();
    both_sides(&env, "test:limits/spend.block", |ms| json!({ "milliseconds": ms }), 4_000, "deadline");
}

#[test]
fn memory() {
    let env = with_limits();
    let small = peak(&env, "test:limits/spend.memory", &json!({ "bytes": 1 }));
    assert_eq!(small.said["outcome"], "returned");
    // What the guest holds beside the block: its stack and data.
    let own = small.said["usage"]["memory_bytes"].as_u64().unwrap();
    both_sides(&env, "test:limits/spend.memory", |bytes| json!({ "bytes": bytes }), MEMORY - own, "memory");
    for bytes in [under(MEMORY - own), over(MEMORY - own)] {
        let large = peak(&env, "test:limits/spend.memory", &json!({ "bytes": bytes }));
        large.assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
    }
}

#[test]
fn memory_of_four_memories_together() {
    let env = with_test_key();
    install_wat(&env, "test:memories", "ops.grow", &wat("memories.wat"));
    let small = peak(&env, "test:memories/ops.grow", &json!({ "pages": 1 }));
    let each = MEMORY / PAGE / 4;
    both_sides(&env, "test:memories/ops.grow", |pages| json!({ "pages": pages }), each, "memory");
    peak(&env, "test:memories/ops.grow", &json!({ "pages": under(each) }))
        .assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
}

#[test]
fn tables_together() {
    let env = with_test_key();
    install_wat(&env, "test:tables", "ops.grow", &wat("tables.wat"));
    both_sides(
        &env,
        "test:tables/ops.grow",
        |elements| json!({ "elements": elements }),
        TABLE_ELEMENTS / 2,
        "table",
    );
}

/// Sixteen are allowed; the guest has twenty, and here also four fewer of them.
#[test]
fn instances() {
    let env = with_test_key();
    let many = wat("instances.wat");
    let fewer = many.replacen("  (core instance (instantiate $m))\n", "", 6);
    assert_eq!(fewer.matches("(core instance").count(), 14);
    install_wat(&env, "test:instances", "ops.run", &fewer);
    assert_eq!(call(&env, "test:instances/ops.run", &json!({}))["outcome"], "returned");
    fs::remove_dir_all(env.folder().join("test-instances")).unwrap();
    install_wat(&env, "test:instances", "ops.run", &many);
    assert_trapped(&call(&env, "test:instances/ops.run", &json!({})), "instances");
    fs::remove_dir_all(env.folder().join("test-instances")).unwrap();
    install_wat(&env, "test:instances", "ops.run", &fewer.replace("7", "8"));
    assert_eq!(call(&env, "test:instances/ops.run", &json!({}))["result"], 8);
}

/// How deep 512 KiB reach depends on the compiler, so the edge is found first.
#[test]
fn stack() {
    let env = with_test_key();
    install_wat(&env, "test:stack", "ops.deep", &wat("stack.wat"));
    let returns = |depth: u64| {
        let said = call(&env, "test:stack/ops.deep", &json!({ "depth": depth }));
        if said["outcome"] != "returned" {
            assert_trapped(&said, "stack");
        }
        said["outcome"] == "returned"
    };
    let (mut low, mut high) = (1_000, 1_000_000);
    assert!(returns(low) && !returns(high));
    while high - low > low / 50 {
        let middle = (low + high) / 2;
        if returns(middle) { low = middle } else { high = middle }
    }
    both_sides(&env, "test:stack/ops.deep", |depth| json!({ "depth": depth }), high, "stack");
}

/// A guest that overruns the stack that it keeps in its own memory hurts itself alone.
#[test]
fn stack_in_the_guests_memory() {
    let env = with_limits();
    assert_trapped(&call(&env, "test:limits/spend.stack", &json!({ "depth": 1_000_000 })), "out_of_bounds");
    assert_next_call_works(&env);
}

#[test]
fn stdout_stderr_and_log() {
    let env = with_limits();
    let kept = |said: &Value| -> u64 {
        let lines = said["log"].as_array().unwrap();
        lines.iter().map(|line| line.as_str().unwrap().matches('x').count() as u64).sum()
    };
    for operation in ["test:limits/spend.stdout", "test:limits/spend.stderr"] {
        both_sides(&env, operation, |bytes| json!({ "bytes": bytes }), STDIO, "stdio");
        for (bytes, said) in [(under(STDIO), under(STDIO)), (over(STDIO), STDIO)] {
            let report = call(&env, operation, &json!({ "bytes": bytes }));
            assert_eq!((kept(&report), &report["usage"]["stdio_bytes"]), (said, &json!(said)));
        }
    }
    let lines = |bytes| json!({ "lines": bytes / 1_000, "bytes": 999 });
    both_sides(&env, "test:limits/spend.log", lines, STDIO, "stdio");
    let flood = peak(&env, "test:limits/spend.log", &json!({ "lines": 1_000_000, "bytes": 999 }));
    assert_trapped(&flood.said, "stdio");
    flood.assert_grew_at_most(
        &peak(&env, "test:limits/spend.log", &lines(1_000)),
        MEMORY + PROCESS_GROWTH_MAX,
    );
}

#[test]
fn size_of_the_result() {
    let env = with_limits();
    both_sides(&env, "test:limits/spend.text", |bytes| json!({ "bytes": bytes }), OUTPUT, "output");
    // Many small values take more room in the host than their text.
    let small = peak(&env, "test:limits/spend.items", &json!({ "count": 1 }));
    let items = peak(&env, "test:limits/spend.items", &json!({ "count": 1_300_000 }));
    assert_trapped(&items.said, "output");
    items.assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
    let items = peak(&env, "test:limits/spend.items", &json!({ "count": 500_000 }));
    items.assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
}

/// The guest reads a file of 1 MiB again and again: no single read is too large.
#[test]
fn bytes_of_host_calls() {
    let env = with_writer();
    env.write("big", vec![b'b'; MIB as usize]);
    let look = |times: u64| json!({ "root": "workspace", "path": "big", "times": times });
    let small = peak(&env, "test:writer/probe.look-again", &look(1));
    let said = call(&env, "test:writer/probe.look-again", &look(under(HOST_CALL_BYTES / MIB)));
    assert_eq!(said["outcome"], "returned");
    let beyond = peak(&env, "test:writer/probe.look-again", &look(over(HOST_CALL_BYTES / MIB) + 1));
    assert_trapped(&beyond.said, "host_call_bytes");
    beyond.assert_grew_at_most(&small, MEMORY + PROCESS_GROWTH_MAX);
    assert_eq!(call(&env, "test:writer/probe.look-again", &look(1))["outcome"], "returned");
}

/// The same in a run, where artifacts are kept.
#[test]
fn bytes_of_host_calls_in_a_run() {
    let env = with_limits();
    let piece = 256 << 10;
    let fetch = |bytes: u64| {
        let arguments = json!({ "piece": piece, "times": bytes / piece - 1 });
        run_plan(&env, "test:limits", "host.fetch", &arguments)
    };
    let all = fetch(under(HOST_CALL_BYTES)).exits(0).json();
    assert_eq!(all["status"], "completed");
    let stopped = fetch(over(HOST_CALL_BYTES)).exits(1).says("host_call_bytes").says("E-CALL-TRAPPED").json();
    assert_eq!(stopped["status"], "failed");
    drop(fetch(2 * piece).exits(0));
}

/// Each look counts: the same file again and again.
#[test]
fn files() {
    let env = with_writer();
    env.write("small", "x");
    let look = |times| json!({ "root": "workspace", "path": "small", "times": times });
    both_sides(&env, "test:writer/probe.stat-times", look, FILES, "files");
    let used = call(&env, "test:writer/probe.stat-times", &look(17));
    assert_eq!((&used["usage"]["files"], &used["usage"]["file_bytes"]), (&json!(17), &json!(0)), "{used:#}");
    // In a folder that goes whole, each of its files.
    for count in [under(FILES), over(FILES)] {
        let folder = env.work().join("many");
        fs::create_dir(&folder).unwrap();
        for number in 0..count {
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
        let arguments = json!({ "root": "workspace", "source": "many", "target": "more" });
        let said = call(&env, "test:writer/raw.rename", &arguments);
        if count < FILES {
            assert_eq!(said["status"], "requires_approval", "{}", said["status"]);
        } else {
            assert_eq!(said["steps"][0]["reason"]["code"], "E-CALL-TRAPPED", "{said:#}");
            assert!(said.to_string().contains("more files and folders than it may"), "{said:#}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

/// The operation asks for 8 MiB in its manifest, less than it may move in host calls.
#[test]
fn bytes_of_files() {
    let env = with_writer();
    env.write("piece", vec![b'b'; 64 << 10]);
    let read = |bytes: u64| json!({ "root": "workspace", "path": "piece", "times": bytes / (64 << 10) });
    both_sides(&env, "test:writer/probe.read-times", read, 8 * MIB, "file_bytes");
    // A file that is not read by the guest, and counts because its digest is needed.
    for (size, fits) in [(under(FILE_BYTES), true), (over(FILE_BYTES), false)] {
        fs::File::create(env.work().join("big")).unwrap().set_len(size).unwrap();
        let arguments = json!({ "path": "big" });
        let said = call(&env, "test:writer/edit.remove", &arguments);
        assert_eq!(said["status"] == "requires_approval", fits, "{}", said["status"]);
        if !fits {
            assert!(said.to_string().contains("more bytes of files than it may"), "{said:#}");
        }
    }
}

/// The plan's budget, over the calls of a run: with nine of ten the second call fits, after ten there
/// is nothing left for it.
#[test]
fn files_and_their_bytes_of_a_run() {
    let env = with_writer();
    env.write("piece", vec![b'x'; 1_000]);
    let run = |budget: &Value, first: u32| {
        let read = |times: u32, needs: &[&str]| {
            json!({
                "call": "p/probe.read-times",
                "needs": needs,
                "with": { "root": "workspace", "path": "piece", "times": times },
            })
        };
        let plan = json!({
            "schema": "capstan.plan/v1",
            "name": "reads",
            "packs": { "p": "test:writer ^0.1" },
            "budget": budget,
            "steps": { "first": read(first, &[]), "second": read(1, &["first"]) },
        });
        let path = env.folder().join("reads.plan.yaml");
        fs::write(&path, format!("{plan:#}\n")).unwrap();
        env.json(["plan", "run", path.to_str().unwrap(), "--no-prompt"])
    };
    for (budget, part) in
        [(json!({ "files": 10 }), "files"), (json!({ "file-bytes": "10000B" }), "file-bytes")]
    {
        let fits = run(&budget, 8).exits(0).json();
        assert_eq!((&fits["usage"]["files"], &fits["usage"]["file_bytes"]), (&json!(9), &json!(9_000)));
        drop(run(&budget, 9).exits(0));
        let over = run(&budget, 10).exits(1).says("E-RUN-BUDGET").says(&format!("`{part}`")).json();
        assert_eq!((&over["status"], &over["usage"]["files"]), (&json!("failed"), &json!(10)));
        // A call gets what is left, and not what its operation may have.
        let trap = part.replace('-', "_");
        drop(run(&budget, 11).exits(1).says("E-CALL-TRAPPED").says(&trap));
    }
}

#[test]
fn random_bytes() {
    let env = with_limits();
    both_sides(
        &env,
        "test:limits/spend.baseline-random",
        |bytes| json!({ "bytes": bytes }),
        RANDOM,
        "random",
    );
    let drawn = |bytes: u64| json!({ "bytes": bytes, "piece": 65_536 });
    both_sides(&env, "test:limits/host.random", drawn, RANDOM, "random");
}

#[test]
fn handles() {
    let env = with_limits();
    both_sides(&env, "test:limits/spend.handles", |count| json!({ "count": count }), HANDLES, "handles");
}

#[test]
fn a_guest_that_stops_itself() {
    let env = with_limits();
    for operation in ["test:limits/spend.trap", "test:limits/spend.trap-in-drop"] {
        assert_trapped(&call(&env, operation, &json!({})), "unreachable");
        assert_next_call_works(&env);
    }
}

/// What a call used and how large the process became for it.
pub(crate) struct Peak {
    pub(crate) said: Value,
    /// Processor time of all its threads, in the kernel's ticks of 10 ms.
    pub(crate) ticks: u64,
    bytes: u64,
}

impl Peak {
    #[track_caller]
    pub(crate) fn assert_grew_at_most(&self, baseline: &Self, bytes_max: u64) {
        let grown = self.bytes.saturating_sub(baseline.bytes);
        assert!(grown <= bytes_max, "the process grew by {grown} bytes, more than {bytes_max}");
    }
}

/// Calls, and watches the kernel's mark of the most memory that the process ever had, and its count of
/// the processor time that it took.
pub(crate) fn peak(env: &Env, operation: &str, arguments: &Value) -> Peak {
    let mut command = env.command(["op", "call", operation, &arguments.to_string(), "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let file = |name: &str| format!("/proc/{}/{name}", child.id());
    let (status, stat) = (file("status"), file("stat"));
    let mut bytes = 0;
    while !reader.is_finished() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        bytes = bytes.max(mark.map_or(0, |kib| kib.trim().parse::<u64>().unwrap() << 10));
        std::thread::yield_now();
    }
    assert!(bytes > 0, "the process was never seen");
    // It has closed its output, and nobody has waited for it: the kernel still has its account.
    let ticks = processor_ticks(&fs::read_to_string(&stat).unwrap());
    child.wait().unwrap();
    Peak { said: serde_json::from_str(&reader.join().unwrap()).unwrap(), ticks, bytes }
}

/// The ticks in user mode and in the kernel: the fields 14 and 15 of `/proc/PID/stat`, of which the
/// second is a name that may hold anything but its last bracket.
fn processor_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
