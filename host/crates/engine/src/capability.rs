//! The host interfaces of `capstan:host`, each in a live and an inert implementation.
//!
//! Live ones are implemented on [`crate::guest::Guest`], inert ones on [`Inert`]. Both count the
//! call against the budget first; which of the two a call reaches was decided when it was linked.

mod artifacts;
mod clock;
mod exec;
mod files_read;
mod files_write;
mod http_read;
mod http_send;
mod log;
mod model;
mod random;

pub(crate) use exec::exec_answer;
pub(crate) use http_read::response as fetched;
pub(crate) use http_send::response as sent;

use authority::{Authority, Denied, DeniedReason};
use base::Capability;
use wasmtime::component::HasData;

use crate::bindings::types;
use crate::guest::Guest;
use crate::http::HttpError;
use crate::trap::Stop;

/// Answers every call with a refusal.
pub(crate) struct Inert<'a>(&'a mut Guest);

/// Says to wasmtime how to get an [`Inert`] from the store's data.
pub(crate) struct HasInert;

impl HasData for HasInert {
    type Data<'a> = Inert<'a>;
}

/// For the linker.
pub(crate) fn inert(guest: &mut Guest) -> Inert<'_> {
    Inert(guest)
}

/// What a guest is told of a request without a response.
///
/// # Errors
/// If it ends the call.
pub(crate) fn http_error(error: HttpError) -> Result<types::HttpError, Stop> {
    use types::HttpError as Wit;
    Ok(match error {
        HttpError::InvalidUrl(text) => Wit::InvalidUrl(text),
        HttpError::InvalidHeader(text) => Wit::InvalidHeader(text),
        HttpError::Resolve(text) => Wit::Resolve(text),
        HttpError::RefusedAddress(special) => Wit::RefusedAddress(format!(
            "an address of the host is in {} ({}), which no grant for this URL names",
            special.network, special.purpose
        )),
        HttpError::Connect(text) => Wit::Connect(text),
        HttpError::Tls(text) => Wit::Tls(text),
        HttpError::Timeout => Wit::Timeout,
        HttpError::TooLarge => Wit::TooLarge,
        HttpError::Protocol(text) => Wit::Protocol(text),
        HttpError::Secret(text) => Wit::Secret(text),
        HttpError::Stop(stop) => return Err(stop),
    })
}

/// The headers of a response, byte for byte: one need not be UTF-8, and nothing of it is to get lost.
pub(crate) fn http_header<H>(headers: &http::HeaderMap, header: impl Fn(String, String) -> H) -> Vec<H> {
    let text = |value: &http::HeaderValue| value.as_bytes().iter().copied().map(char::from).collect();
    headers.iter().map(|(name, value)| header(name.as_str().to_owned(), text(value))).collect()
}

impl Inert<'_> {
    /// Counts the call and says why `capability` is not live.
    fn refuse(&mut self, capability: Capability, bytes: usize) -> Result<Denied, Stop> {
        self.refuse_what(capability, bytes, |authority| authority.permits(capability))
    }

    /// The same with what `asks` is told, which may be about less than the whole capability.
    fn refuse_what(
        &mut self,
        capability: Capability,
        bytes: usize,
        asks: impl FnOnce(&Authority) -> Result<(), Denied>,
    ) -> Result<Denied, Stop> {
        self.0.budget.enter(bytes)?;
        // Inert is what is not live, so there is a reason; the other arm keeps this total.
        let other = || Denied::for_good(capability, "", DeniedReason::AboveEffect);
        let denied = asks(&self.0.authority).err().unwrap_or_else(other);
        self.0.record(&denied);
        Ok(denied)
    }

    /// The same for an interface without errors: the refusal ends the call.
    fn stop(&mut self, capability: Capability) -> Stop {
        match self.refuse(capability, 0) {
            Ok(denied) => Stop::Denied(Box::new(denied)),
            Err(stop) => stop,
        }
    }
}

impl Guest {
    /// What the guest is told about a refusal: the reason, and the grant that would help.
    fn denial_text(&self, denied: &Denied) -> String {
        match denied.hint(self.authority.pack()) {
            Some(command) => format!("{denied}; allowed by `{command}`"),
            None => denied.to_string(),
        }
    }
}
