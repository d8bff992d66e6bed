//! Asks language models, more often than it may.

use capstan_sdk::http::{self, http_send};
use capstan_sdk::model::{self, Message, Request, Role};
use exports::test::thinker::think::{Guest, Question, Reply};

capstan_sdk::pack!(Thinker);

/// What a question of `many` can take, with its text and what is counted around it.
const MOST_TOKENS: u32 = 1_000;
/// Tokens that the host counts around one message and around all.
const FRAME_TOKENS: u32 = 64;

fn ask(question: Question) -> Result<Reply, String> {
    let Question { model, texts, schema, max_tokens, temperature } = question;
    let messages = texts.into_iter().map(|text| Message { role: Role::User, text }).collect();
    let answer = model::ask(&Request { model, messages, schema, max_tokens, temperature })?;
    Ok(Reply {
        text: answer.text,
        complete: answer.complete,
        input_tokens: answer.input_tokens,
        output_tokens: answer.output_tokens,
        cost: answer.cost,
    })
}

fn repeat(text: &str, times: u32) -> u32 {
    let own = u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_add(FRAME_TOKENS);
    let question = model::question("default", text, MOST_TOKENS.saturating_sub(own).max(1));
    (0..times).map(|_| u32::from(model::ask(&question).is_ok())).sum()
}

impl Guest for Thinker {
    fn ask(question: Question) -> Result<Reply, String> {
        ask(question)
    }

    fn plain(question: Question) -> Result<Reply, String> {
        ask(question)
    }

    fn many(text: String, times: u32) -> u32 {
        repeat(&text, times)
    }

    fn costly(text: String, times: u32) -> u32 {
        repeat(&text, times)
    }

    fn patient(text: String) -> Result<String, String> {
        Ok(model::ask(&model::question("default", &text, 10))?.text)
    }

    fn tell(text: String, url: String) -> Result<String, String> {
        let body = model::ask(&model::question("default", &text, 10))?.text.into_bytes();
        let method = http_send::Method::Post;
        let request = http_send::Request { method, url, headers: Vec::new(), secrets: Vec::new(), body };
        Ok(format!("{}", http::send(&request)?.status))
    }
}
