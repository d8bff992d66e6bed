//! The terminal: the one place that prints and asks.

#![expect(clippy::print_stderr, reason = "this module is where the program prints")]

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use app::is_deceptive;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;

/// Text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document, events one a line.
    Json,
}

/// What a command gives back: the same content in both formats.
pub(crate) struct Output {
    /// For people; printed as it is, so it was made visible where it holds others' text.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// How the program ends.
    pub(crate) exit: Exit,
    /// Whether the JSON is a list that is printed one item a line.
    is_stream: bool,
}

impl Output {
    /// The output of a command that did what was asked.
    pub(crate) fn done(text: impl Into<String>, json: &impl serde::Serialize) -> Self {
        let json = serde_json::to_value(json).unwrap_or(Value::Null);
        Self { text: text.into(), json, exit: Exit::Done, is_stream: false }
    }

    /// The output of a command that gives a stream of events.
    pub(crate) fn stream(text: impl Into<String>, lines: Vec<Value>) -> Self {
        Self { text: text.into(), json: Value::Array(lines), exit: Exit::Done, is_stream: true }
    }

    /// The same output with another exit.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// How often a question is put before no answer is an answer.
const ASKED_MAX: usize = 3;

/// What a command may print and ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    format: Format,
    terminal: bool,
}

impl Ui {
    /// A terminal is one where a person both reads and types.
    pub(crate) fn new(format: Format) -> Self {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { format, terminal }
    }

    /// Whether questions can be asked: a terminal, and output for people.
    pub(crate) fn can_ask(self) -> bool {
        self.terminal && self.format == Format::Text
    }

    /// Prints a command's output and gives its exit.
    pub(crate) fn emit(self, output: &Output) -> Exit {
        let written = match self.format {
            Format::Text => write_stdout(&output.text),
            Format::Json => match (&output.json, output.is_stream) {
                (Value::Array(lines), true) => {
                    lines.iter().try_for_each(|line| write_stdout(&format!("{line}\n")))
                }
                (json, _) => write_stdout(&format!("{json:#}\n")),
            },
        };
        lost(written).unwrap_or(output.exit)
    }

    /// Shows something before a question is asked, where one can be.
    pub(crate) fn show(self, text: &str) {
        if self.can_ask() {
            eprint!("{text}");
        }
    }

    /// Prints what the command line's parser says, which quotes what was typed.
    pub(crate) fn say(self, text: &str, is_error: bool) {
        if is_error {
            eprint!("{}", visible(text));
        } else {
            drop(write_stdout(&visible(text)));
        }
    }

    /// Prints a failure and gives its exit.
    pub(crate) fn fail(self, failure: &Failure) -> Exit {
        if self.format == Format::Json {
            let written = write_stdout(&format!("{:#}\n", failure.json()));
            return lost(written).unwrap_or_else(|| failure.exit());
        }
        eprint!("{}", failure.text());
        failure.exit()
    }

    /// Shows `text` and asks for one of `choices`, again if something else is typed; none is `None`.
    /// What was typed before the question appeared does not answer it.
    pub(crate) fn choose(self, text: &str, question: &str, choices: &[&str]) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        eprintln!("{text}");
        let _not_a_terminal = tcflush(io::stdin(), QueueSelector::IFlush);
        for _ in 0..ASKED_MAX {
            eprint!("{question} [{}] ", choices.join("/"));
            drop(io::stderr().flush());
            let mut answer = String::new();
            if io::stdin().lock().read_line(&mut answer).ok()? == 0 {
                return None;
            }
            let answer = answer.trim();
            if let Some(choice) = choices.iter().find(|choice| **choice == answer) {
                return Some((*choice).to_owned());
            }
            eprintln!("Type the whole word: {}.", choices.join(", "));
        }
        None
    }

    /// Asks for a line; `None` if it cannot be asked. What was typed before does not answer it.
    pub(crate) fn line(self, question: &str) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        let _not_a_terminal = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
        eprint!("{question}");
        drop(io::stderr().flush());
        let mut answer = String::new();
        let length = io::stdin().lock().read_line(&mut answer).ok()?;
        (length > 0).then(|| answer.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// Asks for a passphrase without showing it; `None` if it cannot be asked or is empty.
    pub(crate) fn passphrase(self, question: &str) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        // Before the question: what is typed at once must not be seen either.
        let _restored_at_the_end = Unseen::begin();
        rpassword::prompt_password(question).ok().filter(|text| !text.is_empty())
    }
}

/// A terminal that does not show what is typed, until it goes.
struct Unseen(Termios);

impl Unseen {
    /// None where the terminal cannot be told.
    fn begin() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &unseen).ok()?;
        Some(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _terminal_is_gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn write_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// The exit of a command whose output got lost, which nobody may take for its success. A closed
/// pipe is no loss: who reads `| head` has read enough.
fn lost(written: io::Result<()>) -> Option<Exit> {
    let error = written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)?;
    eprintln!("error: the output could not be written: {error}");
    Some(Exit::Failed)
}

/// Makes every character visible that a terminal would obey or hide: controls (but newline and
/// tab), format and bidirectional characters, tags, variation selectors, private use.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || c == '\t' || !is_deceptive(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// As [`visible`], for a text that must stay on its line.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(visible("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(visible("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(visible("r\rb\u{8}"), "r\\u{d}b\\u{8}");
        assert_eq!(visible("Grüße 漢字\n\tok"), "Grüße 漢字\n\tok");
        assert_eq!(visible("a\u{34f}\u{2800}\u{1bca0}\u{13430}"), "a\\u{34f}\\u{2800}\\u{1bca0}\\u{13430}");
        assert_eq!(one_line("a\nb"), "a\\nb");
    }
}
