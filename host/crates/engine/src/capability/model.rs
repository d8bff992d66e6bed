//! `model`: questions to language models that the operator named and granted.

use authority::{Denied, ModelName};
use base::Capability;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value as Json;
use values::JsonSchema;

use super::Inert;
use crate::bindings::model::{self, Answer, ModelError as Wit, Request};
use crate::guest::Guest;
use crate::http::{self as client, HttpError, Redactor, Response, Traffic};
use crate::model::{Model, ModelEndpoint, complaint, most_input_tokens, read};
use crate::secret::SecretHeader;
use crate::trap::Stop;

/// Most messages of a conversation.
const MESSAGES_MAX: usize = 256;
/// Most tokens that one answer is asked for.
const ANSWER_TOKENS_MAX: u32 = 1_000_000;
/// Highest temperature that servers take, in hundredths.
const TEMPERATURE_MAX: u8 = 200;

/// A question without an answer.
enum Failure {
    Tell(Wit),
    Denied(Denied),
    Stop(Stop),
}

impl From<Wit> for Failure {
    fn from(error: Wit) -> Self {
        Self::Tell(error)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// The most tokens that a question can take.
#[derive(Clone, Copy)]
struct Most {
    input: u64,
    output: u64,
}

impl Guest {
    fn ask_model(&mut self, request: &Request) -> Result<Answer, Failure> {
        let name: ModelName =
            request.model.parse().map_err(|error| Wit::InvalidRequest(format!("{error}")))?;
        self.authority.permits_model(&name).map_err(Failure::Denied)?;
        self.reached.place(Capability::Model, name.to_string());
        check(request)?;
        let schema = request.schema.as_deref().map(schema).transpose()?;
        let absent = || Wit::Unavailable(format!("`config.toml` names no model `{name}`"));
        let Model { endpoint, key } = self.host.models.by_name.get(&name).cloned().ok_or_else(absent)?;
        let most = Most { input: most_input_tokens(request), output: request.max_tokens.into() };
        let cost = endpoint.cost(most.input, most.output);
        self.budget.has_for_model(most.input.saturating_add(most.output), cost)?;
        let body = endpoint.body(request, schema.as_ref().map(|(json, _)| json)).to_string();
        let response = self.post(&endpoint, key.as_ref(), body, most)?;
        let answer = self.answered(&endpoint, &response, most)?;
        if let Some((_, schema)) = &schema {
            satisfies(&answer, schema)?;
        }
        Ok(answer)
    }

    /// Sends the question. Where a server may have taken it and gave no answer, the most that it can
    /// have taken is counted.
    fn post(
        &mut self,
        endpoint: &ModelEndpoint,
        key: Option<&crate::SecretValue>,
        body: String,
        most: Most,
    ) -> Result<Response, Failure> {
        let client = self.host.models.client.clone();
        if !client.takes(body.len()) {
            return Err(
                Wit::InvalidRequest("the messages are more than a request may hold".to_owned()).into()
            );
        }
        let redactor = &Redactor::new(self.host.secrets.values().chain(key));
        let secrets = bearer(endpoint, key)?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let message = client::Request {
            method: Method::POST,
            url: &endpoint.url,
            headers,
            secrets,
            redactor,
            body: Some(Bytes::from(body)),
            networks: endpoint.network.as_slice(),
        };
        let traffic = Traffic::default();
        let response = client.fetch(message, &self.budget, &traffic);
        let moved = traffic.received.get().min(self.budget.bytes_left());
        self.budget.charge(usize::try_from(moved).unwrap_or(usize::MAX))?;
        response.map_err(|error| {
            if traffic.connected.get() {
                // There was enough for it, and whatever ends the call now is said instead.
                drop(self.take(endpoint, most.input, most.output));
            }
            failure(error)
        })
    }

    /// Reads an answer and counts what it took.
    fn answered(
        &mut self,
        endpoint: &ModelEndpoint,
        response: &Response,
        most: Most,
    ) -> Result<Answer, Failure> {
        if response.status != StatusCode::OK {
            let status = response.status.as_u16();
            let text = format!("{status}: {}", complaint(&response.body));
            return Err(Wit::Refused(text).into());
        }
        let said = read(&response.body);
        let reported = said.as_ref().ok().and_then(|said| said.tokens);
        // A server that does not say is taken to have used all that it could.
        let (input_tokens, output_tokens) = reported.unwrap_or((most.input, most.output));
        let cost = self.take(endpoint, input_tokens, output_tokens)?;
        let said = said.map_err(Wit::Failed)?;
        Ok(Answer { text: said.text, complete: said.is_complete, input_tokens, output_tokens, cost })
    }

    fn take(&mut self, endpoint: &ModelEndpoint, input: u64, output: u64) -> Result<u64, Stop> {
        let cost = endpoint.cost(input, output);
        self.budget.charge_model(input.saturating_add(output), cost)?;
        Ok(cost)
    }
}

/// The rules that a request can break without anybody being asked.
fn check(request: &Request) -> Result<(), Wit> {
    let wrong = |text: String| Err(Wit::InvalidRequest(text));
    let messages = request.messages.len();
    if !(1..=MESSAGES_MAX).contains(&messages) {
        return wrong(format!("{messages} messages: from 1 to {MESSAGES_MAX}"));
    }
    if !(1..=ANSWER_TOKENS_MAX).contains(&request.max_tokens) {
        return wrong(format!("`max-tokens` is {}: from 1 to {ANSWER_TOKENS_MAX}", request.max_tokens));
    }
    match request.temperature {
        Some(degrees) if degrees > TEMPERATURE_MAX => {
            wrong(format!("`temperature` is {degrees}: from 0 to {TEMPERATURE_MAX}"))
        }
        _ => Ok(()),
    }
}

/// A schema, as it is sent and as it is checked.
fn schema(text: &str) -> Result<(Json, JsonSchema), Wit> {
    let schema = JsonSchema::parse(text).map_err(|error| Wit::InvalidSchema(error.to_string()))?;
    let json = values::parse_json(text.as_bytes()).map_err(|error| Wit::InvalidSchema(error.to_string()))?;
    Ok((json, schema))
}

fn satisfies(answer: &Answer, schema: &JsonSchema) -> Result<(), Wit> {
    let cut = if answer.complete { "" } else { "; it was cut before its end" };
    let json = values::parse_json(answer.text.as_bytes())
        .map_err(|error| Wit::Mismatch(format!("the answer is no JSON: {error}{cut}")))?;
    schema.check(&json).map_err(|mismatch| Wit::Mismatch(format!("{mismatch}{cut}")))
}

/// The header with the key, for a model that wants one.
fn bearer(
    endpoint: &ModelEndpoint,
    key: Option<&crate::SecretValue>,
) -> Result<Vec<(http::HeaderName, HeaderValue)>, Wit> {
    let Some(name) = &endpoint.key else { return Ok(Vec::new()) };
    let unset =
        || Wit::Unavailable(format!("its key has no value: `capstan secret set {name}` gives it one"));
    let header = SecretHeader {
        name: name.to_string(),
        header: "authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
    };
    let filled = header.with(key.ok_or_else(unset)?);
    filled.map(|header| vec![header]).map_err(|_| Wit::Unavailable("its key cannot be sent".to_owned()))
}

fn failure(error: HttpError) -> Failure {
    let text = match error {
        HttpError::Stop(stop) => return Failure::Stop(stop),
        HttpError::Timeout => return Wit::Timeout.into(),
        HttpError::RefusedAddress(special) => format!(
            "an address of its host is in {} ({}): `network` of the model in `config.toml` can name that",
            special.network, special.purpose
        ),
        HttpError::TooLarge => "the answer is larger than the call may take".to_owned(),
        HttpError::InvalidUrl(text)
        | HttpError::InvalidHeader(text)
        | HttpError::Resolve(text)
        | HttpError::Connect(text)
        | HttpError::Tls(text)
        | HttpError::Protocol(text)
        | HttpError::Secret(text) => text,
    };
    Wit::Failed(text).into()
}

/// What a request brings from the guest.
fn size(request: &Request) -> usize {
    let texts = request.messages.iter().map(|message| message.text.len());
    request.model.len() + request.schema.as_ref().map_or(0, String::len) + texts.sum::<usize>()
}

impl model::Host for Guest {
    fn ask(&mut self, request: Request) -> wasmtime::Result<Result<Answer, Wit>> {
        self.budget.enter(size(&request))?;
        let ask = |guest: &mut Self| match guest.ask_model(&request) {
            Ok(answer) => Ok(Ok(answer)),
            Err(Failure::Tell(error)) => Ok(Err(error)),
            Err(Failure::Stop(stop)) => Err(stop.into()),
            Err(Failure::Denied(denied)) => {
                guest.record(&denied);
                Ok(Err(Wit::Denied(guest.denial_text(&denied))))
            }
        };
        Ok(self.taped("model.ask", &request, ask)?.answer)
    }
}

impl model::Host for Inert<'_> {
    fn ask(&mut self, request: Request) -> wasmtime::Result<Result<Answer, Wit>> {
        let asks = |authority: &authority::Authority| match request.model.parse() {
            Ok(name) => authority.permits_model(&name),
            Err(_) => authority.permits(Capability::Model),
        };
        let denied = self.refuse_what(Capability::Model, size(&request), asks)?;
        Ok(Err(Wit::Denied(self.0.denial_text(&denied))))
    }
}
