//! One request and its response over a connection.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::headers::{HEAD_BYTES_MAX, HEADERS_MAX};
use super::{HttpError, Request, Response};

/// How much is read at once, at most.
const READ_BYTES: usize = 16 << 10;

type Connection<S> = http1::Connection<Metered<S>, Full<Bytes>>;

/// Sends `request` and takes the response, its body up to `body_max` bytes. Adds what is read to
/// `received`.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<'_>,
    body_max: u64,
    received: &Cell<u64>,
) -> Result<Response, HttpError> {
    let message = message(request)?;
    let meter = Rc::new(Meter { left: Cell::new(HEAD_BYTES_MAX as u64), ..Meter::default() });
    let io = Metered { stream, meter: Rc::clone(&meter), buffer: vec![0; READ_BYTES] };
    // More than the meter lets through before the head is whole, so that one limit decides.
    let limits = http1::Builder::new().max_headers(HEADERS_MAX).max_buf_size(2 * HEAD_BYTES_MAX).to_owned();
    let (mut sender, connection) = limits.handshake(io).await.map_err(|error| failure(&error))?;
    let mut link = Link { connection: Some(Box::pin(connection)), meter: &meter };
    let result = async {
        let response = link.drive(sender.send_request(message)).await?.map_err(|error| failure(&error))?;
        check(response.status(), response.headers())?;
        meter.left.set(u64::MAX);
        let (head, body) = response.into_parts();
        let body = take(&mut link, body, body_max.saturating_sub(size(&head.headers))).await?;
        Ok(Response { status: head.status, headers: head.headers, body })
    };
    let result = result.await;
    received.set(received.get().saturating_add(meter.read.get()));
    result
}

/// The bytes of a head's headers that go to the guest.
fn size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum()
}

/// The request as it is sent: its target in origin form, the URL's own host, nothing compressed.
fn message(request: Request<'_>) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let Request { method, url, headers, secrets, body, .. } = request;
    let invalid = |error: &dyn std::fmt::Display| HttpError::InvalidUrl(error.to_string());
    let target = PathAndQuery::try_from(url.origin_form()).map_err(|error| invalid(&error))?;
    let host = HeaderValue::from_str(url.authority()).map_err(|error| invalid(&error))?;
    let length = body.as_ref().map(Bytes::len);
    let mut message = http::Request::new(Full::new(body.unwrap_or_default()));
    *message.method_mut() = method;
    *message.version_mut() = Version::HTTP_11;
    *message.uri_mut() = Uri::from(target);
    let all = message.headers_mut();
    all.insert(HOST, host);
    all.insert(USER_AGENT, HeaderValue::from_static("capstan"));
    all.extend(headers);
    for (name, value) in secrets {
        all.insert(name, value);
    }
    if let Some(length) = length {
        all.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    all.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    all.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(message)
}

/// What makes a response's length ambiguous is refused, even where this client would not be fooled.
fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), HttpError> {
    let fail = |text: &str| Err(HttpError::Protocol(text.to_owned()));
    if status.is_informational() {
        return fail("the server switches to another protocol");
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() || length.is_some_and(|length| length.as_bytes().contains(&b',')) {
        return fail("more than one `content-length`");
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        _ if length.is_some() => fail("both `content-length` and `transfer-encoding`"),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => fail("a `transfer-encoding` other than `chunked`"),
    }
}

/// Takes the body up to `max` bytes. Trailers are dropped.
async fn take<S: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<'_, S>,
    mut body: Incoming,
    max: u64,
) -> Result<Vec<u8>, HttpError> {
    let mut taken = Vec::new();
    while let Some(frame) = link.drive(body.frame()).await? {
        let frame = frame.map_err(|error| failure(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if (taken.len() + data.len()) as u64 > max {
            return Err(HttpError::TooLarge);
        }
        taken.extend_from_slice(&data);
    }
    Ok(taken)
}

fn failure(error: &hyper::Error) -> HttpError {
    // Hyper tells a client which of its parse errors this is in words alone; a test has too many
    // headers, so other words would fail there.
    if error.is_parse() && error.to_string().contains("too large") {
        return HttpError::TooLarge;
    }
    // The cause says more than hyper's own words; none of them are the server's.
    let cause = std::error::Error::source(error);
    let text = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    let kind = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    // A chunk that is none, and an end where there should be none, come as errors of reading.
    let broken = [io::ErrorKind::InvalidInput, io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
    if error.is_parse() || error.is_incomplete_message() || kind.is_some_and(|kind| broken.contains(&kind)) {
        HttpError::Protocol(text)
    } else {
        HttpError::Connect(text)
    }
}

/// A connection that moves while something is waited for.
struct Link<'a, S: AsyncRead + AsyncWrite + Unpin> {
    /// None once it ended.
    connection: Option<Pin<Box<Connection<S>>>>,
    meter: &'a Meter,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<'_, S> {
    /// Waits for `work`, or until the meter has run out.
    async fn drive<F: Future>(&mut self, work: F) -> Result<F::Output, HttpError> {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            // What ended it, `work` is told as well.
            if self.connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
                self.connection = None;
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending if self.meter.starved.get() => Poll::Ready(Err(HttpError::TooLarge)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Counts what a connection reads.
#[derive(Default)]
struct Meter {
    /// Bytes read.
    read: Cell<u64>,
    /// Bytes that may still be read.
    left: Cell<u64>,
    /// Whether more was wanted than was left.
    starved: Cell<bool>,
}

/// A connection's bytes, as hyper wants them, through a meter. Once the meter has run out it reads
/// no more: whether that matters is for the [`Link`] to say, which knows what is still awaited.
struct Metered<S> {
    stream: S,
    meter: Rc<Meter>,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> hyper::rt::Read for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = usize::try_from(this.meter.left.get()).unwrap_or(usize::MAX);
        if left == 0 {
            this.meter.starved.set(true);
            return Poll::Pending;
        }
        let most = left.min(into.remaining()).min(this.buffer.len());
        let mut read = ReadBuf::new(this.buffer.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
        let bytes = read.filled();
        this.meter.read.set(this.meter.read.get().saturating_add(bytes.len() as u64));
        this.meter.left.set(this.meter.left.get().saturating_sub(bytes.len() as u64));
        into.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> hyper::rt::Write for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
