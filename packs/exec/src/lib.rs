//! Reference pack `capstan:exec`: one program of the host's machine at a time.
//!
//! *Invariants*
//!
//! - A command goes to the host as it came; the host decides whether it runs.
//! - Nothing is tried again, and no output is dropped without saying so.

mod program;

capstan_sdk::pack!(Exec);

impl exports::capstan::pack::health::Guest for Exec {
    fn check() -> Result<String, String> {
        match program::text(vec![b'a', 0xff], Vec::new()) {
            (stdout, stderr, true) if stdout == "a\u{fffd}" && stderr.is_empty() => {
                Ok("output that is no text is marked".to_owned())
            }
            other => Err(format!("output that is no text became {other:?}")),
        }
    }
}
