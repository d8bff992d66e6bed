//! Language models that the operator named: where one is asked, and what is said to it and by it, in
//! the form of chat completions that many servers share.

use std::collections::BTreeMap;
use std::sync::Arc;

use authority::{HttpUrl, ModelName, SecretName};
use ipnet::IpNet;
use serde_json::{Map, Value as Json, json};

use crate::bindings::model::{Request, Role};
use crate::{HttpClient, SecretValue};

/// Prices are for so many tokens.
const PRICED_TOKENS: u128 = 1_000_000;
/// Tokens that a server may add around a message, at most, and around all of them.
const FRAME_TOKENS: u64 = 32;
/// Longest quotation of what a server says went wrong, in characters.
const SAID_CHARS_MAX: usize = 300;

/// What answers guests' questions. Clones share it.
#[derive(Debug, Clone)]
pub struct Models {
    /// Sends them.
    pub client: HttpClient,
    /// Those that the call's authority permits and the operator named.
    pub by_name: BTreeMap<ModelName, Model>,
}

/// A model, and the value that opens it.
#[derive(Debug, Clone)]
pub struct Model {
    /// Where it is asked.
    pub endpoint: Arc<ModelEndpoint>,
    /// The value of [`ModelEndpoint::key`], if it has one.
    pub key: Option<SecretValue>,
}

/// Where a model is asked, and at what price.
#[derive(Debug, Clone)]
pub struct ModelEndpoint {
    /// What a request is posted to.
    pub url: HttpUrl,
    /// The name that the server knows it by.
    pub model: String,
    /// The special network that its address may be in.
    pub network: Option<IpNet>,
    /// The secret that is sent as a bearer token.
    pub key: Option<SecretName>,
    /// Price of a million tokens that it reads, in millionths of the operator's unit.
    pub input_price: u64,
    /// The same of those that it writes.
    pub output_price: u64,
    /// How it is asked for JSON.
    pub asked_by: AskFor,
    /// What the server calls the most tokens of an answer.
    pub limit_name: String,
}

/// How a server is asked for JSON. The host checks the answer in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskFor {
    /// By the schema itself.
    Schema,
    /// As any object.
    Object,
    /// Not at all: the messages have to say so.
    Nothing,
}

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) is_complete: bool,
    /// Tokens read and written, if it says so.
    pub(crate) tokens: Option<(u64, u64)>,
}

impl ModelEndpoint {
    /// What tokens cost, rounded up.
    pub(crate) fn cost(&self, input: u64, output: u64) -> u64 {
        let price = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let both = price(input, self.input_price).saturating_add(price(output, self.output_price));
        u64::try_from(both.div_ceil(PRICED_TOKENS)).unwrap_or(u64::MAX)
    }

    /// The body of a request.
    pub(crate) fn body(&self, request: &Request, schema: Option<&Json>) -> Json {
        let message = |message: &crate::bindings::model::Message| {
            let role = match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            json!({"role": role, "content": message.text})
        };
        let mut body = Map::new();
        let mut put = |key: &str, value: Json| drop(body.insert(key.to_owned(), value));
        put("model", self.model.as_str().into());
        put("messages", request.messages.iter().map(message).collect());
        put(&self.limit_name, request.max_tokens.into());
        put("stream", false.into());
        if let Some(hundredths) = request.temperature {
            put("temperature", (f64::from(hundredths) / 100.0).into());
        }
        match (schema, self.asked_by) {
            (None, _) | (_, AskFor::Nothing) => {}
            (Some(_), AskFor::Object) => put("response_format", json!({"type": "json_object"})),
            (Some(schema), AskFor::Schema) => {
                let schema = json!({"name": "answer", "schema": schema});
                put("response_format", json!({"type": "json_schema", "json_schema": schema}));
            }
        }
        Json::Object(body)
    }
}

/// Most tokens that a server can count a request as: a token is at least a byte of what is said.
pub(crate) fn most_input_tokens(request: &Request) -> u64 {
    let texts = request.messages.iter().map(|message| message.text.len() as u64 + FRAME_TOKENS);
    let schema = request.schema.as_ref().map_or(0, |schema| schema.len() as u64 + FRAME_TOKENS);
    texts.sum::<u64>().saturating_add(schema).saturating_add(FRAME_TOKENS)
}

/// Reads the body of an answer.
///
/// # Errors
/// What makes it none.
pub(crate) fn read(body: &[u8]) -> Result<Said, String> {
    let json = values::parse_json(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    let choice = json.pointer("/choices/0").ok_or("the answer has no `choices`")?;
    let text = choice.pointer("/message/content").and_then(Json::as_str);
    let text = text.ok_or("the answer has no text in `choices[0].message.content`")?.to_owned();
    let is_complete = choice.get("finish_reason").and_then(Json::as_str) == Some("stop");
    let count = |name: &str| json.get("usage")?.get(name)?.as_u64();
    let tokens = count("prompt_tokens").zip(count("completion_tokens"));
    Ok(Said { text, is_complete, tokens })
}

/// What a server says of a request that it refused.
pub(crate) fn complaint(body: &[u8]) -> String {
    let json = values::parse_json(body).ok();
    let said = json.as_ref().and_then(|json| json.pointer("/error/message").or(json.get("error"))?.as_str());
    let text = said.map_or_else(|| String::from_utf8_lossy(body).into_owned(), ToOwned::to_owned);
    text.chars().take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::model::Message;

    fn endpoint() -> ModelEndpoint {
        ModelEndpoint {
            url: HttpUrl::parse("https://models.example/v1/chat/completions").unwrap(),
            model: "small-1".to_owned(),
            network: None,
            key: None,
            input_price: 150_000,
            output_price: 600_000,
            asked_by: AskFor::Schema,
            limit_name: "max_tokens".to_owned(),
        }
    }

    fn request() -> Request {
        let message = |role, text: &str| Message { role, text: text.to_owned() };
        Request {
            model: "default".to_owned(),
            messages: vec![message(Role::System, "be brief"), message(Role::User, "h\u{e9}llo")],
            schema: None,
            max_tokens: 7,
            temperature: Some(70),
        }
    }

    #[test]
    fn a_price_is_for_a_million_tokens_and_rounds_up() {
        let endpoint = endpoint();
        assert_eq!(
            [(0, 0), (1, 0), (1_000_000, 0), (0, 10), (7, 3)].map(|(i, o)| endpoint.cost(i, o)),
            [0, 1, 150_000, 6, 3]
        );
        let dear = ModelEndpoint { input_price: u64::MAX, output_price: u64::MAX, ..endpoint };
        assert_eq!(dear.cost(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_request_says_what_was_asked() {
        let messages =
            json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "h\u{e9}llo"}]);
        let plain = json!({"model": "small-1", "messages": messages, "max_tokens": 7, "stream": false, "temperature": 0.7});
        assert_eq!(endpoint().body(&request(), None), plain);
        let schema = json!({"type": "object"});
        let body = |asked_by| ModelEndpoint { asked_by, ..endpoint() }.body(&request(), Some(&schema));
        let form = |asked_by| body(asked_by).get("response_format").cloned();
        let by_schema = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
        assert_eq!(form(AskFor::Schema), Some(by_schema));
        assert_eq!(form(AskFor::Object), Some(json!({"type": "json_object"})));
        assert_eq!(form(AskFor::Nothing), None);
        // 8 and 6 bytes, two messages and the whole.
        assert_eq!(most_input_tokens(&request()), 8 + 6 + 3 * 32);
        let with_schema = Request { schema: Some("{}".to_owned()), ..request() };
        assert_eq!(most_input_tokens(&with_schema), 8 + 6 + 2 + 4 * 32);
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_refused() {
        let answer = |text: Json, reason: &str| {
            let choice = json!({"message": {"role": "assistant", "content": text}, "finish_reason": reason});
            json!({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
        };
        let read_json = |json: &Json| read(json.to_string().as_bytes());
        let said = |is_complete| Said { text: "hi".to_owned(), is_complete, tokens: Some((5, 2)) };
        assert_eq!(read_json(&answer(json!("hi"), "stop")), Ok(said(true)));
        assert_eq!(read_json(&answer(json!("hi"), "length")), Ok(said(false)));
        let mut silent = answer(json!("hi"), "stop");
        silent["usage"]["prompt_tokens"] = json!(-1);
        assert_eq!(read_json(&silent).unwrap().tokens, None);
        assert!(read_json(&answer(json!(null), "stop")).unwrap_err().contains("no text"));
        assert!(read_json(&json!({"choices": []})).unwrap_err().contains("no `choices`"));
        assert!(read(b"<html>").unwrap_err().contains("no JSON"));
        assert!(read(&[b"[".repeat(9_999), b"]".repeat(9_999)].concat()).unwrap_err().contains("nested"));
        assert_eq!(complaint(br#"{"error": {"message": "no such model"}}"#), "no such model");
        assert_eq!(complaint(br#"{"error": "busy"}"#), "busy");
        assert_eq!(complaint(&b"x".repeat(999)), "x".repeat(SAID_CHARS_MAX));
    }
}
