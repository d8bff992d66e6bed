//! What installs, what is linked live and what a call may do agree, for components that import any
//! of the host's interfaces, under any manifest, grants, ceiling and effect; and none exceeds what
//! all of these leave, as an oracle says that knows each scope's few places by heart.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "the helpers of tests stop at the first surprise, and make folders of their own"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use authority::{Authority, Ceiling, Grant, Grants, Scope, Signer, Terms};
use base::{Capability, Clock, Code, Digest, Effect, Limits, Timestamp};
use engine::files::Roots;
use engine::{
    ArtifactError, Artifacts, CancelToken, Engine, EngineSettings, ExecLimits, ExecRunner, ExecSettings,
    HostContext, HttpClient, HttpSettings, Invocation, Models, Outcome,
};
use pack::PackFiles;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use values::{FunctionType, Type, Value};

use Capability::{
    Artifacts as Keep, Clock as Time, FilesRead, FilesWrite, HttpRead, HttpSend, Log, Model, Random, Secrets,
};

/// The places that there are, and the scopes that hold them. Calls reach for the first of each kind.
const PLACES: [(&str, &[&str]); 12] = [
    ("default", &["default"]),
    ("small", &["small"]),
    ("tok@127.0.0.1:header:x", &["tok"]),
    ("tok@a.b:header:x", &["tok elsewhere"]),
    ("workspace:**", &["workspace:a", "workspace:b"]),
    ("workspace:a", &["workspace:a"]),
    ("workspace:b", &["workspace:b"]),
    ("other:**", &["other:a"]),
    ("http://*/**", &["http a", "http b"]),
    ("http://127.0.0.1/a", &["http a"]),
    ("http://127.0.0.1/b", &["http b"]),
    ("https://*/**", &["https a"]),
];

fn holds(scope: &str) -> BTreeSet<&'static str> {
    PLACES.iter().filter(|(name, _)| *name == scope).flat_map(|(_, places)| places.iter().copied()).collect()
}

/// What a call of the capability reaches for; none where there are no scopes.
fn target(capability: Capability) -> Option<&'static str> {
    match capability {
        FilesRead | FilesWrite => Some("workspace:a"),
        HttpRead | HttpSend => Some("http a"),
        Model => Some("default"),
        _ => None,
    }
}

/// A capability with the scopes given for it: none for one without.
type Held = BTreeMap<Capability, BTreeSet<&'static str>>;

#[derive(Debug, Clone)]
struct Given {
    capability: Capability,
    scope: Option<&'static str>,
    is_signers: bool,
    has_ended: bool,
    may_disclose: bool,
}

#[derive(Debug, Clone)]
struct World {
    imports: BTreeSet<Capability>,
    asked: Held,
    given: Vec<Given>,
    /// An empty set of scopes allows all of a capability.
    ceiling: Option<Held>,
    effect: Effect,
}

fn scope_of(capability: Capability) -> impl Strategy<Value = Option<&'static str>> {
    let scopes: &[&str] = match capability {
        FilesRead | FilesWrite => &["workspace:**", "workspace:a", "workspace:b", "other:**"],
        HttpRead | HttpSend => &["http://*/**", "http://127.0.0.1/a", "http://127.0.0.1/b", "https://*/**"],
        Model => &["default", "small"],
        Secrets => &["tok@127.0.0.1:header:x", "tok@a.b:header:x"],
        _ => return Just(None).boxed(),
    };
    prop::sample::select(scopes).prop_map(Some).boxed()
}

fn importable() -> Vec<Capability> {
    known().into_iter().filter(|capability| capability.has_interface()).collect()
}

fn grantable() -> impl Strategy<Value = Capability> {
    prop::sample::select(known().into_iter().filter(|c| c.needs_grant()).collect::<Vec<_>>())
}

/// All but `exec`, whose scopes are commands: those are tried one by one in `tests/sandbox/exec`.
fn known() -> Vec<Capability> {
    Capability::ALL.into_iter().filter(|capability| *capability != Capability::Exec).collect()
}

fn held(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Held> {
    let one = grantable().prop_flat_map(|capability| (Just(capability), scope_of(capability)));
    vec(one, sizes).prop_map(|all| {
        let mut held = Held::new();
        for (capability, scope) in all {
            held.entry(capability).or_default().extend(scope);
        }
        held
    })
}

impl Given {
    /// Whether it is a grant of `capability` that is in force.
    fn counts(&self, capability: Capability) -> bool {
        self.capability == capability && self.is_signers && !self.has_ended
    }
}

fn given() -> impl Strategy<Value = Given> {
    let with_scope = grantable().prop_flat_map(|capability| (Just(capability), scope_of(capability)));
    (with_scope, prop::bool::weighted(0.8), prop::bool::weighted(0.2), any::<bool>()).prop_map(
        |((capability, scope), is_signers, has_ended, discloses)| {
            let may_disclose = discloses && capability == HttpRead;
            Given { capability, scope, is_signers, has_ended, may_disclose }
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let imports = btree_set(prop::sample::select(importable()), 0..9);
    let effect = prop::sample::select(Effect::ALL.to_vec());
    (imports, held(0..14), vec(given(), 0..12), option::weighted(0.4, held(0..10)), effect, any::<u8>())
        .prop_map(|(imports, mut asked, mut given, ceiling, effect, all_asked)| {
            // Most worlds ask for what they import, so that most are installed.
            if all_asked > 50 {
                for capability in
                    imports.iter().filter(|c| c.needs_grant() && !asked.contains_key(c)).collect::<Vec<_>>()
                {
                    let scopes = match target(*capability) {
                        Some("http a") => BTreeSet::from(["http://*/**"]),
                        Some("default") => BTreeSet::from(["default"]),
                        Some(_) => BTreeSet::from(["workspace:**"]),
                        None => BTreeSet::new(),
                    };
                    asked.insert(*capability, scopes);
                }
                asked.retain(|capability, _| effect >= least_effect(*capability));
            }
            let mut seen = BTreeSet::new();
            given.retain(|given| seen.insert((given.capability, given.scope)));
            World { imports, asked, given, ceiling, effect }
        })
}

fn least_effect(capability: Capability) -> Effect {
    match capability {
        Log => Effect::Pure,
        FilesWrite => Effect::Write,
        HttpSend => Effect::External,
        _ => Effect::Read,
    }
}

impl World {
    /// Why it does not install.
    fn refusal(&self) -> Option<Code> {
        if self.imports.iter().any(|capability| *capability != Log && !self.asked.contains_key(capability)) {
            return Some(Code::ImportUndeclared);
        }
        let above = self.asked.keys().any(|capability| self.effect < least_effect(*capability));
        above.then_some(Code::ImportAboveEffect)
    }

    /// The places that a capability may be used for; of one without scopes, whether it may be used is
    /// whether there is one.
    fn reach(&self, capability: Capability) -> BTreeSet<&'static str> {
        let all = |scopes: &BTreeSet<&'static str>| -> BTreeSet<&'static str> {
            if scopes.is_empty() {
                BTreeSet::from(["all"])
            } else {
                scopes.iter().flat_map(|s| holds(s)).collect()
            }
        };
        let Some(asked) = self.asked.get(&capability) else { return BTreeSet::new() };
        let mut reach = all(asked);
        if let Some(ceiling) = &self.ceiling {
            match ceiling.get(&capability) {
                None => reach.clear(),
                Some(scopes) if scopes.is_empty() => {}
                Some(scopes) => reach = &reach & &all(scopes),
            }
        }
        if self.effect < least_effect(capability) {
            reach.clear();
        }
        reach
    }

    /// What of its reach grants give.
    fn granted(&self, capability: Capability) -> Option<BTreeSet<&'static str>> {
        let mut scopes = self.given.iter().filter(|given| given.counts(capability)).peekable();
        scopes.peek()?;
        Some(scopes.flat_map(|given| given.scope.map_or(BTreeSet::from(["all"]), holds)).collect())
    }

    /// A source that is asked for, left by the ceiling and granted, be it for other places.
    fn has_source(&self) -> bool {
        [FilesRead, Keep, Secrets].into_iter().any(|source| self.live(source))
    }

    fn live(&self, capability: Capability) -> bool {
        capability == Log || (!self.reach(capability).is_empty() && self.granted(capability).is_some())
    }

    fn permits(&self, capability: Capability) -> bool {
        let target = target(capability).unwrap_or("all");
        let granted = self.granted(capability).unwrap_or_default();
        capability == Log || (self.reach(capability).contains(target) && granted.contains(target))
    }

    /// Whether what is permitted waits for an approval.
    fn holds(&self, capability: Capability) -> bool {
        let says_so = |given: &Given| {
            let holds = given.scope.map(holds).unwrap_or_default();
            given.counts(HttpRead) && given.may_disclose && holds.contains("http a")
        };
        match capability {
            HttpSend => true,
            HttpRead => self.has_source() && !self.given.iter().any(says_so),
            _ => false,
        }
    }

    fn manifest(&self) -> String {
        let mut text = "[pack]\nid = \"test:any\"\nversion = \"0.1.0\"\nlicense = \"MIT\"\n".to_owned();
        for name in self.imports.iter().map(|c| c.as_str()).chain(["nothing"]) {
            text +=
                &format!("\n[operations.\"ops.{name}\"]\neffect = \"{}\"\nidempotent = true\n", self.effect);
        }
        text += "\n[capabilities]\n";
        for (capability, scopes) in &self.asked {
            let scopes: Vec<_> = scopes.iter().collect();
            text += &if *capability == Secrets {
                let secret = |scope: &&&str| {
                    let (name, rest) = scope.split_once('@').unwrap();
                    let host = rest.strip_suffix(":header:x").unwrap();
                    format!("{{ name = \"{name}\", as = \"header:x\", host = \"{host}\" }}")
                };
                let secrets: Vec<_> = scopes.iter().map(secret).collect();
                format!("{capability} = [{}]\n", secrets.join(", "))
            } else if scopes.is_empty() {
                format!("{capability} = true\n")
            } else {
                format!("{capability} = {scopes:?}\n")
            };
        }
        text
    }

    fn authority(&self, request: &authority::Request) -> Authority {
        let id: base::PackId = "test:any".parse().unwrap();
        let [signer, other] = ["signer", "another"].map(|name| Signer::of_fingerprint(&name));
        let scope = |capability, text: &&str| Scope::parse(capability, text).unwrap();
        let mut grants = Grants::new();
        for Given { capability, scope: text, is_signers, has_ended, may_disclose } in &self.given {
            let terms = Terms {
                signer: Some(if *is_signers { signer.clone() } else { other.clone() }),
                expires: has_ended.then_some(Timestamp(1)),
                may_disclose: *may_disclose,
                ..Terms::default()
            };
            let scopes = text.iter().map(|text| scope(*capability, text)).collect();
            grants.add(Grant { pack: id.clone(), capability: *capability, scopes, terms });
        }
        let mut ceiling = if self.ceiling.is_some() { Ceiling::closed() } else { Ceiling::none() };
        for (capability, texts) in self.ceiling.iter().flatten() {
            let scopes: Vec<_> = texts.iter().map(|text| scope(*capability, text)).collect();
            ceiling.allow(*capability, Some(scopes).filter(|scopes| !scopes.is_empty())).unwrap();
        }
        Authority::of(request, &grants.in_force(&id, &signer, Timestamp(1)), &ceiling, self.effect)
    }
}

/// What one import is in the text of a component: the instance, the lowered function's core type, and
/// the body of the function that calls it. It gives 100 for an answer, else the number of the error.
fn import(capability: Capability) -> (&'static str, &'static str, &'static str) {
    match capability {
        FilesRead => (
            r#"(type $fe' (variant (case "denied" string) (case "not-found") (case "exists")
                (case "not-a-file") (case "not-a-directory") (case "invalid-path" string) (case "too-large")
                (case "io" string))) (export "file-error" (type $fe (eq $fe')))
               (export "read" (func (param "root" string) (param "path" string)
                (result (result (list u8) (error $fe)))))"#,
            "read (param i32 i32 i32 i32 i32)",
            "(call $f (i32.const 32) (i32.const 9) (i32.const 48) (i32.const 1) (i32.const 64)) (call $case)",
        ),
        FilesWrite => (
            r#"(type $fe' (variant (case "denied" string) (case "not-found") (case "exists")
                (case "not-a-file") (case "not-a-directory") (case "invalid-path" string) (case "too-large")
                (case "io" string))) (export "file-error" (type $fe (eq $fe')))
               (export "write" (func (param "root" string) (param "path" string) (param "contents" (list u8))
                (result (result (error $fe)))))"#,
            "write (param i32 i32 i32 i32 i32 i32 i32)",
            "(call $f (i32.const 32) (i32.const 9) (i32.const 48) (i32.const 1) (i32.const 0) (i32.const 1)
              (i32.const 64)) (call $case)",
        ),
        HttpRead => (
            r#"(type $he' (variant (case "denied" string) (case "invalid-url" string) (case "invalid-header" string)
                (case "resolve" string) (case "refused-address" string) (case "connect" string) (case "tls" string)
                (case "timeout") (case "too-large") (case "protocol" string)
                (case "secret" string)))
               (export "http-error" (type $he (eq $he')))
               (type $m' (enum "get" "head")) (export "method" (type $m (eq $m')))
               (type $h' (record (field "name" string) (field "value" string))) (export "header" (type $h (eq $h')))
               (type $q' (record (field "method" $m) (field "url" string) (field "headers" (list $h))
                (field "secrets" (list string))))
               (export "request" (type $q (eq $q')))
               (type $r' (record (field "status" u16) (field "headers" (list $h)) (field "body" (list u8))))
               (export "response" (type $r (eq $r')))
               (export "fetch" (func (param "request" $q) (result (result $r (error $he)))))"#,
            "fetch (param i32 i32 i32 i32 i32 i32 i32 i32)",
            "(call $f (i32.const 0) (i32.const 0) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 64)) (call $case)",
        ),
        HttpSend => (
            r#"(type $he' (variant (case "denied" string) (case "invalid-url" string) (case "invalid-header" string)
                (case "resolve" string) (case "refused-address" string) (case "connect" string) (case "tls" string)
                (case "timeout") (case "too-large") (case "protocol" string)
                (case "secret" string)))
               (export "http-error" (type $he (eq $he')))
               (type $m' (enum "post" "put" "patch" "delete")) (export "method" (type $m (eq $m')))
               (type $h' (record (field "name" string) (field "value" string))) (export "header" (type $h (eq $h')))
               (type $q' (record (field "method" $m) (field "url" string) (field "headers" (list $h))
                (field "secrets" (list string))
                (field "body" (list u8))))
               (export "request" (type $q (eq $q')))
               (type $r' (record (field "status" u16) (field "headers" (list $h)) (field "body" (list u8))))
               (export "response" (type $r (eq $r')))
               (export "send" (func (param "request" $q) (result (result $r (error $he)))))"#,
            "send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)",
            "(call $f (i32.const 0) (i32.const 0) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 64)) (call $case)",
        ),
        Capability::Exec => unreachable!("it is not among those that are tried"),
        Keep => (
            r#"(type $ae' (variant (case "denied" string) (case "not-found") (case "too-large") (case "io" string)))
               (export "artifact-error" (type $ae (eq $ae')))
               (export "put" (func (param "contents" (list u8)) (param "media-type" string)
                (result (result string (error $ae)))))"#,
            "put (param i32 i32 i32 i32 i32)",
            "(call $f (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)) (call $case)",
        ),
        Model => (
            r#"(type $me' (variant (case "denied" string) (case "unavailable" string) (case "invalid-request" string)
                (case "invalid-schema" string) (case "mismatch" string) (case "refused" string)
                (case "failed" string) (case "timeout"))) (export "model-error" (type $me (eq $me')))
               (type $ro' (enum "system" "user" "assistant")) (export "role" (type $ro (eq $ro')))
               (type $m' (record (field "role" $ro) (field "text" string))) (export "message" (type $m (eq $m')))
               (type $q' (record (field "model" string) (field "messages" (list $m)) (field "schema" (option string))
                (field "max-tokens" u32) (field "temperature" (option u8))))
               (export "request" (type $q (eq $q')))
               (type $a' (record (field "text" string) (field "complete" bool) (field "input-tokens" u64)
                (field "output-tokens" u64) (field "cost" u64)))
               (export "answer" (type $a (eq $a')))
               (export "ask" (func (param "request" $q) (result (result $a (error $me)))))"#,
            "ask (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)",
            // An answer has numbers of 64 bits, so that what stands beside it is farther away.
            "(call $f (i32.const 50) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 64))
             (i32.store8 (i32.const 68) (i32.load8_u (i32.const 72))) (call $case)",
        ),
        Time => {
            (r#"(export "now" (func (result u64)))"#, "now (result i64)", "(drop (call $f)) (i32.const 100)")
        }
        Random => (
            r#"(export "bytes" (func (param "length" u32) (result (list u8))))"#,
            "bytes (param i32 i32)",
            "(call $f (i32.const 4) (i32.const 64)) (i32.const 100)",
        ),
        Secrets => unreachable!("it has no interface"),
        Log => (
            r#"(type $l' (enum "debug" "info" "warn" "error")) (export "level" (type $l (eq $l')))
               (export "log" (func (param "level" $l) (param "message" string)))"#,
            "log (param i32 i32 i32)",
            "(call $f (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 100)",
        ),
    }
}

/// A component with one function for each of its imports, and one that calls none.
fn component(imports: &BTreeSet<Capability>) -> Vec<u8> {
    let [mut outer, mut lowered, mut modules, mut lifts, mut exports]: [String; 5] = Default::default();
    for capability in imports {
        let (instance, function, body) = import(*capability);
        let (name, ty) = function.split_once(' ').unwrap();
        outer +=
            &format!("(import \"capstan:host/{capability}@0.1.0\" (instance ${capability} {instance}))\n");
        lowered += &format!(
            "(core func $l-{capability} (canon lower (func ${capability} \"{name}\") (memory $memory) (realloc $realloc)))
             (core instance $h-{capability} (export \"f\" (func $l-{capability})))\n"
        );
        modules += &format!(
            "(core module $m-{capability} (import \"heap\" \"memory\" (memory 0)) (import \"host\" \"f\" (func $f {ty}))
               (func $case (result i32) (select (i32.load8_u (i32.const 68)) (i32.const 100) (i32.load8_u (i32.const 64))))
               (func (export \"run\") (result i32) {body}))
             (core instance $i-{capability} (instantiate $m-{capability} (with \"heap\" (instance $heap))
               (with \"host\" (instance $h-{capability}))))\n"
        );
        lifts += &format!(
            "(func $f-{capability} (result u32) (canon lift (core func $i-{capability} \"run\")))\n"
        );
        exports += &format!("(export \"{capability}\" (func $f-{capability}))");
    }
    let text: String = format!(
        r#"(component {outer}
          (core module $Heap (memory (export "memory") 1)
            (data (i32.const 0) "http://127.0.0.1/a") (data (i32.const 32) "workspace") (data (i32.const 48) "a") (data (i32.const 50) "default")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
            (func (export "nothing") (result i32) (i32.const 100)))
          (core instance $heap (instantiate $Heap))
          (alias core export $heap "memory" (core memory $memory))
          (alias core export $heap "realloc" (core func $realloc))
          {lowered} {modules} {lifts}
          (func $f-nothing (result u32) (canon lift (core func $heap "nothing")))
          (instance $ops {exports} (export "nothing" (func $f-nothing)))
          (export "test:any/ops@0.1.0" (instance $ops)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }
}

impl Artifacts for Fixed {
    fn put(&self, _: &Digest, _: &[u8], _: &str) -> Result<(), ArtifactError> {
        Ok(())
    }

    fn get(&self, _: &Digest, _: u64) -> Result<Vec<u8>, ArtifactError> {
        Err(ArtifactError::NotFound)
    }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineSettings::default()).unwrap())
}

/// How the host answered a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Denied,
    Held,
    Answered,
}

impl Said {
    fn expected(permits: bool, holds: bool) -> Self {
        match (permits, holds) {
            (false, _) => Self::Denied,
            (true, true) => Self::Held,
            (true, false) => Self::Answered,
        }
    }
}

fn said(program: &engine::Program, authority: &Authority, name: &str, folder: &Path) -> Said {
    let report = program.invoke(Invocation {
        interface: "ops".to_owned(),
        function: name.to_owned(),
        signature: FunctionType { params: Vec::new(), result: Some(Type::U32) },
        arguments: Vec::new(),
        limits: Limits::DEFAULT,
        authority: authority.clone(),
        host: HostContext {
            roots: Arc::new(Roots::open([("workspace".parse().unwrap(), folder.to_owned())]).unwrap()),
            artifacts: Arc::new(Fixed),
            http: HttpClient::new(HttpSettings::default()).unwrap(),
            exec: ExecRunner::new(ExecSettings {
                helper: "/nonexistent".into(),
                arguments: Vec::new(),
                search: Vec::new(),
                limits: ExecLimits::DEFAULT,
            }),
            models: Models {
                client: HttpClient::new(HttpSettings::default()).unwrap(),
                by_name: BTreeMap::new(),
            },
            secrets: BTreeMap::new(),
            clock: Arc::new(Fixed),
            seed: [0; 32],
        },
        call_id: String::new(),
        tape: None,
        cancel: CancelToken::default(),
    });
    match report.outcome {
        Outcome::Returned(Some(Value::U32(case))) => {
            // A private address is as far as a request gets that was permitted, and no message a question.
            assert!(matches!((name, case), (_, 0 | 100) | ("http-read", 4) | ("model", 2)), "{name}: {case}");
            assert_eq!(!matches!(case, 2 | 100), report.denied.len() == 1, "{name}: {:?}", report.denied);
            if case == 0 { Said::Denied } else { Said::Answered }
        }
        // What is permitted goes as far as the approval.
        Outcome::Held(_) => Said::Held,
        Outcome::Denied(_) => Said::Denied,
        other => panic!("{name}: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn installing_linking_and_calling_agree(world in world()) {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        fs::create_dir(&work).unwrap();
        fs::write(work.join("a"), "a").unwrap();
        let pack = folder.path().join("pack");
        fs::create_dir(&pack).unwrap();
        let component = component(&world.imports);
        fs::write(pack.join("component.wasm"), &component).unwrap();
        fs::write(pack.join("wit.wasm"), wat::parse_str("(component)").unwrap()).unwrap();
        fs::write(pack.join("pack.toml"), world.manifest()).unwrap();

        let validated = pack::validate(&PackFiles::read(&pack).unwrap());
        prop_assert_eq!(validated.as_ref().err().map(|refusal| refusal.code), world.refusal(), "{:?}", validated.err());
        let Ok((manifest, inspection)) = validated else { return Ok(()) };
        prop_assert_eq!(inspection.imports.len(), world.imports.len());

        let authority = world.authority(&manifest.request);
        let program = engine().load(&component, &Digest::of(&component)).unwrap();
        let live: BTreeSet<_> = world.imports.iter().copied().filter(|capability| world.live(*capability)).collect();
        prop_assert_eq!(program.live(&authority), live);
        for capability in &world.imports {
            let expected = Said::expected(world.permits(*capability), world.holds(*capability));
            let said = said(&program, &authority, capability.as_str(), &work);
            prop_assert_eq!(said, expected, "{}", capability);
            // Whatever a call comes to, a plan stopped for it.
            prop_assert!(said != Said::Held || *capability == HttpSend || authority.holds_disclosure());
        }
        prop_assert_eq!(said(&program, &authority, "nothing", &work), Said::Answered);
    }
}
