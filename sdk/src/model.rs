//! Language models that the operator named: capability `model`.
//!
//! The host asks the model, counts its tokens against the limits of the call and the budget of the plan,
//! and checks the answer against a JSON Schema where one is given. What the answer says is data: check
//! it as anything else that comes from outside.

use std::fmt;

use crate::host::model;
use crate::host::types::ModelError;

pub use crate::host::model::{Answer, Message, Request, Role};

/// A question without an answer: to which model, and why.
///
/// `?` turns it into a `String` or into the WIT type `capstan:host/types.model-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The model named in the call.
    pub model: String,
    /// What went wrong.
    pub reason: Reason,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Outside the pack's authority; the text is the host's and names the grant that is missing.
    Denied(String),
    /// The operator named no such model, or its key has no value.
    Unavailable(String),
    /// The request breaks a rule.
    InvalidRequest(String),
    /// The schema is none that the host checks.
    InvalidSchema(String),
    /// The answer does not satisfy the schema.
    Mismatch(String),
    /// The model's server refused the request.
    Refused(String),
    /// No connection, it broke, or what came was no answer.
    Failed(String),
    /// It took too long.
    Timeout,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied: {why}"),
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::InvalidRequest(why) => write!(f, "invalid request: {why}"),
            Self::InvalidSchema(why) => write!(f, "invalid schema: {why}"),
            Self::Mismatch(why) => write!(f, "not what the schema says: {why}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Timeout => f.write_str("took too long"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model `{}`: {}", self.model, self.reason)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

impl From<ModelError> for Reason {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Denied(why) => Self::Denied(why),
            ModelError::Unavailable(why) => Self::Unavailable(why),
            ModelError::InvalidRequest(why) => Self::InvalidRequest(why),
            ModelError::InvalidSchema(why) => Self::InvalidSchema(why),
            ModelError::Mismatch(why) => Self::Mismatch(why),
            ModelError::Refused(why) => Self::Refused(why),
            ModelError::Failed(why) => Self::Failed(why),
            ModelError::Timeout => Self::Timeout,
        }
    }
}

impl From<Error> for ModelError {
    fn from(error: Error) -> Self {
        match error.reason {
            Reason::Denied(why) => Self::Denied(why),
            Reason::Unavailable(why) => Self::Unavailable(why),
            Reason::InvalidRequest(why) => Self::InvalidRequest(why),
            Reason::InvalidSchema(why) => Self::InvalidSchema(why),
            Reason::Mismatch(why) => Self::Mismatch(why),
            Reason::Refused(why) => Self::Refused(why),
            Reason::Failed(why) => Self::Failed(why),
            Reason::Timeout => Self::Timeout,
        }
    }
}

/// One question as a user, answered in any text: the start of a [`Request`].
#[must_use]
pub fn question(model: &str, text: &str, max_tokens: u32) -> Request {
    let message = Message { role: Role::User, text: text.to_owned() };
    Request { model: model.to_owned(), messages: vec![message], schema: None, max_tokens, temperature: None }
}

/// Asks and waits for the answer.
///
/// Source: `capstan:host/model.ask`.
///
/// # Errors
/// If the host refuses, there is no answer, or it does not satisfy the schema. Where the call may not
/// take as many tokens as it could, the call ends.
pub fn ask(request: &Request) -> Result<Answer, Error> {
    model::ask(request).map_err(|error| Error { model: request.model.clone(), reason: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_error_survives_the_round_trip_and_says_of_which_model() {
        for (cause, text) in [
            (ModelError::Denied("no grant".into()), "model `m`: denied: no grant"),
            (ModelError::Unavailable("x".into()), "model `m`: unavailable: x"),
            (ModelError::InvalidRequest("x".into()), "model `m`: invalid request: x"),
            (ModelError::InvalidSchema("x".into()), "model `m`: invalid schema: x"),
            (ModelError::Mismatch("x".into()), "model `m`: not what the schema says: x"),
            (ModelError::Refused("x".into()), "model `m`: refused: x"),
            (ModelError::Failed("x".into()), "model `m`: failed: x"),
            (ModelError::Timeout, "model `m`: took too long"),
        ] {
            let error = Error { model: "m".to_owned(), reason: cause.clone().into() };
            assert_eq!(error.to_string(), text);
            assert_eq!(String::from(error.clone()), text);
            assert_eq!(ModelError::from(error), cause);
        }
    }

    #[test]
    fn a_question_is_one_message_of_a_user() {
        let asked = question("default", "why?", 9);
        assert_eq!(asked.messages, [Message { role: Role::User, text: "why?".to_owned() }]);
        assert_eq!((asked.model.as_str(), asked.max_tokens, asked.schema), ("default", 9, None));
    }
}
