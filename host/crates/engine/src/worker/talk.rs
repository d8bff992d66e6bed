//! One call in a worker, from the parent's side.

#![expect(clippy::disallowed_methods, reason = "this module bounds how late a worker may be")]

use std::time::{Duration, Instant};

use values::{FunctionType, Value};

use super::ask::answer;
use super::pool::Workers;
use super::process::{Broken, Worker};
use super::wire::{Bytes, Done, End, Order, SLACK_BYTES, Said, Told};
use crate::budget::Budget;
use crate::call::{fits, report};
use crate::guest::Guest;
use crate::program::Loaded;
use crate::trap::{Stop, classify};
use crate::{Invocation, Report, Trap};

/// How much longer than its wall time a worker may take to say so itself.
const GRACE: Duration = Duration::from_millis(500);

/// Makes a call of `program` in one of `workers`.
pub(crate) fn call(workers: &Workers, program: &Loaded, invocation: Invocation) -> Report {
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
    if program.parts().function(&interface, &function, &signature).is_none() {
        return Report::early(Trap::Signature);
    }
    if !fits(&arguments, &limits) {
        return Report::early(Trap::Input);
    }
    let mut worker = match workers.take(program) {
        Ok(worker) => worker,
        Err(error) => return Report { problem: Some(error.to_string()), ..Report::early(Trap::Worker) },
    };
    let guest = Guest::new(Budget::new(limits, cancel), authority, host, false).with_tape(call_id, tape);
    let arguments = arguments.iter().map(|argument| values::to_json(argument).to_string()).collect();
    let order = Order { interface, function, signature: signature.clone(), arguments, limits };
    let mut talk = Talk { program, worker: &mut worker, guest, stop: None };
    let heard = talk.converse(order);
    let Talk { mut guest, stop, .. } = talk;
    match heard {
        Ok(done) => {
            let (ended, fuel) = conclude(&mut guest, done, &signature);
            // One that gave a result which is none is not asked again.
            if !matches!(ended, Err(Stop::Trap(Trap::Worker))) {
                workers.give_back(program, worker);
            }
            report(guest, stop.map_or(ended, Err), &signature, fuel)
        }
        // What it burnt until it was killed is not known, and counted as all that it had.
        Err(late) => report(guest, Err(stop.unwrap_or(late)), &signature, limits.fuel),
    }
}

/// The call under way.
struct Talk<'a> {
    program: &'a Loaded,
    worker: &'a mut Worker,
    guest: Guest,
    /// Why the host ended the call, if it did.
    stop: Option<Stop>,
}

impl Talk<'_> {
    /// Answers what the worker asks, until it says that the call is over.
    fn converse(&mut self, order: Order) -> Result<Done, Stop> {
        self.tell(&Told::Call(Box::new(order)))?;
        loop {
            match self.hear()? {
                Said::Ask(meter, asked) if self.stop.is_none() => {
                    let imported = match asked.capability() {
                        Some(capability) => self.program.parts().imports_capability(capability),
                        None => self.program.parts().wants_wasi(),
                    };
                    if !imported {
                        return Err(Trap::Worker.into());
                    }
                    self.guest.budget.catch_up(&meter);
                    self.guest.captured().catch_up(meter.stdio_bytes);
                    let told = match answer(&mut self.guest, asked) {
                        Ok(encoded) => {
                            let stdio_bytes = self.guest.captured().used();
                            Told::Answer(self.guest.budget.meter(stdio_bytes), Bytes(encoded))
                        }
                        Err(error) => {
                            self.stop = Some(classify(&error));
                            Told::Stop
                        }
                    };
                    self.tell(&told)?;
                }
                Said::Done(done) => return Ok(*done),
                _ => return Err(Trap::Worker.into()),
            }
        }
    }

    fn tell(&mut self, told: &Told) -> Result<(), Stop> {
        let Self { worker, guest, .. } = self;
        worker.tell(told, &mut patience(&guest.budget)).map_err(stop)
    }

    fn hear(&mut self) -> Result<Said, Stop> {
        let Self { worker, guest, .. } = self;
        // A result is no larger than what moves between guest and host, or the other way around.
        let limits = &guest.budget.limits;
        let most = limits.host_call_bytes.max(limits.output_bytes.saturating_add(limits.stdio_bytes));
        worker.hear(most.saturating_add(SLACK_BYTES), &mut patience(&guest.budget)).map_err(stop)
    }
}

fn stop(broken: Broken<Stop>) -> Stop {
    match broken {
        Broken::Worker => Trap::Worker.into(),
        Broken::Stopped(stop) => stop,
    }
}

/// Goes on until the call is cancelled, or a little longer than its time: a worker that ends its
/// guest in time can be used again, and knows what was used.
fn patience(budget: &Budget) -> impl FnMut() -> Result<(), Stop> {
    let mut late = None;
    move || match budget.check_time() {
        Err(Stop::Trap(Trap::Deadline)) => {
            let since = *late.get_or_insert_with(Instant::now);
            if since.elapsed() < GRACE { Ok(()) } else { Err(Trap::Deadline.into()) }
        }
        other => other,
    }
}

/// What the worker says of the end, as far as it can be so, and the fuel.
fn conclude(guest: &mut Guest, done: Done, signature: &FunctionType) -> (Result<Option<Value>, Stop>, u64) {
    let Done { end, fuel, memory_bytes, meter, stdout: Bytes(stdout), stderr: Bytes(stderr) } = done;
    guest.budget.catch_up(&meter);
    guest.budget.catch_up_memory(memory_bytes);
    guest.captured().catch_up(meter.stdio_bytes);
    guest.captured().adopt_output([stdout, stderr]);
    let limits = guest.budget.limits;
    (returned(end, limits.output_bytes, signature), fuel.min(limits.fuel))
}

fn returned(end: End, output_bytes: u64, signature: &FunctionType) -> Result<Option<Value>, Stop> {
    match (end, &signature.result) {
        (End::Returned(None), None) => Ok(None),
        (End::Returned(Some(json)), Some(ty)) if json.len() as u64 <= output_bytes => {
            let parsed = values::parse_json(json.as_bytes()).map_err(|_| Trap::Worker)?;
            Ok(Some(values::from_json(&parsed, ty).map_err(|_| Trap::Worker)?))
        }
        (End::Returned(_), _) => Err(Trap::Worker.into()),
        (End::Trapped(name), _) => {
            let trap = Trap::ALL.iter().find(|trap| trap.as_str() == name);
            Err(trap.copied().unwrap_or(Trap::Worker).into())
        }
    }
}
