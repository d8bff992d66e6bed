//! Reference pack `capstan:http`: the web.
//!
//! *Invariants*
//!
//! - URLs go to the host as they came; the host decides what they may reach.
//! - No redirect is followed here either: whoever wrote the plan sees each hop.

mod fetch;
mod json;
mod submit;

capstan_sdk::pack!(Http);

impl exports::capstan::pack::health::Guest for Http {
    fn check() -> Result<String, String> {
        match json::at(br#"{"a": [1, {"b/c": true}]}"#, "/a/1/b~1c") {
            Ok(value) if value == "true" => Ok("JSON pointers find what they point at".to_owned()),
            other => Err(format!("a JSON pointer found {other:?} instead of true")),
        }
    }
}
