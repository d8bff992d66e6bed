//! A compiled component, and calling it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use authority::Authority;
use base::{Capability, Digest};
use values::FunctionType;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::budget::Budget;
use crate::call::{Call, fits, lower_arguments, report};
use crate::guest::Guest;
use crate::link::{LiveSet, capability_of, is_wasi, link, unversioned};
use crate::{CompileError, Invocation, Report, Trap, Workers};

/// A component could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are others than the caller meant.
    #[error("the component's bytes are not those of {expected}")]
    Digest {
        /// What the caller meant.
        expected: Digest,
    },
    /// It was not compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It imports what this host does not have.
    #[error("the component cannot be linked: {0}")]
    Link(String),
}

/// A component that is ready to be called. Clones share it.
#[derive(Clone)]
pub struct Program {
    loaded: Arc<Loaded>,
    workers: Option<Workers>,
}

/// A compiled component, its digest, and how it was linked.
pub(crate) struct Loaded {
    parts: Parts,
    digest: Digest,
    linked: RwLock<BTreeMap<LiveSet, Arc<InstancePre<Guest>>>>,
}

/// A compiled component with what was looked up once.
pub(crate) struct Parts {
    pub(crate) component: Component,
    pub(crate) imports: Vec<String>,
    /// What of the imports are host interfaces.
    capabilities: Vec<Capability>,
    wants_wasi: bool,
    exports: Vec<Interface>,
}

/// An exported interface, under each name that a caller may mean it by.
struct Interface {
    name: String,
    /// Without its version.
    bare: String,
    /// What comes after the slash; none where that does not mean it.
    label: Option<String>,
    functions: BTreeMap<String, Export>,
}

/// An exported function.
struct Export {
    index: ComponentExportIndex,
    params: usize,
    results: usize,
}

impl Interface {
    fn new(name: &str, functions: BTreeMap<String, Export>) -> Self {
        let bare = unversioned(name);
        let label = bare.rsplit_once('/').map_or(bare, |(_, label)| label);
        let label = (!bare.starts_with("capstan:pack/")).then(|| label.to_owned());
        Self { name: name.to_owned(), bare: bare.to_owned(), label, functions }
    }

    /// Whether a caller that says `asked` means this one.
    fn is(&self, asked: &str) -> bool {
        asked == self.name || asked == self.bare || self.label.as_deref() == Some(asked)
    }
}

impl Export {
    /// Whether it takes as many arguments, and gives as many results, as `signature` has. What was
    /// checked may not be what the component has; wasmtime would only say so in words.
    fn has_shape(&self, signature: &FunctionType) -> bool {
        self.params == signature.params.len() && self.results == usize::from(signature.result.is_some())
    }
}

impl Parts {
    pub(crate) fn of(component: Component) -> Self {
        let engine = component.engine().clone();
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(&engine).map(|(name, _)| name.to_owned()).collect();
        let mut exports = Vec::new();
        // What has no package is nobody's operation: not to be found here, it cannot be called.
        for (name, item) in ty.exports(&engine).filter(|(name, _)| name.contains('/')) {
            if let ComponentItem::ComponentInstance(instance) = item.ty {
                let index = component.get_export_index(None, name);
                let function = |(name, item): (&str, wasmtime::component::types::ComponentExtern<'_>)| {
                    let ComponentItem::ComponentFunc(ty) = item.ty else { return None };
                    let (params, results) = (ty.params().len(), ty.results().len());
                    let index = component.get_export_index(index.as_ref(), name)?;
                    Some((name.to_owned(), Export { index, params, results }))
                };
                let functions = instance.exports(&engine).filter_map(function).collect();
                exports.push(Interface::new(name, functions));
            }
        }
        let capabilities = imports.iter().filter_map(|import| capability_of(import)).collect();
        let wants_wasi = imports.iter().any(|import| is_wasi(import));
        Self { component, imports, capabilities, wants_wasi, exports }
    }

    /// Whether it imports anything of WASI.
    pub(crate) fn wants_wasi(&self) -> bool {
        self.wants_wasi
    }

    /// Whether it imports the interface of `capability`.
    pub(crate) fn imports_capability(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// The function that a caller means, if there is exactly one, and it may have this signature.
    pub(crate) fn function(
        &self,
        interface: &str,
        function: &str,
        signature: &FunctionType,
    ) -> Option<ComponentExportIndex> {
        let mut meant = self.exports.iter().filter(|export| export.is(interface));
        let found = meant.next()?.functions.get(function)?;
        (meant.next().is_none() && found.has_shape(signature)).then_some(found.index)
    }
}

impl Loaded {
    pub(crate) fn new(component: Component, digest: Digest) -> Result<Self, LoadError> {
        let loaded = Self { parts: Parts::of(component), digest, linked: RwLock::default() };
        // With nothing live: says now, instead of at the first call, what the host does not have.
        loaded.linked(LiveSet::new()).map_err(LoadError::Link)?;
        Ok(loaded)
    }

    /// The component linked with exactly `live` of its imports live.
    fn linked(&self, live: LiveSet) -> Result<Arc<InstancePre<Guest>>, String> {
        let known = self.linked.read().unwrap_or_else(PoisonError::into_inner).get(&live).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let linked = Arc::new(link(&self.parts.component, &self.parts.imports, &live)?);
        let mut all = self.linked.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(all.entry(live).or_insert(linked)))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The component's digest.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The native code, as another process of this program loads it.
    pub(crate) fn code(&self) -> wasmtime::Result<Vec<u8>> {
        self.parts.component.serialize()
    }
}

impl Program {
    pub(crate) fn new(loaded: Arc<Loaded>) -> Self {
        Self { loaded, workers: None }
    }

    /// The same, called in these workers, or with none in this process.
    #[must_use]
    pub fn within(self, workers: Option<Workers>) -> Self {
        Self { workers, ..self }
    }

    /// The full names of what the component imports.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.loaded.parts.imports.iter().map(String::as_str)
    }

    /// What of its imports a call with this authority is linked to live.
    #[must_use]
    pub fn live(&self, authority: &Authority) -> BTreeSet<Capability> {
        let imported = self.loaded.parts.capabilities.iter().copied();
        imported.filter(|capability| authority.live(*capability)).collect()
    }

    /// Calls one function in a fresh store, on the calling thread, which needs a stack of 2 MiB.
    /// [`crate::GuestThreads`] has such threads, and is how async code calls this.
    #[must_use]
    pub fn invoke(&self, invocation: Invocation) -> Report {
        match &self.workers {
            Some(workers) => crate::worker::call(workers, &self.loaded, invocation),
            None => self.invoke_here(invocation),
        }
    }

    fn invoke_here(&self, invocation: Invocation) -> Report {
        let Invocation {
            interface,
            function,
            signature,
            arguments,
            limits,
            authority,
            host,
            call_id,
            tape,
            cancel,
        } = invocation;
        let budget = Budget::new(limits, cancel);
        let Some(export) = self.loaded.parts.function(&interface, &function, &signature) else {
            return Report::early(Trap::Signature);
        };
        if !fits(&arguments, &limits) {
            return Report::early(Trap::Input);
        }
        let params = match lower_arguments(arguments, &signature) {
            Ok(params) => params,
            Err(trap) => return Report::early(trap),
        };
        let Ok(linked) = self.loaded.linked(self.live(&authority)) else {
            return Report::early(Trap::Host);
        };
        let guest =
            Guest::new(budget, authority, host, self.loaded.parts.wants_wasi).with_tape(call_id, tape);
        let mut call = Call::new(linked, export, guest);
        let ended = call.run(&params, &signature);
        let (guest, fuel) = call.end();
        report(guest, ended, &signature, fuel)
    }
}
