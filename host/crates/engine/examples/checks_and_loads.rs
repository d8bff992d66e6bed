//! Measures what a host call asks of a call's authority, and how long a component of a megabyte takes
//! to be ready: compiled, and taken from the cache.
//!
//! `cargo run -p engine --example checks_and_loads -- <an empty folder>`

#![expect(clippy::disallowed_methods, reason = "it measures durations")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use authority::{Authority, Ceiling, Grant, Grants, HttpUrl, Request, Scope, Signer};
use base::{Capability, Digest, Effect, PackId, RootName, Timestamp};
use engine::{CacheSettings, Engine, EngineSettings};

type Failure = Box<dyn std::error::Error>;

/// Scopes of every form; the one that holds what is asked for is the last.
const PATHS: [&str; 4] =
    ["workspace:docs/**/*.md", "workspace:{a,b}?c/*", "workspace:src/*_test.rs", "workspace:**"];
const URLS: [&str; 3] = ["https://*.example.com/v{1,2}/**", "https://*:*/*/*.json", "https://*:*/**"];
/// Rounds of a check.
const CHECKS: u32 = 1_000_000;
/// Rounds of compiling, and of loads from the cache after each.
const COMPILED: usize = 3;
const LOADED: usize = 20;

fn authority() -> Result<Authority, Failure> {
    let pack: PackId = "acme:notes".parse()?;
    let signer = Signer::of_fingerprint(&"signer");
    let (mut request, mut grants, mut ceiling) = (Request::new(), Grants::new(), Ceiling::closed());
    for (capability, texts) in [(Capability::FilesRead, &PATHS[..]), (Capability::HttpRead, &URLS[..])] {
        let scopes =
            texts.iter().map(|text| Scope::parse(capability, text)).collect::<Result<Vec<_>, _>>()?;
        request.insert(capability, scopes.clone())?;
        ceiling.allow(capability, Some(scopes))?;
        for text in texts {
            let mut grant = Grant::parse(&pack, &format!("{capability}={text}"))?.to_signer(signer.clone());
            grant.terms.may_disclose = capability.discloses();
            grants.add(grant);
        }
    }
    Ok(Authority::of(&request, &grants.in_force(&pack, &signer, Timestamp(0)), &ceiling, Effect::Read))
}

/// Nanoseconds of one check.
fn each(check: impl Fn() -> bool) -> Result<f64, Failure> {
    let started = Instant::now();
    for _ in 0..CHECKS {
        if !black_box(check()) {
            return Err("it was refused".into());
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS))
}

/// A component of about a megabyte: one module of many functions.
fn large() -> Result<Vec<u8>, Failure> {
    let mut text = String::from("(component (core module $M\n");
    for number in 0..3_500 {
        write!(text, "(func (export \"f{number}\") (param i64 i64) (result i64) ")?;
        for step in 0..30 {
            write!(text, "(local.set 0 (i64.add (i64.mul (local.get 0) (local.get 1)) (i64.const {step})))")?;
        }
        text.push_str(" (local.get 0))\n");
    }
    text.push_str(") (core instance (instantiate $M)))");
    Ok(wat::parse_str(text)?)
}

fn middle(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

#[expect(clippy::print_stdout, reason = "a measurement is for reading")]
fn main() -> Result<(), Failure> {
    let authority = authority()?;
    let root: RootName = "workspace".parse()?;
    let url = HttpUrl::parse("https://other.net:8443/a/b.json?c=d")?;
    let path = "host/crates/engine/src/lib.rs";
    let paths = each(|| authority.permits_path(Capability::FilesRead, &root, black_box(path)).is_ok())?;
    let urls = each(|| authority.permits_url(Capability::HttpRead, black_box(&url)).is_ok())?;
    println!("a path    {paths:7.0} ns\na URL     {urls:7.0} ns");

    let Some(cache) = std::env::args_os().nth(1).map(PathBuf::from) else { return Ok(()) };
    std::fs::create_dir_all(&cache)?;
    let bytes = large()?;
    let digest = Digest::of(&bytes);
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for round in 0..COMPILED {
        let folder = cache.join(round.to_string());
        let load = || -> Result<Duration, Failure> {
            let cache = CacheSettings { folder: folder.clone(), secret: [7; 32] };
            // An engine of its own, so that nothing is known of the component but its file.
            let engine = Engine::new(EngineSettings { cache: Some(cache), compiler: None })?;
            let started = Instant::now();
            drop(engine.load(&bytes, &digest)?);
            Ok(started.elapsed())
        };
        cold.push(load()?);
        for _ in 0..LOADED {
            warm.push(load()?);
        }
    }
    println!(
        "{} bytes: compiled {:.1} ms, from the cache {:.2} ms (p50)",
        bytes.len(),
        middle(&mut cold),
        middle(&mut warm)
    );
    Ok(())
}
