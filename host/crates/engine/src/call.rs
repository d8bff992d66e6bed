//! One call in one store, from the first limit to the result.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{ChangeSet, Limits};
use values::{FunctionType, Type, Value};
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};

use crate::baseline::StoreData;
use crate::convert::{ConvertError, lift, lower, weight};
use crate::guest::Guest;
use crate::trap::{Stop, Trap, classify};
use crate::{Held, Outcome, Report};

/// Host memory that the arguments of a call may take beside their texts: many small values are much
/// larger than their JSON. Two lists of [`values::BYTES_MAX`] bytes fit.
const ARGUMENTS_BYTES_MAX: u64 = 24 << 20;

/// Whether arguments take no more than a call with `limits` may be handed.
pub(crate) fn fits(arguments: &[Value], limits: &Limits) -> bool {
    let weight = arguments.iter().map(weight).fold(0, u64::saturating_add);
    weight <= ARGUMENTS_BYTES_MAX && values::json_fits(arguments, limits.host_call_bytes)
}

/// One call. The store's data is the guest's whole world, or in a worker what is left of it.
pub(crate) struct Call<T: 'static> {
    store: Store<T>,
    linked: Arc<InstancePre<T>>,
    export: ComponentExportIndex,
}

impl<T: StoreData> Call<T> {
    pub(crate) fn new(linked: Arc<InstancePre<T>>, export: ComponentExportIndex, data: T) -> Self {
        Self { store: Store::new(linked.engine(), data), linked, export }
    }

    /// Makes the call and gives what the function returned.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(crate) fn run(&mut self, params: &[Val], signature: &FunctionType) -> Result<Option<Value>, Stop> {
        let called = self.arm().and_then(|()| self.call(params, signature.result.is_some()));
        let value = match (called.map_err(|error| classify(&error))?, &signature.result) {
            (Some(result), Some(ty)) => Some(lift(result, ty).map_err(|error| match error {
                ConvertError::Type => Trap::Signature,
                ConvertError::Size => Trap::Output,
            })?),
            _ => None,
        };
        let most = self.store.data_mut().budget().limits.output_bytes;
        if !values::json_fits(value.as_slice(), most) {
            return Err(Trap::Output.into());
        }
        Ok(value)
    }

    /// Ends the call for good: its data, and the fuel that was burnt.
    pub(crate) fn end(mut self) -> (T, u64) {
        let left = self.store.get_fuel().unwrap_or(0);
        let fuel = self.store.data_mut().budget().limits.fuel.saturating_sub(left);
        (self.store.into_data(), fuel)
    }

    /// Sets every limit that wasmtime enforces, before any guest code runs.
    fn arm(&mut self) -> wasmtime::Result<()> {
        let store = &mut self.store;
        let budget = store.data_mut().budget();
        let (limits, lift_bytes) = (budget.limits, budget.lift_bytes());
        budget.check_time()?;
        store.limiter(|data| data.budget());
        store.set_fuel(limits.fuel)?;
        store.set_hostcall_fuel(lift_bytes);
        store.set_max_component_handles(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        store.epoch_deadline_callback(|mut store: StoreContextMut<'_, T>| {
            store.data_mut().budget().check_time()?;
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
        let mut results = [Val::Bool(false)];
        let (results, _) = results.split_at_mut(usize::from(has_result));
        function.call(&mut self.store, params, results)?;
        Ok(results.first_mut().map(|slot| std::mem::replace(slot, Val::Bool(false))))
    }
}

/// The arguments as wasmtime takes them.
pub(crate) fn lower_arguments(arguments: Vec<Value>, signature: &FunctionType) -> Result<Vec<Val>, Trap> {
    if arguments.len() != signature.params.len() {
        return Err(Trap::Signature);
    }
    let lowered = arguments.into_iter().zip(&signature.params).map(|(value, param)| lower(value, &param.ty));
    lowered.collect::<Result<_, _>>().map_err(|error| match error {
        ConvertError::Type => Trap::Signature,
        ConvertError::Size => Trap::Input,
    })
}

/// What a call leaves behind whose guest ended so and burnt so much fuel.
pub(crate) fn report(
    mut guest: Guest,
    ended: Result<Option<Value>, Stop>,
    signature: &FunctionType,
    fuel: u64,
) -> Report {
    let outcome = match ended {
        Ok(value) => unwrap(value, signature),
        Err(stop) => stopped(&mut guest, stop),
    };
    let (changes, blobs) = match outcome {
        Outcome::Returned(_) => guest.overlay.finish(),
        _ => (ChangeSet::default(), BTreeMap::new()),
    };
    let (log, stdio_bytes) = guest.captured().finish();
    let mut usage = guest.budget.usage();
    usage.fuel = fuel;
    usage.stdio_bytes = stdio_bytes;
    let (denied, reached) = (guest.take_denied(), guest.reached.take());
    Report { outcome, problem: None, usage, log, denied, reached, changes, blobs }
}

fn stopped(guest: &mut Guest, stop: Stop) -> Outcome {
    match stop {
        Stop::Trap(trap) => Outcome::Trapped(trap),
        Stop::Denied(denied) => Outcome::Denied(*denied),
        Stop::Diverged(text) => Outcome::Diverged(text),
        Stop::Held(call) => match guest.deck.take() {
            Some(deck) => Outcome::Held(Box::new(Held { call: *call, tape: deck.into_tape() })),
            None => Outcome::Trapped(Trap::Host),
        },
    }
}

/// A top-level `result` is the outcome, and not part of what was returned.
fn unwrap(value: Option<Value>, signature: &FunctionType) -> Outcome {
    match (value, &signature.result) {
        (Some(Value::Result(Ok(value))), Some(Type::Result { .. })) => Outcome::Returned(value.map(|v| *v)),
        (Some(Value::Result(Err(value))), Some(Type::Result { .. })) => Outcome::Failed(value.map(|v| *v)),
        (value, _) => Outcome::Returned(value),
    }
}
