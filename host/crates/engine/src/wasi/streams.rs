//! `wasi:io/streams`: wasmtime-wasi's behaviour, with the bytes counted and the time checked.
//! Without files and sockets every stream is ready at once, so nothing here waits.

use std::task::{Context, Poll, Waker};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::io::streams as plain;
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, InputStream, OutputStream};
use wasmtime_wasi::p2::{DynPollable, StreamError, StreamResult};

use crate::Trap;
use crate::baseline::Baseline;
use crate::trap::Stop;

/// Most bytes of one read, write of zeroes or splice.
const CHUNK_BYTES: u64 = 64 << 10;

/// The result of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, Stop> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(Trap::Host.into()),
    }
}

fn trap(stop: Stop) -> StreamError {
    StreamError::Trap(stop.into())
}

impl Baseline<'_> {
    /// Counts a call that moves `bytes`, at most a chunk of them.
    fn moving(&mut self, bytes: u64) -> StreamResult<u64> {
        let bytes = bytes.min(CHUNK_BYTES);
        self.budget.enter(usize::try_from(bytes).unwrap_or(usize::MAX)).map_err(trap)?;
        Ok(bytes)
    }
}

impl streams::Host for Baseline<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(&mut self.wasi().table, error)
    }
}

impl streams::HostInputStream for Baseline<'_> {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        let len = self.moving(len)?;
        plain::HostInputStream::read(&mut self.wasi().table, stream, len)
    }

    fn blocking_read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        let len = self.moving(len)?;
        at_once(plain::HostInputStream::blocking_read(&mut self.wasi().table, stream, len)).map_err(trap)?
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        let len = self.moving(len)?;
        plain::HostInputStream::skip(&mut self.wasi().table, stream, len)
    }

    fn blocking_skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        let len = self.moving(len)?;
        at_once(plain::HostInputStream::blocking_skip(&mut self.wasi().table, stream, len)).map_err(trap)?
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.budget.enter(0)?;
        plain::HostInputStream::subscribe(&mut self.wasi().table, stream)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<()> {
        at_once(plain::HostInputStream::drop(&mut self.wasi().table, stream))?
    }
}

impl streams::HostOutputStream for Baseline<'_> {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> StreamResult<u64> {
        self.moving(0)?;
        plain::HostOutputStream::check_write(&mut self.wasi().table, stream)
    }

    fn write(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.budget.enter(bytes.len()).map_err(trap)?;
        plain::HostOutputStream::write(&mut self.wasi().table, stream, bytes)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.budget.enter(bytes.len()).map_err(trap)?;
        at_once(plain::HostOutputStream::blocking_write_and_flush(&mut self.wasi().table, stream, bytes))
            .map_err(trap)?
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        self.moving(0)?;
        plain::HostOutputStream::flush(&mut self.wasi().table, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::flush(self, stream)
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.budget.enter(0)?;
        plain::HostOutputStream::subscribe(&mut self.wasi().table, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        self.moving(len)?;
        plain::HostOutputStream::write_zeroes(&mut self.wasi().table, stream, len)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        streams::HostOutputStream::write_zeroes(self, stream, len)
    }

    fn splice(
        &mut self,
        to: Resource<OutputStream>,
        from: Resource<InputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        let len = self.moving(len)?;
        plain::HostOutputStream::splice(&mut self.wasi().table, to, from, len)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<OutputStream>,
        from: Resource<InputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        streams::HostOutputStream::splice(self, to, from, len)
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<()> {
        at_once(plain::HostOutputStream::drop(&mut self.wasi().table, stream))?
    }
}
