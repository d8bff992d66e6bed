//! A `[model.name]` of the settings.

use std::sync::Arc;

use authority::{HttpUrl, ModelName, SecretName};
use base::{ParseQuantityError, parse_cost};
use engine::{AskFor, ModelEndpoint};
use serde::Deserialize;

use super::malformed;
use crate::Error;

/// What is asked, below the URL that the operator writes.
const COMPLETIONS: &str = "/chat/completions";
/// Longest name that a server knows a model by, in bytes.
const SERVER_NAME_BYTES_MAX: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Entry {
    url: String,
    model: String,
    input_price: String,
    output_price: String,
    key: Option<String>,
    network: Option<String>,
    #[serde(default)]
    json: Form,
    #[serde(default)]
    limit: LimitName,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Schema,
    Object,
    Nothing,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LimitName {
    #[default]
    MaxTokens,
    MaxCompletionTokens,
}

/// Reads one.
pub(super) fn read(name: &str, entry: Entry) -> Result<(ModelName, Arc<ModelEndpoint>), Error> {
    let wrong = |message: String| malformed(&format!("`model.{name}`: {message}"));
    let parsed: ModelName =
        name.parse().map_err(|error: authority::ParseModelNameError| wrong(error.to_string()))?;
    if entry.url.contains(['?', '#']) {
        return Err(wrong("`url` has a query or a fragment: it is where `/chat/completions` is".to_owned()));
    }
    let text = format!("{}{COMPLETIONS}", entry.url.trim_end_matches('/'));
    let url = HttpUrl::parse(&text).map_err(|error| wrong(format!("`url`: {error}")))?;
    let network =
        entry.network.map(|text| text.parse().map_err(|_| wrong(format!("`{text}` is no network"))));
    let network = network.transpose()?;
    if !url.is_https() && network.is_none() {
        let message = "`url` is not encrypted: only with a `network` that it stays in, such as `127.0.0.0/8`";
        return Err(wrong(message.to_owned()));
    }
    if !(1..=SERVER_NAME_BYTES_MAX).contains(&entry.model.len()) {
        return Err(wrong(format!("`model` has from 1 to {SERVER_NAME_BYTES_MAX} bytes")));
    }
    let price = |key: &str, text: &str| {
        parse_cost(text).map_err(|error: ParseQuantityError| wrong(format!("`{key}`: {error}")))
    };
    let key = entry.key.map(|key| key.parse::<SecretName>().map_err(|error| wrong(error.to_string())));
    Ok((
        parsed,
        Arc::new(ModelEndpoint {
            url,
            network,
            key: key.transpose()?,
            input_price: price("input-price", &entry.input_price)?,
            output_price: price("output-price", &entry.output_price)?,
            model: entry.model,
            asked_by: match entry.json {
                Form::Schema => AskFor::Schema,
                Form::Object => AskFor::Object,
                Form::Nothing => AskFor::Nothing,
            },
            limit_name: match entry.limit {
                LimitName::MaxTokens => "max_tokens",
                LimitName::MaxCompletionTokens => "max_completion_tokens",
            }
            .to_owned(),
        }),
    ))
}
