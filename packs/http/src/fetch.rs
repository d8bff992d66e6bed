//! The operations of `fetch`: the host's HTTP calls, as text.

use capstan_sdk::http;

use crate::exports::capstan::http::fetch::{Answer, Failure, Guest, Header, Page, Reason};
use crate::{Http, json};

/// What `json` takes a value from.
const OK: u16 = 200;

impl From<http::Reason> for Reason {
    fn from(reason: http::Reason) -> Self {
        match reason {
            // This pack names no secret.
            http::Reason::Denied(why) | http::Reason::Secret(why) => Self::Denied(why),
            http::Reason::InvalidUrl(why) => Self::InvalidUrl(why),
            http::Reason::InvalidHeader(why) => Self::InvalidHeader(why),
            http::Reason::Protocol(why) => Self::Protocol(why),
            http::Reason::Resolve(why) => Self::Resolve(why),
            http::Reason::RefusedAddress(why) => Self::RefusedAddress(why),
            http::Reason::Connect(why) => Self::Connect(why),
            http::Reason::Tls(why) => Self::Tls(why),
            http::Reason::Timeout => Self::Timeout,
            http::Reason::TooLarge => Self::TooLarge,
            http::Reason::NotText => Self::NotText,
        }
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        Self { url: error.url, reason: error.reason.into() }
    }
}

fn headers(headers: Vec<http::Header>) -> Vec<Header> {
    headers.into_iter().map(|header| Header { name: header.name, value: header.value }).collect()
}

impl Guest for Http {
    fn get(url: String) -> Result<Page, Failure> {
        let response = http::get(&url)?;
        let text = http::text(&url, response.body)?;
        Ok(Page { status: response.status, headers: headers(response.headers), text })
    }

    fn head(url: String) -> Result<Answer, Failure> {
        let response = http::head(&url)?;
        Ok(Answer { status: response.status, headers: headers(response.headers) })
    }

    fn json(url: String, pointer: String) -> Result<String, Failure> {
        let response = http::get(&url)?;
        if response.status != OK {
            return Err(Failure { url, reason: Reason::Status(response.status) });
        }
        json::at(&response.body, &pointer).map_err(|error| {
            let reason = match error {
                json::Error::NotJson(why) => Reason::NotJson(why),
                json::Error::Pointer(why) => Reason::Pointer(why),
            };
            Failure { url, reason }
        })
    }
}
