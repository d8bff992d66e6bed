//! A component whose start function never returns: looking at it does not start it.

use std::fs;
use std::time::{Duration, Instant};

use tests::{Env, repository};

use crate::guest::{call, sign, wat, wat_pack, with_test_key};

/// How long looking into a pack may take.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// Other tests share the processor, so a slow look is looked at again; one that runs the guest is
/// never fast.
const TRIES: usize = 10;

#[track_caller]
fn assert_quick(env: &Env, words: &[&str]) {
    let quick = (0..TRIES).any(|_| {
        let start = Instant::now();
        drop(env.run(words).exits(0));
        start.elapsed() < LOOK_MAX
    });
    assert!(quick, "{words:?} took over a second {TRIES} times");
}

#[test]
fn a_start_function_that_spins_is_run_by_a_call_alone() {
    let env = with_test_key();
    let manifest = fs::read_to_string(repository().join("tests/guests/wat/spinstart/pack.toml")).unwrap();
    let folder = wat_pack(&env, "spinstart", &wat("spinstart/component.wat"), &manifest);
    let path = folder.to_str().unwrap();
    for command in ["validate", "inspect", "audit"] {
        assert_quick(&env, &["pack", command, path]);
    }
    sign(&env, &folder, "test");
    for command in ["validate", "inspect", "audit", "install"] {
        assert_quick(&env, &["pack", command, path]);
    }
    assert_quick(&env, &["pack", "audit", "test:spinstart"]);
    let said = call(&env, "test:spinstart/ops.run", &serde_json::json!({}));
    assert_eq!(said["outcome"], "trapped");
    assert!(["fuel", "deadline"].contains(&said["reason"].as_str().unwrap()), "{said:#}");
}

/// The same component without its start function is called like any other.
#[test]
fn without_the_start_function_it_returns() {
    let env = with_test_key();
    let component = wat("spinstart/component.wat").replace("(start $spin)", "");
    crate::guest::install_wat(&env, "test:spinstart", "ops.run", &component);
    let said = call(&env, "test:spinstart/ops.run", &serde_json::json!({}));
    assert_eq!((said["outcome"].as_str(), said["result"].as_u64()), (Some("returned"), Some(7)));
}
