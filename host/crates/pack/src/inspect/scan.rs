//! A first look at a component that costs no more than reading it.
//!
//! The validator is made for hostile bytes and still spends up to 150 bytes of memory on a byte
//! of declarations, and kilobytes on each module or component that is open. So both are counted
//! before it starts.

use base::Refusal;
use wasmparser::{Parser, Payload};

use super::invalid;
use crate::text::shown;

/// Most imports and most exports of a component.
pub(super) const ITEMS_MAX: usize = 512;
/// Most modules and components in a component, itself included.
pub(super) const PARTS_MAX: u32 = 1_000;
/// Deepest nesting of components.
pub(super) const DEPTH_MAX: u32 = 16;
/// Most bytes in sections of types, functions, imports, exports, instances and the like, of all
/// modules and components together. Code, data and custom sections are not among them.
pub(super) const DECLARATION_BYTES_MAX: usize = 2 << 20;

/// The names of the outermost component's imports and exports.
pub(super) struct Names<'a> {
    pub(super) imports: Vec<&'a str>,
    pub(super) exports: Vec<&'a str>,
}

/// Reads the sections of a component that is not validated yet.
pub(super) fn scan(component: &[u8]) -> Result<Names<'_>, Refusal> {
    let mut names = Names { imports: Vec::new(), exports: Vec::new() };
    let (mut depth, mut parts, mut declared) = (0_u32, 0_u32, 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| malformed(&error))?;
        match &payload {
            Payload::Version { .. } => {
                depth += 1;
                parts += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => declared = declared.saturating_add(declaration_bytes(&payload)),
        }
        if depth > DEPTH_MAX || parts > PARTS_MAX {
            let bound = format!("{PARTS_MAX} modules and components, nested {DEPTH_MAX} deep");
            return Err(invalid(format!("it has more than {bound}")));
        }
        if declared > DECLARATION_BYTES_MAX {
            return Err(invalid(format!(
                "it declares types, functions and the like in more than {DECLARATION_BYTES_MAX} bytes"
            )));
        }
        if depth == 1 {
            names.add(payload)?;
        }
    }
    Ok(names)
}

impl<'a> Names<'a> {
    fn add(&mut self, payload: Payload<'a>) -> Result<(), Refusal> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.imports.push(import.map_err(|error| malformed(&error))?.name.name);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export.map_err(|error| malformed(&error))?.name.name);
                }
            }
            _ => {}
        }
        if self.imports.len() > ITEMS_MAX || self.exports.len() > ITEMS_MAX {
            return Err(invalid(format!("it has more than {ITEMS_MAX} imports or exports")));
        }
        Ok(())
    }
}

/// The size of a section whose entries the validator keeps, or takes a step for each: all but
/// code, data, custom sections and what only holds other sections.
fn declaration_bytes(payload: &Payload<'_>) -> usize {
    match payload {
        Payload::CodeSectionStart { .. }
        | Payload::DataSection(_)
        | Payload::CustomSection(_)
        | Payload::ModuleSection { .. }
        | Payload::ComponentSection { .. } => 0,
        _ => payload.as_section().map_or(0, |(_, range)| range.len()),
    }
}

fn malformed(error: &wasmparser::BinaryReaderError) -> Refusal {
    invalid(shown(&error.to_string(), 200))
}
