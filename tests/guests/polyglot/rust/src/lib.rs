//! The polyglot guest in Rust, for `wasm32-wasip2`: what it asks for, its standard library asks WASI for.

#![expect(clippy::disallowed_methods, reason = "it tries all that a program of WASI could reach")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime};

use bindings::capstan::host::files_read;
use bindings::exports::test::polyglot::{compute, files, surroundings};
use compute::{Item, Problem, Summary};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../../wit/host", "../wit"],
        world: "test:polyglot/polyglot",
        generate_all,
    });
}

/// Exactly what JavaScript's numbers count to.
const MOST: u64 = (1 << 53) - 1;

struct Polyglot;

fn count_to(rounds: u64) -> u64 {
    let mut done = 0;
    while black_box(done) < rounds {
        done += 1;
    }
    done
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

impl compute::Guest for Polyglot {
    fn summarise(items: Vec<Item>) -> Result<Summary, Problem> {
        if let Some(item) = items.iter().find(|item| item.count == 0) {
            return Err(Problem::NoneOf(item.name.clone()));
        }
        let costs = items.iter().map(|item| u64::from(item.price) * u64::from(item.count));
        let total = costs.fold(0_u64, u64::saturating_add);
        if total > MOST {
            return Err(Problem::TooMuch);
        }
        let mut tags = BTreeMap::<String, u32>::new();
        for tag in items.iter().flat_map(|item| &item.tags) {
            *tags.entry(tag.clone()).or_default() += 1;
        }
        // Of equals, the iterator's maximum is the last.
        let dearest = items.iter().rev().max_by_key(|item| item.price).map(|item| item.name.clone());
        let names = items.iter().map(|item| reversed(&item.name)).collect();
        Ok(Summary { total, names, tags: tags.into_iter().collect(), dearest })
    }

    fn spin(rounds: u64) -> u64 {
        count_to(rounds)
    }

    fn spin_for_long(rounds: u64) -> u64 {
        count_to(rounds)
    }
}

/// A random number of the standard library, which keeps its source of them to itself.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

fn names_in_root() -> std::io::Result<Vec<String>> {
    let names = std::fs::read_dir("/")?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

impl surroundings::Guest for Polyglot {
    fn look() -> surroundings::Found {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        surroundings::Found {
            environment: std::env::vars().map(|(name, _)| name).collect(),
            arguments: std::env::args().skip(1).collect(),
            files: names_in_root().map_err(|error| error.to_string()),
            file: std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string()),
            socket: std::net::TcpStream::connect(("127.0.0.1", 9))
                .map(|_| "connected".to_owned())
                .map_err(|error| error.to_string()),
            now: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            random: format!("{:016x}{:016x}", random(), random()),
        }
    }

    fn print(text: String) {
        println!("{text}");
        eprintln!("{}", reversed(&text));
    }

    fn flood(bytes: u32) {
        let piece = [b'x'; 1024];
        let mut out = std::io::stdout().lock();
        for at in (0..bytes as usize).step_by(piece.len()) {
            let length = piece.len().min(bytes as usize - at);
            out.write_all(&piece[..length]).expect("standard output is open");
        }
        out.flush().expect("standard output is open");
    }

    fn wait(milliseconds: u32) -> u64 {
        let start = Instant::now();
        std::thread::sleep(Duration::from_millis(milliseconds.into()));
        u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl files::Guest for Polyglot {
    fn read(path: String) -> Result<String, String> {
        let bytes = files_read::read("workspace", &path).map_err(|error| format!("{error:?}"))?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }
}

bindings::export!(Polyglot with_types_in bindings);
