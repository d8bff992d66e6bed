//! A compiled component, and calling it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use authority::Authority;
use base::{Capability, ChangeSet, Digest};
use values::{FunctionType, Type, Value};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Val};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::budget::Budget;
use crate::convert::{ConvertError, lift, lower};
use crate::guest::Guest;
use crate::link::{LiveSet, capability_of, is_wasi, link, unversioned};
use crate::trap::{Stop, Trap, classify};
use crate::{CompileError, Held, Invocation, Outcome, Report};

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
pub struct Program(pub(crate) Arc<Loaded>);

/// A compiled component with what was looked up once.
pub(crate) struct Loaded {
    component: Component,
    imports: Vec<String>,
    wants_wasi: bool,
    exports: Vec<Interface>,
    linked: RwLock<BTreeMap<LiveSet, InstancePre<Guest>>>,
}

/// An exported interface.
struct Interface {
    name: String,
    functions: BTreeMap<String, ComponentExportIndex>,
}

impl Interface {
    /// Whether a caller that says `asked` means this one.
    fn is(&self, asked: &str) -> bool {
        let bare = unversioned(&self.name);
        let label = bare.rsplit_once('/').map_or(bare, |(_, label)| label);
        asked == self.name || asked == bare || (asked == label && !bare.starts_with("capstan:pack/"))
    }
}

impl Loaded {
    pub(crate) fn new(component: Component) -> Result<Self, LoadError> {
        let engine = component.engine().clone();
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(&engine).map(|(name, _)| name.to_owned()).collect();
        let mut exports = Vec::new();
        for (name, item) in ty.exports(&engine) {
            if let ComponentItem::ComponentInstance(instance) = item.ty {
                let index = component.get_export_index(None, name);
                let function = |(name, item): (&str, wasmtime::component::types::ComponentExtern<'_>)| {
                    let function = matches!(item.ty, ComponentItem::ComponentFunc(_));
                    let found = function.then(|| component.get_export_index(index.as_ref(), name)).flatten();
                    found.map(|found| (name.to_owned(), found))
                };
                let functions = instance.exports(&engine).filter_map(function).collect();
                exports.push(Interface { name: name.to_owned(), functions });
            }
        }
        let wants_wasi = imports.iter().any(|import| is_wasi(import));
        let loaded = Self { component, imports, wants_wasi, exports, linked: RwLock::default() };
        // With nothing live: says now, instead of at the first call, what the host does not have.
        loaded.linked(LiveSet::new()).map_err(LoadError::Link)?;
        Ok(loaded)
    }

    /// The component linked with exactly `live` of its imports live.
    fn linked(&self, live: LiveSet) -> Result<InstancePre<Guest>, String> {
        let known = self.linked.read().unwrap_or_else(PoisonError::into_inner).get(&live).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let linked = link(&self.component, &self.imports, &live)?;
        let mut all = self.linked.write().unwrap_or_else(PoisonError::into_inner);
        Ok(all.entry(live).or_insert(linked).clone())
    }

    fn function(&self, interface: &str, function: &str) -> Option<ComponentExportIndex> {
        let mut meant = self.exports.iter().filter(|export| export.is(interface));
        let found = meant.next()?.functions.get(function)?;
        meant.next().is_none().then_some(*found)
    }
}

impl Program {
    /// The full names of what the component imports.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.0.imports.iter().map(String::as_str)
    }

    /// What of its imports a call with this authority is linked to live.
    #[must_use]
    pub fn live(&self, authority: &Authority) -> BTreeSet<Capability> {
        let imported = self.0.imports.iter().filter_map(|import| capability_of(import));
        imported.filter(|capability| authority.live(*capability)).collect()
    }

    /// Calls one function in a fresh store, on the calling thread, which needs a stack of 2 MiB.
    /// [`crate::GuestThreads`] has such threads, and is how async code calls this.
    #[must_use]
    pub fn invoke(&self, invocation: Invocation) -> Report {
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
        let Some(export) = self.0.function(&interface, &function) else {
            return Report::early(Trap::Signature);
        };
        let size = arguments.iter().map(values::json_size).fold(0, u64::saturating_add);
        if size > limits.host_call_bytes {
            return Report::early(Trap::Input);
        }
        let params = match lower_arguments(arguments, &signature) {
            Ok(params) => params,
            Err(ConvertError::Type) => return Report::early(Trap::Signature),
            Err(ConvertError::Size) => return Report::early(Trap::Input),
        };
        let Ok(linked) = self.0.linked(self.live(&authority)) else {
            return Report::early(Trap::Host);
        };
        let guest = Guest::new(budget, authority, host, self.0.wants_wasi).with_tape(call_id, tape);
        let store = Store::new(linked.engine(), guest);
        Call { store, linked, export }.run(&params, &signature)
    }
}

fn lower_arguments(arguments: Vec<Value>, signature: &FunctionType) -> Result<Vec<Val>, ConvertError> {
    if arguments.len() != signature.params.len() {
        return Err(ConvertError::Type);
    }
    arguments.into_iter().zip(&signature.params).map(|(value, param)| lower(value, &param.ty)).collect()
}

/// One call, from here to its report.
struct Call {
    store: Store<Guest>,
    linked: InstancePre<Guest>,
    export: ComponentExportIndex,
}

impl Call {
    fn run(mut self, params: &[Val], signature: &FunctionType) -> Report {
        let outcome = match self.arm().and_then(|()| self.call(params, signature.result.is_some())) {
            Ok(result) => self.outcome(result, signature),
            Err(error) => self.stopped(classify(&error)),
        };
        let limits = self.store.data().budget.limits;
        let left = self.store.get_fuel().unwrap_or(0);
        let guest = self.store.data_mut();
        let (changes, blobs) = match outcome {
            Outcome::Returned(_) => guest.overlay.finish(),
            _ => (ChangeSet::default(), BTreeMap::new()),
        };
        let (log, stdio_bytes) = guest.captured().finish();
        let mut usage = guest.budget.usage();
        usage.fuel = limits.fuel.saturating_sub(left);
        usage.stdio_bytes = stdio_bytes;
        let (denied, reached) = (guest.take_denied(), guest.reached.take());
        Report { outcome, usage, log, denied, reached, changes, blobs }
    }

    /// Sets every limit that wasmtime enforces, before any guest code runs.
    fn arm(&mut self) -> wasmtime::Result<()> {
        let store = &mut self.store;
        let budget = &store.data().budget;
        let (limits, lift_bytes) = (budget.limits, budget.lift_bytes());
        budget.check_time()?;
        store.limiter(|guest| &mut guest.budget);
        store.set_fuel(limits.fuel)?;
        store.set_hostcall_fuel(lift_bytes);
        store.set_max_component_handles(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        store.epoch_deadline_callback(|store: StoreContextMut<'_, Guest>| {
            store.data().budget.check_time()?;
            Ok(UpdateDeadline::Continue(1))
        });
        store.set_epoch_deadline(1);
        Ok(())
    }

    fn call(&mut self, params: &[Val], has_result: bool) -> wasmtime::Result<Option<Val>> {
        let instance = self.linked.instantiate(&mut self.store)?;
        let Some(function) = instance.get_func(&mut self.store, self.export) else {
            return Err(Stop::from(Trap::Signature).into());
        };
        // What was checked may not be what the component has; wasmtime would only say so in words.
        let ty = function.ty(&self.store);
        if ty.params().len() != params.len() || (ty.results().len() == 1) != has_result {
            return Err(Stop::from(Trap::Signature).into());
        }
        let mut results = [Val::Bool(false)];
        let (results, _) = results.split_at_mut(usize::from(has_result));
        function.call(&mut self.store, params, results)?;
        Ok(results.first_mut().map(|slot| std::mem::replace(slot, Val::Bool(false))))
    }

    fn stopped(&mut self, stop: Stop) -> Outcome {
        match stop {
            Stop::Trap(trap) => Outcome::Trapped(trap),
            Stop::Denied(denied) => Outcome::Denied(*denied),
            Stop::Diverged(text) => Outcome::Diverged(text),
            Stop::Held(call) => match self.store.data_mut().deck.take() {
                Some(deck) => Outcome::Held(Box::new(Held { call: *call, tape: deck.into_tape() })),
                None => Outcome::Trapped(Trap::Host),
            },
        }
    }

    /// Converts and measures the result.
    fn outcome(&self, result: Option<Val>, signature: &FunctionType) -> Outcome {
        let value = match (result, &signature.result) {
            (Some(result), Some(ty)) => match lift(result, ty) {
                Ok(value) => Some(value),
                Err(ConvertError::Type) => return Outcome::Trapped(Trap::Signature),
                Err(ConvertError::Size) => return Outcome::Trapped(Trap::Output),
            },
            _ => None,
        };
        let limits = &self.store.data().budget.limits;
        if value.as_ref().is_some_and(|value| values::json_size(value) > limits.output_bytes) {
            return Outcome::Trapped(Trap::Output);
        }
        match (value, &signature.result) {
            (Some(Value::Result(Ok(value))), Some(Type::Result { .. })) => {
                Outcome::Returned(value.map(|v| *v))
            }
            (Some(Value::Result(Err(value))), Some(Type::Result { .. })) => {
                Outcome::Failed(value.map(|v| *v))
            }
            (value, _) => Outcome::Returned(value),
        }
    }
}
