//! Sorts what a component imports into what the host can link.

use base::{Capability, Code, Refusal};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::types::TypesRef;

use super::Interface;
use crate::text::shown;

/// The WASI 0.2 interfaces that exist inertly for every guest, so that components of ordinary
/// toolchains load. They reach nothing: no files, arguments, environment or sockets.
const WASI_BASELINE: [(&str, &[&str]); 6] = [
    (
        "cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("clocks", &["monotonic-clock", "wall-clock"]),
    ("filesystem", &["types", "preopens"]),
    ("io", &["error", "poll", "streams"]),
    ("random", &["random", "insecure", "insecure-seed"]),
    (
        "sockets",
        &[
            "network",
            "instance-network",
            "udp",
            "udp-create-socket",
            "tcp",
            "tcp-create-socket",
            "ip-name-lookup",
        ],
    ),
];

/// One imported interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// Its name as the component spells it, e.g. `capstan:host/files-read@0.1.0`.
    pub name: String,
    /// What it is to the host.
    pub kind: ImportKind,
}

/// What an import is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportKind {
    /// An interface of `capstan:host`: authority, live only where requested and granted.
    Capability(Capability),
    /// An interface of the inert WASI baseline.
    Wasi,
    /// Type definitions only: nothing to call.
    Types,
}

/// Classifies the import `name` of a validated component.
pub(super) fn classify(types: TypesRef<'_>, name: &str) -> Result<Import, Refusal> {
    let import = |kind| Ok(Import { name: name.to_owned(), kind });
    let id = match types.component_item_for_import(name).map(|item| item.ty) {
        Some(ComponentEntityType::Instance(id)) => id,
        // World-level `use`: a name for a type, without resources (those have no provider).
        Some(ComponentEntityType::Type { created, .. }) if !is_resource(created) => {
            return import(ImportKind::Types);
        }
        _ => return Err(unknown(name, "only interfaces can be imported")),
    };
    let Some(parts) = Interface::parse(name) else {
        return Err(unknown(name, "it has no package"));
    };
    if parts.package_is("capstan", "host") {
        parts.check_abi(name)?;
    }
    if parts.package.publisher.as_str() == "wasi" {
        return wasi(&parts, name).and_then(|()| import(ImportKind::Wasi));
    }
    if has_only_types(types, id) {
        return import(ImportKind::Types);
    }
    if !parts.package_is("capstan", "host") {
        return Err(unknown(name, "a pack can call the host's interfaces only"));
    }
    let interface = parts.interface.as_str();
    let capability = interface.parse().ok().filter(|capability: &Capability| capability.has_interface());
    let capability = capability.ok_or_else(|| {
        let refusal = unknown(name, "`capstan:host` has no such interface");
        let known = Capability::ALL.into_iter().filter(|c| c.has_interface()).map(Capability::as_str);
        match values::closest(interface, known) {
            Some(near) => refusal.hint(format!("did you mean `{near}`?")),
            None => refusal,
        }
    })?;
    import(ImportKind::Capability(capability))
}

fn wasi(parts: &Interface, name: &str) -> Result<(), Refusal> {
    let known = WASI_BASELINE.iter().any(|(package, interfaces)| {
        *package == parts.package.name.as_str() && interfaces.contains(&parts.interface.as_str())
    });
    if !known {
        let refusal = unknown(name, "it is not part of the inert WASI baseline");
        return Err(leave_out_http(parts, refusal));
    }
    let fits = parts.version.as_ref().is_some_and(|v| (v.major, v.minor) == (0, 2) && v.pre.is_empty());
    if fits {
        Ok(())
    } else {
        Err(Refusal::new(Code::AbiUnsupported, format!("`{}` is not of WASI 0.2", shown(name, 120))))
    }
}

/// Says what to do about `wasi:http`, which JavaScript's componentiser links unless it is told not to.
pub(super) fn leave_out_http(parts: &Interface, refusal: Refusal) -> Refusal {
    if !parts.package_is("wasi", "http") {
        return refusal;
    }
    refusal
        .hint("packs ask for URLs through `capstan:host/http-read` and `capstan:host/http-send`")
        .hint("componentize-js leaves `wasi:http` out with `disableFeatures: ['http', 'fetch-event']`")
}

fn has_only_types(types: TypesRef<'_>, id: ComponentInstanceTypeId) -> bool {
    types.get(id).is_some_and(|instance| {
        instance
            .exports
            .values()
            .all(|item| matches!(item.ty, ComponentEntityType::Type { created, .. } if !is_resource(created)))
    })
}

fn is_resource(id: ComponentAnyTypeId) -> bool {
    matches!(id, ComponentAnyTypeId::Resource(_))
}

fn unknown(name: &str, why: &str) -> Refusal {
    Refusal::new(Code::ImportUnknown, format!("the import `{}` is unknown: {why}", shown(name, 120)))
}
