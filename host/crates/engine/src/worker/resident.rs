//! The data of a store in a worker: the baseline, and a socket to everything else.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use base::{Capability, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::ask::HostCall;
use super::wire::{self, Bytes, Said, Told};
use crate::baseline::{Baseline, StoreData};
use crate::bindings::{
    artifacts, clock, exec, files_read, files_write, http_read, http_send, log, model, random,
};
use crate::budget::Budget;
use crate::guest::{Captured, lock};
use crate::link::assemble;
use crate::random::Draws;
use crate::trap::Stop;
use crate::wasi::Wasi;
use crate::{CancelToken, Trap};

/// The worker's end of the socket.
#[derive(Clone)]
pub(super) struct Line(Arc<UnixStream>);

impl Line {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self(Arc::new(socket))
    }

    pub(super) fn say(&self, message: &impl Serialize) -> std::io::Result<()> {
        (&*self.0).write_all(&wire::frame(message).map_err(std::io::Error::other)?)
    }

    /// The bytes of the next frame; what the parent sends has no other bound than its length.
    pub(super) fn hear_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut head = [0; wire::HEAD_BYTES];
        (&*self.0).read_exact(&mut head)?;
        let mut bytes = vec![0; wire::length(head)];
        (&*self.0).read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn hear(&self) -> std::io::Result<Told> {
        postcard::from_bytes(&self.hear_bytes()?).map_err(std::io::Error::other)
    }
}

/// One call's state in a worker.
pub(super) struct Resident {
    pub(super) budget: Budget,
    pub(super) asker: Asker,
    wasi: Option<Box<Wasi>>,
}

/// Asks the parent.
pub(super) struct Asker {
    line: Line,
    pub(super) captured: Arc<Mutex<Captured>>,
}

impl Resident {
    pub(super) fn new(line: Line, limits: Limits) -> Self {
        let captured = Arc::new(Mutex::new(Captured::new(limits.stdio_bytes)));
        let budget = Budget::new(limits, CancelToken::default());
        Self { budget, asker: Asker { line, captured }, wasi: None }
    }

    fn ask<T: DeserializeOwned>(&mut self, call: HostCall) -> wasmtime::Result<T> {
        self.asker.ask(&mut self.budget, call)
    }
}

impl Asker {
    /// Has the parent make a call of the host. The counters go with it and come back with the answer.
    fn ask<T: DeserializeOwned>(&mut self, budget: &mut Budget, call: HostCall) -> wasmtime::Result<T> {
        let failed = |_| Stop::from(Trap::Worker);
        let most = budget.bytes_left().saturating_add(wire::SLACK_BYTES);
        let too_much = call.strings() > wire::STRINGS_MAX;
        let meter = budget.meter(lock(&self.captured).used());
        let said = wire::frame(&Said::Ask(meter, call)).map_err(|_| Stop::from(Trap::HostCallBytes))?;
        if too_much || said.len() as u64 > most {
            return Err(Stop::from(Trap::HostCallBytes).into());
        }
        (&*self.line.0).write_all(&said).map_err(failed)?;
        match self.line.hear().map_err(failed)? {
            Told::Answer(meter, Bytes(answer)) => {
                budget.catch_up(&meter);
                lock(&self.captured).catch_up(meter.stdio_bytes);
                Ok(postcard::from_bytes(&answer).map_err(|_| Stop::from(Trap::Worker))?)
            }
            // The parent knows why, and says so.
            _ => Err(Stop::from(Trap::Host).into()),
        }
    }
}

impl Draws for Asker {
    fn draw(&mut self, budget: &mut Budget, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.ask(budget, HostCall::WasiRandom { length }).map(|Bytes(bytes)| bytes)
    }

    fn draw_number(&mut self, budget: &mut Budget) -> wasmtime::Result<u64> {
        self.ask(budget, HostCall::WasiRandomNumber)
    }
}

impl WasiView for Resident {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.baseline().into_wasi().view()
    }
}

impl StoreData for Resident {
    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn baseline(&mut self) -> Baseline<'_> {
        let Self { budget, asker, wasi } = self;
        // The parts that the asker needs are others than those that are lent beside it.
        let captured = Arc::clone(&asker.captured);
        Baseline { budget, captured, wasi, random: asker }
    }
}

type Me = HasSelf<Resident>;

/// Links a component of which every host interface asks the parent.
pub(super) fn link(component: &Component, imports: &[String]) -> Result<InstancePre<Resident>, String> {
    assemble(component, imports, link_capability)
}

fn link_capability(l: &mut Linker<Resident>, capability: Capability) -> Option<wasmtime::Result<()>> {
    Some(match capability {
        Capability::FilesRead => files_read::add_to_linker::<_, Me>(l, |g| g),
        Capability::FilesWrite => files_write::add_to_linker::<_, Me>(l, |g| g),
        Capability::HttpRead => http_read::add_to_linker::<_, Me>(l, |g| g),
        Capability::HttpSend => http_send::add_to_linker::<_, Me>(l, |g| g),
        Capability::Exec => exec::add_to_linker::<_, Me>(l, |g| g),
        Capability::Artifacts => artifacts::add_to_linker::<_, Me>(l, |g| g),
        Capability::Model => model::add_to_linker::<_, Me>(l, |g| g),
        Capability::Clock => clock::add_to_linker::<_, Me>(l, |g| g),
        Capability::Random => random::add_to_linker::<_, Me>(l, |g| g),
        // It has no interface.
        Capability::Secrets => return None,
        Capability::Log => log::add_to_linker::<_, Me>(l, |g| g),
    })
}

impl artifacts::Host for Resident {
    fn put(
        &mut self,
        contents: Vec<u8>,
        media_type: String,
    ) -> wasmtime::Result<Result<String, artifacts::ArtifactError>> {
        self.ask(HostCall::ArtifactsPut { contents: Bytes(contents), media_type })
    }

    fn get(&mut self, digest: String) -> wasmtime::Result<Result<Vec<u8>, artifacts::ArtifactError>> {
        self.ask(HostCall::ArtifactsGet { digest }).map(unpack)
    }
}

fn unpack<E>(answer: Result<Bytes, E>) -> Result<Vec<u8>, E> {
    answer.map(|Bytes(bytes)| bytes)
}

impl clock::Host for Resident {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.ask(HostCall::ClockNow)
    }
}

impl exec::Host for Resident {
    fn run(&mut self, request: exec::Request) -> wasmtime::Result<Result<exec::Outcome, exec::ExecError>> {
        self.ask(HostCall::Exec(request))
    }
}

impl files_read::Host for Resident {
    fn list(
        &mut self,
        root: String,
        glob: String,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<files_read::Listing, files_read::FileError>> {
        self.ask(HostCall::FilesList { root, glob, cursor })
    }

    fn stat(
        &mut self,
        root: String,
        path: String,
    ) -> wasmtime::Result<Result<files_read::Metadata, files_read::FileError>> {
        self.ask(HostCall::FilesStat { root, path })
    }

    fn read(
        &mut self,
        root: String,
        path: String,
    ) -> wasmtime::Result<Result<Vec<u8>, files_read::FileError>> {
        self.ask(HostCall::FilesRead { root, path }).map(unpack)
    }
}

/// What a change of files answers.
type Changed = wasmtime::Result<Result<(), files_write::FileError>>;

impl files_write::Host for Resident {
    fn write(&mut self, root: String, path: String, contents: Vec<u8>) -> Changed {
        self.ask(HostCall::FilesWrite { root, path, contents: Bytes(contents) })
    }

    fn remove(&mut self, root: String, path: String) -> Changed {
        self.ask(HostCall::FilesRemove { root, path })
    }

    fn create_dir(&mut self, root: String, path: String) -> Changed {
        self.ask(HostCall::FilesCreateDir { root, path })
    }

    fn rename(&mut self, root: String, source: String, target: String) -> Changed {
        self.ask(HostCall::FilesRename { root, source, target })
    }

    fn remove_tree(&mut self, root: String, path: String) -> Changed {
        self.ask(HostCall::FilesRemoveTree { root, path })
    }
}

impl http_read::Host for Resident {
    fn fetch(
        &mut self,
        request: http_read::Request,
    ) -> wasmtime::Result<Result<http_read::Response, http_read::HttpError>> {
        self.ask(HostCall::HttpRead(request))
    }
}

impl http_send::Host for Resident {
    fn send(
        &mut self,
        request: http_send::Request,
    ) -> wasmtime::Result<Result<http_send::Response, http_send::HttpError>> {
        self.ask(HostCall::HttpSend(request))
    }
}

impl log::Host for Resident {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.ask(HostCall::Log { level, message })
    }
}

impl model::Host for Resident {
    fn ask(&mut self, request: model::Request) -> wasmtime::Result<Result<model::Answer, model::ModelError>> {
        self.ask(HostCall::Model(request))
    }
}

impl random::Host for Resident {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.ask(HostCall::Random { length }).map(|Bytes(bytes)| bytes)
    }
}
