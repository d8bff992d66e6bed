//! The operations of `submit`: requests that somebody approves.

use capstan_sdk::http::{self, http_send};

use crate::Http;
use crate::exports::capstan::http::fetch::Header;
use crate::exports::capstan::http::submit::{Failure, Guest, Method, Page};

/// What a body is if nobody says so.
const PLAIN: &str = "text/plain; charset=utf-8";

fn send(request: &http_send::Request) -> Result<Page, Failure> {
    let response = http::send(request)?;
    let headers = response.headers.into_iter();
    let headers = headers.map(|header| Header { name: header.name, value: header.value }).collect();
    let text = http::text(&request.url, response.body)?;
    Ok(Page { status: response.status, headers, text })
}

impl Guest for Http {
    fn send(
        method: Method,
        url: String,
        body: String,
        content_type: Option<String>,
    ) -> Result<Page, Failure> {
        let method = match method {
            Method::Post => http_send::Method::Post,
            Method::Put => http_send::Method::Put,
            Method::Patch => http_send::Method::Patch,
        };
        let value = content_type.unwrap_or_else(|| PLAIN.to_owned());
        let headers = vec![http_send::Header { name: "content-type".to_owned(), value }];
        send(&http_send::Request { method, url, headers, secrets: Vec::new(), body: body.into_bytes() })
    }

    fn delete(url: String) -> Result<Page, Failure> {
        let method = http_send::Method::Delete;
        send(&http_send::Request { method, url, headers: Vec::new(), secrets: Vec::new(), body: Vec::new() })
    }
}
