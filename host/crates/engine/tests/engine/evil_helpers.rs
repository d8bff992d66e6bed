//! Helper processes that say more than they should: what compiles, and what confines.

use base::Digest;
use engine::{
    CompileError, CompileLimits, Compiler, Engine, EngineSettings, ExecLimits, ExecRunner, ExecSettings,
    LoadError,
};

/// Why a component is not loaded that this shell script compiles.
fn compiled_by(script: &str, component: &[u8]) -> LoadError {
    let compiler = Compiler {
        program: "/bin/sh".into(),
        arguments: ["-c", script].map(Into::into).to_vec(),
        limits: CompileLimits::DEFAULT,
    };
    let engine = Engine::new(EngineSettings { cache: None, compiler: Some(compiler) }).unwrap();
    engine.load(component, &Digest::of(component)).err().unwrap()
}

#[track_caller]
fn assert_limit(error: &LoadError, what: &str) {
    let LoadError::Compile(CompileError::Limit(limit)) = error else { panic!("{error:?}") };
    assert_eq!(limit, what);
}

#[test]
fn no_more_is_compiled_than_a_component_may_have() {
    const REFUSES: &str = "cat > /dev/null; echo no >&2; exit 4";
    let most = 64 << 20;
    let error = compiled_by(REFUSES, &vec![0; most]);
    let LoadError::Compile(CompileError::Invalid(why)) = &error else { panic!("{error:?}") };
    assert_eq!(why, "no");
    assert_limit(&compiled_by(REFUSES, &vec![0; most + 1]), "64MiB of WebAssembly");
}

#[test]
fn no_more_native_code_is_taken_than_a_component_may_have() {
    let most = 512 << 20;
    let error = compiled_by(&format!("head -c {most} /dev/zero"), b"a");
    assert!(!matches!(&error, LoadError::Compile(CompileError::Limit(_))), "{error:?}");
    assert_limit(&compiled_by(&format!("head -c {} /dev/zero", most + 1), b"a"), "512MiB of native code");
}

#[test]
fn of_a_reason_no_more_is_taken_than_people_read() {
    let error = compiled_by("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 4", b"a");
    let LoadError::Compile(CompileError::Invalid(why)) = &error else { panic!("{error:?}") };
    assert!((4_000..5_000).contains(&why.len()), "{}", why.len());
}

/// What a trial says whose confining process is this shell script.
fn confined_by(script: &str) -> Result<usize, String> {
    let runner = ExecRunner::new(ExecSettings {
        helper: "/bin/sh".into(),
        arguments: ["-c", script].map(Into::into).to_vec(),
        search: Vec::new(),
        limits: ExecLimits::DEFAULT,
    });
    runner.trial().map(<[_]>::len).map_err(|error| error.to_string())
}

#[test]
fn of_a_report_no_more_is_taken_than_one_has() {
    // It reads what it is told first: who closes a socket with something unread in it resets it.
    let report = |room: usize| {
        format!("dd bs=65536 count=1 of=/dev/null 2>/dev/null; printf '{{\"tried\":[]}}%{room}s' '' >&0")
    };
    assert_eq!(confined_by(&report(60 << 10)), Ok(0));
    let refused = confined_by(&report(70 << 10)).unwrap_err();
    assert!(refused.contains("says too much"), "{refused}");
}
