//! What the polyglot guest is asked, whatever it is written in.

use std::path::Path;

use serde_json::{Value, json};
use tests::Env;

/// A test, by its name.
type Test = (&'static str, fn(&Installed));

/// Every test of one language in one isolation.
pub const TESTS: [Test; 8] = [
    ("it_computes", it_computes),
    ("it_finds_nothing_around_it", it_finds_nothing_around_it),
    ("its_output_is_captured_and_capped", its_output_is_captured_and_capped),
    ("it_waits_in_virtual_time", it_waits_in_virtual_time),
    ("what_spins_is_ended", what_spins_is_ended),
    ("it_reads_what_is_granted", it_reads_what_is_granted),
    ("a_plan_calls_it", a_plan_calls_it),
    ("a_reviewer_sees_that_wasi_is_inert", a_reviewer_sees_that_wasi_is_inert),
];

/// A home in which the guest of one language is installed.
pub struct Installed {
    env: Env,
    language: &'static str,
}

impl Installed {
    /// Signs nothing, compiles once.
    pub fn new(language: &'static str, pack: &Path) -> Self {
        let env = Env::with_home();
        let folder = pack.to_str().unwrap();
        drop(env.run(["pack", "install", folder, "--trust", &Env::publisher()]).exits(0));
        env.write("order.txt", "two pens, grüße\n");
        Self { env, language }
    }

    /// Has guests run on threads or in processes.
    pub fn isolate(&self, isolation: &str) {
        self.env.isolate(isolation);
    }

    /// Calls an operation, with a variable in the environment that no guest may see.
    fn call(&self, operation: &str, arguments: &Value) -> Value {
        let (operation, arguments) = (format!("test:polyglot/{operation}"), arguments.to_string());
        let words = ["op", "call", &operation, &arguments, "--no-prompt", "--format", "json"];
        let mut command = self.env.command(words);
        let outcome = tests::finish(command.env("CAPSTAN_TEST_CANARY", "canary"));
        assert!(matches!(outcome.code, Some(0..=4)), "it did not end as a call does:\n{}", outcome.said());
        outcome.json()
    }

    /// Calls an operation that returns, and gives its result.
    fn result(&self, operation: &str, arguments: &Value) -> Value {
        let said = self.call(operation, arguments);
        assert_eq!(said["outcome"], "returned", "{said:#}");
        said["result"].clone()
    }

    /// Asserts that a call ends for `reason`.
    fn traps(&self, operation: &str, arguments: &Value, reason: &str) {
        let said = self.call(operation, arguments);
        assert_eq!((&said["outcome"], &said["reason"]), (&json!("trapped"), &json!(reason)), "{said:#}");
        assert_eq!(said["error"]["code"], "E-CALL-TRAPPED");
    }
}

fn item(name: &str, price: u32, count: u32, tags: &[&str]) -> Value {
    json!({ "name": name, "price": price, "count": count, "tags": tags })
}

fn it_computes(guest: &Installed) {
    let items =
        [item("péñ", 3, 2, &["desk", "blue"]), item("😀 lamp", 90, 1, &["desk"]), item("", 90, 3, &[])];
    let expected = json!({
        "total": 366,
        "names": ["ñép", "pmal 😀", ""],
        "tags": [["blue", 1], ["desk", 2]],
        "dearest": "😀 lamp",
    });
    assert_eq!(guest.result("compute.summarise", &json!({ "items": items })), expected);
    let nothing = json!({ "total": 0, "names": [], "tags": [], "dearest": null });
    assert_eq!(guest.result("compute.summarise", &json!({ "items": [] })), nothing);
    let many: Vec<Value> = (0..2_000).map(|n| item(&format!("item {n}"), n, 1, &["many"])).collect();
    let sum = guest.result("compute.summarise", &json!({ "items": many }));
    assert_eq!((&sum["total"], &sum["tags"]), (&json!(1_999_000), &json!([["many", 2_000]])));
    for (items, problem) in [
        (json!([item("pen", 1, 1, &[]), item("gap", 1, 0, &[])]), json!({ "none-of": "gap" })),
        (json!([item("all", u32::MAX, u32::MAX, &[])]), json!("too-much")),
    ] {
        let failed = guest.call("compute.summarise", &json!({ "items": items }));
        assert_eq!((&failed["outcome"], &failed["result"]), (&json!("failed"), &problem), "{failed:#}");
    }
}

fn it_finds_nothing_around_it(guest: &Installed) {
    let (one, two) =
        (guest.result("surroundings.look", &json!({})), guest.result("surroundings.look", &json!({})));
    assert_eq!(one["environment"], json!([]), "{one:#}");
    assert_eq!(one["arguments"], json!([]), "{one:#}");
    for what in ["files", "file", "socket"] {
        assert!(one[what]["err"].is_string(), "`{what}` is there: {one:#}");
    }
    // Time is virtual and starts at zero, so that all but randomness is the same each time.
    assert!(one["now"].as_u64().is_some_and(|now| now < 1_000), "{one:#}");
    let without_random = |found: &Value| {
        let mut found = found.clone();
        found.as_object_mut().unwrap().remove("random").unwrap()
    };
    let (random, other) = (without_random(&one), without_random(&two));
    for random in [&random, &other] {
        let digits = random.as_str().unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digits}");
    }
    assert_ne!(random, other, "two calls have one seed");
    for what in ["environment", "arguments", "files", "file", "socket", "now"] {
        assert_eq!(one[what], two[what], "`{what}` differs from call to call");
    }
}

fn its_output_is_captured_and_capped(guest: &Installed) {
    let said = guest.call("surroundings.print", &json!({ "text": "hello" }));
    assert_eq!(said["outcome"], "returned", "{said:#}");
    assert_eq!(said["log"], json!(["stdout: hello", "stderr: olleh"]));
    drop(guest.result("surroundings.flood", &json!({ "bytes": 50_000 })));
    guest.traps("surroundings.flood", &json!({ "bytes": 100_000 }), "stdio");
}

fn it_waits_in_virtual_time(guest: &Installed) {
    let waited = guest.result("surroundings.wait", &json!({ "milliseconds": 40 })).as_u64().unwrap();
    assert!((40..60).contains(&waited), "it waited for 40 ms, and then it was {waited} ms later");
}

fn what_spins_is_ended(guest: &Installed) {
    assert_eq!(guest.result("compute.spin", &json!({ "rounds": 1_000 })), 1_000);
    let forever = json!({ "rounds": 1_u64 << 50 });
    guest.traps("compute.spin", &forever, "fuel");
    guest.traps("compute.spin-for-long", &forever, "deadline");
    assert_eq!(guest.result("compute.spin", &json!({ "rounds": 1_000 })), 1_000);
}

fn it_reads_what_is_granted(guest: &Installed) {
    let denied = guest.call("files.read", &json!({ "path": "order.txt" }));
    assert_eq!((&denied["outcome"], &denied["error"]["code"]), (&json!("failed"), &json!("E-CALL-DENIED")));
    let grant = ["grant", "add", "test:polyglot", "files-read=workspace:*.txt"];
    drop(guest.env.run(grant).exits(0));
    assert_eq!(guest.result("files.read", &json!({ "path": "order.txt" })), "two pens, grüße\n");
    let outside = guest.call("files.read", &json!({ "path": "order.md" }));
    assert_eq!(outside["error"]["code"], "E-CALL-DENIED", "{outside:#}");
    drop(guest.env.run(["grant", "remove", "test:polyglot", "files-read"]).exits(0));
}

fn a_plan_calls_it(guest: &Installed) {
    let plan = "\
schema: capstan.plan/v1
name: order
packs: { p: test:polyglot ^0.1 }
inputs:
  count: { type: u32, default: 2 }
steps:
  sum:
    call: p/compute.summarise
    with: { items: [{ name: pen, price: 3, count: $inputs.count, tags: [desk, blue] }, { name: ink, price: 9, count: 1, tags: [desk] }] }
  again:
    for-each: $sum.names
    call: p/compute.summarise
    with: { items: [{ name: $item, price: 1, count: 1, tags: [] }] }
  around: { call: p/surroundings.look, with: {} }
outputs:
  total: $sum.total
  tags: $sum.tags
  dearest: $sum.dearest
  names: $again
  environment: $around.environment
";
    guest.env.write("order.plan.yaml", plan);
    let run = guest.env.json(["plan", "run", "order.plan.yaml", "--no-prompt"]).exits(0).json();
    assert_eq!(run["status"], "completed", "{run:#}");
    let outputs = &run["outputs"];
    assert_eq!((&outputs["total"], &outputs["dearest"]), (&json!(15), &json!("ink")), "{run:#}");
    assert_eq!(outputs["tags"], json!([["blue", 1], ["desk", 2]]));
    let names: Vec<&Value> =
        outputs["names"].as_array().unwrap().iter().map(|one| &one["names"][0]).collect();
    assert_eq!(names, ["pen", "ink"]);
    assert_eq!(outputs["environment"], json!([]));
}

fn a_reviewer_sees_that_wasi_is_inert(guest: &Installed) {
    let inspected = guest.env.json(["pack", "inspect", "test:polyglot"]).exits(0).json();
    let baseline = inspected["baseline_imports"].as_array().unwrap();
    let wasi =
        baseline.iter().filter(|name| name.as_str().is_some_and(|name| name.starts_with("wasi:"))).count();
    assert!(wasi > 8, "it does not import WASI: {inspected:#}");
    let capabilities: Vec<&Value> =
        inspected["capabilities"].as_array().unwrap().iter().map(|row| &row["capability"]).collect();
    assert_eq!(capabilities, ["files-read"]);
    let inert = format!(
        "{wasi} interfaces of WASI: no environment, arguments, files or sockets; virtual time, seeded \
         randomness, captured output\n"
    );
    for command in ["inspect", "audit"] {
        drop(guest.env.run(["pack", command, "test:polyglot"]).exits(0).says(&inert));
    }
    // What its tools left in it of themselves is seen, and cannot be called.
    let left: &[&str] = if guest.language == "python" { &["exports"] } else { &[] };
    assert_eq!(inspected["other_exports"], json!(left));
    for name in left {
        let outcome = guest.env.run(["op", "call", &format!("test:polyglot/{name}.init"), "{}"]);
        drop(outcome.exits(2).says("has no operation"));
    }
}
