//! What `pack build` needs of the WebAssembly tools: for the author's own files, which are
//! trusted like any source code that is compiled.

use std::path::Path;

use base::{Code, Refusal};
use wasmparser::Parser;
use wit_component::ComponentEncoder;
use wit_parser::Resolve;

use crate::text::shown;

/// The WIT package in `wit_dir` (and `wit_dir/deps`) in binary form, doc comments included.
///
/// # Errors
/// [`Code::WitMalformed`] with the parser's report.
pub fn encode_wit(wit_dir: &Path) -> Result<Vec<u8>, Refusal> {
    let mut resolve = Resolve::default();
    let pushed = resolve.push_dir(wit_dir);
    let (package, _) = pushed.map_err(|error| malformed(&resolve.render_error(&error)))?;
    wit_component::encode(&resolve, package).map_err(|error| malformed(&format!("{error:#}")))
}

/// The component of a core module that was built with WIT bindings. Bytes that are a component
/// already come back unchanged.
///
/// # Errors
/// [`Code::WitMalformed`] if the module does not fit the WIT world that it carries.
pub fn componentize(core_module: &[u8]) -> Result<Vec<u8>, Refusal> {
    if Parser::is_component(core_module) {
        return Ok(core_module.to_vec());
    }
    ComponentEncoder::default()
        .validate(true)
        .module(core_module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| malformed(&format!("{error:#}")))
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(Code::WitMalformed, shown_lines(why))
}

/// The tools' reports have several lines; those stay.
fn shown_lines(text: &str) -> String {
    text.lines().take(40).map(|line| shown(line, 300)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
