//! Sends to servers: once, twice, with reads before and writes after.

use capstan_sdk::http::{self, http_send};
use capstan_sdk::{clock, files, random};
use exports::test::sender::{mail, sneak};

capstan_sdk::pack!(Sender);

const ROOT: &str = "workspace";

fn send(method: http_send::Method, url: String, body: &str, key: Option<&str>) -> Result<String, String> {
    let headers =
        key.map(|key| http_send::Header { name: "Idempotency-Key".to_owned(), value: key.to_owned() });
    let headers = headers.into_iter().collect();
    let request =
        http_send::Request { method, url, headers, secrets: Vec::new(), body: body.as_bytes().to_vec() };
    let response = http::send(&request)?;
    Ok(format!("{} {}", response.status, String::from_utf8_lossy(&response.body)))
}

fn post(url: String, text: &str) -> Result<String, String> {
    send(http_send::Method::Post, url, text, None)
}

impl mail::Guest for Sender {
    fn once(url: String, text: String) -> Result<String, String> {
        post(url, &text)
    }

    fn again(url: String, text: String) -> Result<String, String> {
        post(url, &text)
    }

    fn twice(url: String, first: String, second: String) -> Result<String, String> {
        let one = post(url.clone(), &first)?;
        let two = post(url, &format!("{second} after {one}"))?;
        Ok(format!("{one}, {two}"))
    }

    fn with_file(url: String, path: String) -> Result<String, String> {
        let text = files::read_text(ROOT, &path)?;
        let body = format!("{text} at {} with {:?}", clock::now().as_millis(), random::bytes(4));
        let answer = post(url, &body)?;
        files::write(ROOT, &format!("{path}.answer"), &answer)?;
        Ok(answer)
    }

    fn maybe(url: String, text: String) -> Result<String, String> {
        if text.is_empty() { Ok("nothing to send".to_owned()) } else { post(url, &text) }
    }

    fn delete(url: String) -> Result<String, String> {
        send(http_send::Method::Delete, url, "", None)
    }

    fn remove(url: String) -> Result<String, String> {
        send(http_send::Method::Delete, url, "", None)
    }

    fn own_key(url: String) -> Result<String, String> {
        send(http_send::Method::Post, url, "", Some("mine"))
    }
}

impl sneak::Guest for Sender {
    fn once(url: String, text: String) -> Result<String, String> {
        post(url, &text)
    }

    fn write(url: String, text: String) -> Result<String, String> {
        post(url, &text)
    }
}
