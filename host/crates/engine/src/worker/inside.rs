//! The worker process itself.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use values::{FunctionType, Value};

use super::resident::{Line, Resident, link};
use super::wire::{Bytes, Done, End, Order, Said, Told};
use crate::call::{Call, lower_arguments};
use crate::confine::resident as confine;
use crate::guest::lock;
use crate::program::Parts;
use crate::trap::Stop;
use crate::{Trap, cache, engine};

/// Native stack of the thread that runs guests, as in the parent.
const STACK_BYTES: usize = 8 << 20;

/// The process is no worker.
#[derive(Debug, thiserror::Error)]
#[error("the process is no worker: {0}")]
pub struct WorkerError(String);

/// The work of `capstan internal worker`, whose standard input is a socket to the parent. It returns
/// when the parent hangs up.
///
/// # Errors
/// If it has no socket. What else fails is told to the parent.
pub fn work() -> Result<(), WorkerError> {
    let failed = |error: std::io::Error| WorkerError(error.to_string());
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    confine::close_others(&socket).map_err(failed)?;
    let line = Line::new(UnixStream::from(socket));
    let mine = line.clone();
    let begun = prepare().and_then(|engine| {
        let thread = std::thread::Builder::new().name("guest".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || serve(&engine, &mine)).map_err(|error| error.to_string())
    });
    match begun {
        // Only that the parent is gone ends it; there is nobody to tell.
        Ok(guest) => drop(guest.join()),
        Err(why) => drop(line.say(&Said::Failed(why))),
    }
    Ok(())
}

/// Everything that needs the system, while there are no guest's bytes here.
fn prepare() -> Result<wasmtime::Engine, String> {
    confine::leave().map_err(|error| error.to_string())?;
    let engine = engine::bare().map_err(|error| error.to_string())?;
    engine::start_clock(&engine).map_err(|error| error.to_string())?;
    Ok(engine)
}

/// Confines this process, takes its code, and makes calls until the parent hangs up.
fn serve(engine: &wasmtime::Engine, line: &Line) -> std::io::Result<()> {
    match confine::restrict() {
        Ok(holds) => line.say(&Said::Confined(holds))?,
        Err(error) => return line.say(&Said::Failed(error.to_string())),
    }
    let program = match load(engine, &line.hear_bytes()?) {
        Ok(program) => program,
        Err(why) => return line.say(&Said::Failed(why)),
    };
    line.say(&Said::Loaded)?;
    while let Told::Call(order) = line.hear()? {
        line.say(&Said::Done(Box::new(program.make(&order, line))))?;
    }
    Ok(())
}

fn load(engine: &wasmtime::Engine, code: &[u8]) -> Result<Program, String> {
    let unfit = || "its code is not for this processor and program".to_owned();
    let component = cache::deserialize(engine, code).ok_or_else(unfit)?;
    let parts = Parts::of(component);
    let linked = Arc::new(link(&parts.component, &parts.imports)?);
    // From here on no memory becomes code.
    confine::seal().map_err(|error| error.to_string())?;
    Ok(Program { parts, linked })
}

/// The one component of this process.
struct Program {
    parts: Parts,
    linked: Arc<wasmtime::component::InstancePre<Resident>>,
}

impl Program {
    fn make(&self, order: &Order, line: &Line) -> Done {
        let data = Resident::new(line.clone(), order.limits);
        let (ended, data, fuel) = match self.prepare(order) {
            Ok((export, params)) => {
                let mut call = Call::new(Arc::clone(&self.linked), export, data);
                let ended = call.run(&params, &order.signature);
                let (data, fuel) = call.end();
                (ended, data, fuel)
            }
            Err(trap) => (Err(trap.into()), data, 0),
        };
        let end = match ended {
            Ok(value) => End::Returned(value.map(|value| values::to_json(&value).to_string())),
            Err(Stop::Trap(trap)) => End::Trapped(trap.as_str().to_owned()),
            // Only the parent holds or denies.
            Err(_) => End::Trapped(Trap::Host.as_str().to_owned()),
        };
        let mut captured = lock(&data.asker.captured);
        let [stdout, stderr] = captured.take_output().map(Bytes);
        let meter = data.budget.meter(captured.used());
        Done { end, fuel, memory_bytes: data.budget.memory(), meter, stdout, stderr }
    }

    fn prepare(
        &self,
        order: &Order,
    ) -> Result<(wasmtime::component::ComponentExportIndex, Vec<wasmtime::component::Val>), Trap> {
        let export = self.parts.function(&order.interface, &order.function, &order.signature);
        let export = export.ok_or(Trap::Signature)?;
        Ok((export, lower_arguments(arguments(order)?, &order.signature)?))
    }
}

fn arguments(order: &Order) -> Result<Vec<Value>, Trap> {
    let Order { signature: FunctionType { params, .. }, arguments, .. } = order;
    if params.len() != arguments.len() {
        return Err(Trap::Signature);
    }
    let parse = |(json, param): (&String, &values::Field)| {
        let parsed = values::parse_json(json.as_bytes()).map_err(|_| Trap::Signature)?;
        values::from_json(&parsed, &param.ty).map_err(|_| Trap::Signature)
    };
    arguments.iter().zip(params).map(parse).collect()
}
