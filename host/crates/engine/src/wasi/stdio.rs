//! Standard output and error: captured up to the limit, never blocking.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::LogSource;
use crate::guest::{Captured, lock};
use crate::trap::Stop;

/// How much a guest may write at once. Each byte was already counted as a host call's.
const PERMIT_BYTES: usize = 64 << 10;

/// One of the two output streams. Clones write to the same place.
#[derive(Clone)]
pub(super) struct CapturedOutput {
    source: LogSource,
    captured: Arc<Mutex<Captured>>,
}

impl CapturedOutput {
    pub(super) fn stdout(captured: &Arc<Mutex<Captured>>) -> Self {
        Self { source: LogSource::Stdout, captured: Arc::clone(captured) }
    }

    pub(super) fn stderr(captured: &Arc<Mutex<Captured>>) -> Self {
        Self { source: LogSource::Stderr, captured: Arc::clone(captured) }
    }

    fn capture(&self, bytes: &[u8]) -> Result<(), Stop> {
        lock(&self.captured).write(self.source, bytes)
    }
}

impl IsTerminal for CapturedOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for CapturedOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for CapturedOutput {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.capture(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Pollable for CapturedOutput {
    fn ready<'life0, 'async_trait>(
        &'life0 mut self,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(std::future::ready(()))
    }
}

impl OutputStream for CapturedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A trap and no error, which the guest could ignore.
        self.capture(&bytes).map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}
