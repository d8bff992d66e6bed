//! Asks servers, and could ask for what it read in files.

use capstan_sdk::files;
use capstan_sdk::http::{self, Header, Method, Request, Response, http_send};
use exports::test::asker::{ask, keep};

capstan_sdk::pack!(Asker);

const ROOT: &str = "workspace";

fn fetch(method: Method, url: String) -> Result<Response, String> {
    let header = Header { name: "X-Own".to_owned(), value: "mine".to_owned() };
    Ok(http::fetch(&Request { method, url, headers: vec![header], secrets: Vec::new() })?)
}

fn get(url: String) -> Result<String, String> {
    let response = fetch(Method::Get, url)?;
    Ok(format!("{} {}", response.status, String::from_utf8_lossy(&response.body)))
}

/// The URL with a file's text as its query.
fn about(url: &str, path: &str) -> Result<String, String> {
    Ok(format!("{url}?{}", files::read_text(ROOT, path)?))
}

impl ask::Guest for Asker {
    fn file(url: String, path: String) -> Result<String, String> {
        get(about(&url, &path)?)
    }

    fn head(url: String, path: String) -> Result<String, String> {
        let response = fetch(Method::Head, about(&url, &path)?)?;
        let header = response.headers.iter().find(|header| header.name == "x-head");
        let value = header.map(|header| header.value.clone()).unwrap_or_default();
        Ok(format!("{} {value} {}", response.status, response.body.len()))
    }

    fn twice(url: String) -> Result<String, String> {
        Ok(format!("{}, {}", get(url.clone())?, get(url)?))
    }

    fn maybe(url: String) -> Result<String, String> {
        if url.is_empty() { Ok("nothing to ask".to_owned()) } else { get(url) }
    }
}

impl keep::Guest for Asker {
    fn write(url: String, path: String) -> Result<String, String> {
        let answer = get(about(&url, &path)?)?;
        files::write(ROOT, &format!("{path}.answer"), &answer)?;
        Ok(answer)
    }

    fn send(url: String) -> Result<String, String> {
        let body = get(url.clone())?.into_bytes();
        let method = http_send::Method::Post;
        let response =
            http::send(&http_send::Request { method, url, headers: Vec::new(), secrets: Vec::new(), body })?;
        Ok(format!("{} {}", response.status, String::from_utf8_lossy(&response.body)))
    }
}
