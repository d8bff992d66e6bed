//! `capstan help`

use app::Code;
use serde_json::json;

use crate::failure::Failure;
use crate::ui::Output;

/// Show the help of a command, or a topic: `concepts`, `planfile`, `codes`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  capstan help concepts\n  capstan help planfile\n  capstan help codes\n  capstan help plan run"
)]
pub(super) struct Args {
    /// A command's words, or a topic
    topic: Vec<String>,
}

/// The words of the product, each in one place.
const CONCEPTS: &str = include_str!("concepts.txt");

/// The plan language.
const PLANFILE: &str = include_str!("planfile.txt");

pub(super) fn exec(args: &Args) -> Result<Output, Failure> {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    let text = match topic.as_slice() {
        ["concepts"] => CONCEPTS.to_owned(),
        ["planfile"] => PLANFILE.to_owned(),
        ["codes"] => return Ok(codes()),
        _ => super::long_help(&args.topic).ok_or_else(|| {
            Failure::usage(
                format!("there is no command `{}`", args.topic.join(" ")),
                &["capstan help", "capstan help concepts", "capstan help planfile"],
            )
        })?,
    };
    let json = json!({ "topic": args.topic.join(" "), "text": text });
    Ok(Output::done(text, &json))
}

/// The table of codes, from the one place where they are defined.
fn codes() -> Output {
    let text: String =
        Code::ALL.iter().map(|code| format!("{:<26} {}\n", code.as_str(), code.meaning())).collect();
    let rows: Vec<_> =
        Code::ALL.iter().map(|code| json!({ "code": code.as_str(), "meaning": code.meaning() })).collect();
    Output::done(text, &rows)
}
