//! Reference pack `capstan:files`: files below a granted root.
//!
//! *Invariants*
//!
//! - Paths and roots go to the host as they came; the host decides what they may reach.
//! - No file is changed here: what changes something stages it, and the host shows it to a person
//!   and applies it.

mod search;
mod tree;

capstan_sdk::pack!(Files);

impl exports::capstan::pack::health::Guest for Files {
    fn check() -> Result<String, String> {
        let found = search::Search::new("^h(e+)alth$").map_err(|error| error.to_string())?.first("health");
        match found {
            Some(1) => Ok("the regular expression engine answers".to_owned()),
            other => Err(format!("the regular expression engine found {other:?} instead of column 1")),
        }
    }
}
