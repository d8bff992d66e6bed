//! Names secrets, and passes on whatever comes back.

use capstan_sdk::http::{self, http_send};
use capstan_sdk::{artifacts, log};
use exports::test::keeper::vault;

capstan_sdk::pack!(Keeper);

/// What came back, headers and all, so that a test sees whether a secret is in it.
fn all(status: u16, headers: impl Iterator<Item = (String, String)>, body: &[u8]) -> String {
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{status}\n{headers}\n{}", String::from_utf8_lossy(body))
}

fn fetch(url: String, secrets: Vec<String>, headers: Vec<http::Header>) -> Result<String, String> {
    let response = http::fetch(&http::Request { method: http::Method::Get, url, headers, secrets })?;
    let headers = response.headers.into_iter().map(|header| (header.name, header.value));
    Ok(all(response.status, headers, &response.body))
}

fn send(url: String, text: String, secrets: Vec<String>) -> Result<String, String> {
    let (method, body) = (http_send::Method::Post, text.into_bytes());
    let response = http::send(&http_send::Request { method, url, headers: Vec::new(), secrets, body })?;
    let headers = response.headers.into_iter().map(|header| (header.name, header.value));
    Ok(all(response.status, headers, &response.body))
}

impl vault::Guest for Keeper {
    fn fetch(url: String, secrets: Vec<String>) -> Result<String, String> {
        fetch(url, secrets, Vec::new())
    }

    fn fetch_with(url: String, secrets: Vec<String>, name: String, value: String) -> Result<String, String> {
        fetch(url, secrets, vec![http::Header { name, value }])
    }

    fn send(url: String, text: String, secrets: Vec<String>) -> Result<String, String> {
        send(url, text, secrets)
    }

    fn relay(url: String, secrets: Vec<String>) -> Result<String, String> {
        let first = fetch(url.clone(), secrets.clone(), Vec::new())?;
        let second = send(url, first.clone(), secrets)?;
        let both = format!("{first}\n{second}");
        log::info(&both);
        artifacts::put(both.as_bytes(), "text/plain").map_err(|error| error.to_string())?;
        Ok(both)
    }
}
