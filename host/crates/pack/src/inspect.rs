//! What a component imports and exports, read from its bytes alone.
//!
//! Invariant: nothing is instantiated or compiled, and nothing is asked but wasmparser's
//! validator, which is made for hostile bytes. What the validator accepts under [`features`] is
//! walked within bounds on names, functions and type nodes.

mod imports;
mod scan;
mod types;

use std::collections::BTreeMap;

use base::{Code, Label, PackId, Refusal};
use semver::Version;
use values::FunctionType;
use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::names::{ComponentName, ComponentNameKind};
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Validator, WasmFeatures};

pub use imports::{Import, ImportKind};

use crate::text::shown;

/// Largest component, in bytes.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Most operations of a pack.
const OPERATIONS_MAX: usize = 1_000;
/// The version of `capstan:host` and `capstan:pack` that this host implements.
pub const HOST_ABI: Version = Version::new(0, 1, 0);

/// A component's interface, as its bytes state it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The WIT package whose interfaces it exports.
    pub id: PackId,
    /// That package's version.
    pub version: Version,
    /// Its imports, sorted by name.
    pub imports: Vec<Import>,
    /// The names of its exported interfaces as the component spells them, sorted. Those without a
    /// package hold no operations.
    pub exports: Vec<String>,
    /// Its operations by local name, `interface.function`.
    pub operations: BTreeMap<String, FunctionType>,
    /// Whether it exports `capstan:pack/health`.
    pub health: bool,
}

impl Inspection {
    /// Reads a component.
    ///
    /// # Errors
    /// [`Code::ComponentInvalid`] if it is too large, does not validate, uses a feature that is
    /// off, or exports nothing of its own; [`Code::ImportUnknown`], [`Code::AbiUnsupported`],
    /// [`Code::ExportUnsupported`], [`Code::VersionMismatch`].
    pub fn of(component: &[u8]) -> Result<Self, Refusal> {
        if component.len() > COMPONENT_BYTES_MAX {
            return Err(invalid(format!("it is larger than {COMPONENT_BYTES_MAX} bytes")));
        }
        if !Parser::is_component(component) {
            return Err(invalid("it is not a WebAssembly component"));
        }
        let scan::Names { imports, exports } = scan::scan(component)?;
        let types = Validator::new_with_features(features())
            .validate_all(component)
            .map_err(|error| invalid(shown(&error.to_string(), 200)))?;
        let mut exported = Exported::default();
        for name in exports {
            exported.add(types.as_ref(), name)?;
        }
        let mut imports = imports
            .into_iter()
            .map(|name| imports::classify(types.as_ref(), name))
            .collect::<Result<Vec<_>, _>>()?;
        imports.sort();
        exported.finish(imports)
    }
}

/// What the engine compiles, and so what a pack may contain: WebAssembly 3 and components,
/// without garbage collection, exceptions, threads, 64-bit memories and asynchronous components.
#[must_use]
pub fn features() -> WasmFeatures {
    let off = WasmFeatures::GC
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::THREADS
        | WasmFeatures::MEMORY64;
    (WasmFeatures::WASM3 | WasmFeatures::COMPONENT_MODEL) - off
}

/// The exports seen so far.
#[derive(Default)]
struct Exported {
    package: Option<(PackId, Version)>,
    names: Vec<String>,
    operations: BTreeMap<String, FunctionType>,
    health: bool,
}

impl Exported {
    fn add(&mut self, types: TypesRef<'_>, name: &str) -> Result<(), Refusal> {
        let item = types.component_item_for_export(name).ok_or_else(|| invalid("an export has no type"))?;
        let interface = match item.ty {
            // World-level types are names without behaviour.
            ComponentEntityType::Type { .. } => return Ok(()),
            ComponentEntityType::Instance(id) => id,
            _ => {
                return Err(unsupported(
                    name,
                    "only interfaces can be exported, not functions, modules or values",
                ));
            }
        };
        let Some(parts) = Interface::parse(name) else {
            return self.plain(name);
        };
        if parts.package_is("capstan", "pack") {
            self.health(types, name, &parts, interface)?;
        } else {
            self.own(types, name, &parts, interface)?;
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// An instance of no interface: what it holds is no operation, so nothing can call it. The tools
    /// of some languages leave one for their own use while they build.
    fn plain(&mut self, name: &str) -> Result<(), Refusal> {
        let name_of = ComponentName::new_with_features(name, 0, features());
        if !name_of.is_ok_and(|name| matches!(name.kind(), ComponentNameKind::Label(_))) {
            let why = "an exported interface needs a package, such as `acme:notes/notes@1.0.0`";
            return Err(unsupported(name, why));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    fn health(
        &mut self,
        types: TypesRef<'_>,
        name: &str,
        parts: &Interface,
        id: ComponentInstanceTypeId,
    ) -> Result<(), Refusal> {
        parts.check_abi(name)?;
        let text = values::Type::String;
        let expected = FunctionType {
            params: Vec::new(),
            result: Some(values::Type::Result {
                ok: Some(Box::new(text.clone())),
                err: Some(Box::new(text)),
            }),
        };
        let functions = types::functions(types, name, id)?;
        let check = functions.get("check");
        if parts.interface.as_str() != "health" || functions.len() != 1 || check != Some(&expected) {
            return Err(unsupported(
                name,
                "of `capstan:pack` only `health` with `check: func() -> result<string, string>` can be exported",
            ));
        }
        self.health = true;
        Ok(())
    }

    fn own(
        &mut self,
        types: TypesRef<'_>,
        name: &str,
        parts: &Interface,
        id: ComponentInstanceTypeId,
    ) -> Result<(), Refusal> {
        if parts.package_is("capstan", "host") || parts.package.publisher.as_str() == "wasi" {
            let refusal = unsupported(name, "a pack cannot export the host's own interfaces");
            return Err(imports::leave_out_http(parts, refusal));
        }
        let Some(version) = parts.version.clone() else {
            let message = format!("the exported interface `{}` has no version", shown(name, 120));
            return Err(Refusal::new(Code::VersionMismatch, message)
                .hint(format!("write `package {}@<version>;` in the pack's WIT", parts.package)));
        };
        let package = (parts.package.clone(), version);
        if let Some(other) = &self.package
            && *other != package
        {
            let why =
                format!("the pack already exports `{}@{}`: one pack is one WIT package", other.0, other.1);
            return Err(unsupported(name, &why));
        }
        self.package = Some(package);
        for (function, signature) in types::functions(types, name, id)? {
            self.operations.insert(format!("{}.{function}", parts.interface), signature);
        }
        if self.operations.len() > OPERATIONS_MAX {
            return Err(unsupported(name, &format!("a pack has at most {OPERATIONS_MAX} operations")));
        }
        Ok(())
    }

    fn finish(mut self, imports: Vec<Import>) -> Result<Inspection, Refusal> {
        let (id, version) =
            self.package.ok_or_else(|| invalid("it exports no interface of its own package"))?;
        self.names.sort();
        let Self { names: exports, operations, health, .. } = self;
        Ok(Inspection { id, version, imports, exports, operations, health })
    }
}

/// The parts of `publisher:name/interface@version`.
struct Interface {
    package: PackId,
    interface: Label,
    version: Option<Version>,
}

impl Interface {
    fn parse(name: &str) -> Option<Self> {
        let name = ComponentName::new_with_features(name, 0, features()).ok()?;
        let ComponentNameKind::Interface(parts) = name.kind() else {
            return None;
        };
        Some(Self {
            package: PackId {
                publisher: parts.namespace().as_str().parse().ok()?,
                name: parts.package().as_str().parse().ok()?,
            },
            interface: parts.interface().as_str().parse().ok()?,
            version: parts.version(None).ok()?,
        })
    }

    fn package_is(&self, publisher: &str, name: &str) -> bool {
        self.package.publisher.as_str() == publisher && self.package.name.as_str() == name
    }

    /// Whether this host implements the interface's version: before 1.0, the minor number is the
    /// incompatible one, and a later patch may have what this host lacks.
    fn check_abi(&self, name: &str) -> Result<(), Refusal> {
        let fits = self.version.as_ref().is_some_and(|version| {
            (version.major, version.minor) == (HOST_ABI.major, HOST_ABI.minor) && *version <= HOST_ABI
        });
        if fits {
            return Ok(());
        }
        let message =
            format!("`{}` is not of a version that this host has: it has {HOST_ABI}", shown(name, 120));
        Err(Refusal::new(Code::AbiUnsupported, message))
    }
}

fn invalid(why: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::ComponentInvalid, format!("`component.wasm` is refused: {}", why.as_ref()))
}

fn unsupported(name: &str, why: &str) -> Refusal {
    Refusal::new(Code::ExportUnsupported, format!("the export `{}` is unsupported: {why}", shown(name, 120)))
}

#[cfg(test)]
mod tests;
