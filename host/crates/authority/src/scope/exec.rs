//! Which program may be run, with which arguments, in which folder.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use base::{Digest, RootName};

use super::{ParseScopeError, ScopeErrorReason};

mod danger;
mod word;

pub use word::{ExecWordError, Slot};
use word::{Word, split_words};

/// The root of a scope that names none.
const DEFAULT_ROOT: &str = "workspace";
/// Longest text of a scope, in bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// Most words of a scope.
const WORDS_MAX: usize = 128;
/// Most arguments of a call.
const ARGUMENTS_MAX: usize = 1024;
/// Longest command of a call, environment included, in bytes.
const COMMAND_BYTES_MAX: usize = 128 << 10;
/// Longest program name, in bytes.
const PROGRAM_BYTES_MAX: usize = 64;
/// In place of a program: any command.
const ANY: &str = "*";

/// `[root:][NAME=value ...]program[@digest] [argument ...]`, e.g. `workspace:git log --oneline *`.
///
/// - The program runs in a folder of `root` (`workspace` where none is named), and can read all of
///   that root. It is a name that is looked up on the operator's search path, never a path.
/// - A word is literal, or a slot: `*` for one text that is not empty and does not begin with `-`,
///   `{word}` for a name, `{int}` for digits, `{path}` for a relative path without `..`. A slot in
///   braces may follow a literal, as in `--max-count={int}`. `**` as the last word is any number of
///   texts as for `*`.
/// - What is between single quotes is literal: `'*'` is a star; `'\''` between them is a quote.
/// - `NAME=value` lets the call set that variable, to a value of that form. Variables that change
///   what programs load or run cannot be named.
/// - `@sha256:...` is the digest of the program's file. Only a grant has it.
/// - `*` in place of a program is any command at all. Only a request has it.
/// - Where an argument is itself something to run, it has to be literal: all arguments of a shell
///   or another interpreter, and what follows flags such as `-exec` of `find`.
#[derive(Debug, Clone)]
pub struct ExecScope {
    /// In canonical form: two scopes are equal if their texts are.
    text: Box<str>,
    root: RootName,
    program: Box<str>,
    digest: Option<Digest>,
    variables: Vec<(Box<str>, Word)>,
    arguments: Vec<Word>,
}

/// What a guest asks to be run.
#[derive(Debug, Clone, Copy)]
pub struct ExecCall<'a> {
    /// The root that it is run in.
    pub root: &'a RootName,
    /// The program's name.
    pub program: &'a str,
    /// Its arguments, without the name.
    pub arguments: &'a [String],
    /// Its variables beside those that every program gets.
    pub variables: &'a [(String, String)],
}

/// The parts of a scope as a manifest spells them; each word in the syntax of [`ExecScope`].
#[derive(Debug, Clone, Copy)]
pub struct ExecParts<'a> {
    /// The root; none for `workspace`.
    pub root: Option<&'a str>,
    /// `NAME=value`, each.
    pub variables: &'a [&'a str],
    /// The program.
    pub program: &'a str,
    /// The arguments.
    pub arguments: &'a [&'a str],
}

/// What is wrong with the text of a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecScopeError {
    /// The part before the first `:` is no root name, in a manifest.
    #[error("expected a root name such as `workspace`")]
    Root,
    /// There is no program, or its name is a path or has odd characters.
    #[error("expected the name of a program, such as `git`, and no path")]
    Program,
    /// What follows `@` is no digest.
    #[error("expected `sha256:` and 64 hex digits after `@`")]
    Digest,
    /// One word is malformed.
    #[error(transparent)]
    Word(#[from] ExecWordError),
    /// The variable decides what programs load, run or send.
    #[error("the variable `{0}` decides what programs load or run: it cannot be set")]
    Variable(String),
    /// A variable twice.
    #[error("the variable `{0}` occurs twice")]
    VariableTwice(String),
    /// `**` is not the last word.
    #[error("`**` stands for all further arguments, so it must be the last word")]
    RestNotLast,
    /// An argument that is run must be literal.
    #[error("{0}: no `*` or other slot can stand there")]
    Runs(String),
    /// Too long a text, or too many words.
    #[error("the command is longer than {TEXT_BYTES_MAX} bytes or {WORDS_MAX} words")]
    TooLong,
}

impl ExecScope {
    /// The root that the program runs in and can read.
    #[must_use]
    pub fn root(&self) -> &RootName {
        &self.root
    }

    /// Whether it holds any command in its root.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self.program == *ANY
    }

    /// The digest that the program's file must have.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether `call` is in the scope. The program's digest is another question.
    #[must_use]
    pub fn matches(&self, call: &ExecCall<'_>) -> bool {
        if self.root != *call.root || !call.is_bounded() {
            return false;
        }
        if self.is_any() {
            return call.is_any_command();
        }
        let known = |(name, value): &(String, String)| {
            self.variables.iter().any(|(known, word)| **known == **name && word.admits(value))
        };
        *self.program == *call.program && call.variables.iter().all(known) && self.admits(call.arguments)
    }

    /// Whether the arguments fit the words, one each, `**` the rest.
    fn admits(&self, arguments: &[String]) -> bool {
        let mut given = arguments.iter();
        for word in &self.arguments {
            if *word == Word::Rest {
                return given.all(|argument| Slot::Any.admits(argument));
            }
            if !given.next().is_some_and(|argument| word.admits(argument)) {
                return false;
            }
        }
        given.next().is_none()
    }

    /// The narrowest scope that holds `call`: every word literal. None if there is none.
    #[must_use]
    pub fn of_call(call: &ExecCall<'_>) -> Option<Self> {
        if !call.is_bounded() {
            return None;
        }
        let literal = |text: &String| Word::literal(text);
        let variable = |(name, value): &(String, String)| Some((name.as_str().into(), Word::literal(value)?));
        let variables = call.variables.iter().map(variable).collect::<Option<_>>()?;
        let arguments = call.arguments.iter().map(literal).collect::<Option<_>>()?;
        Self::new(call.root.clone(), variables, call.program, None, arguments).ok()
    }

    /// The scope that a manifest spells in parts.
    ///
    /// # Errors
    /// The first part that is malformed.
    pub fn of_parts(parts: &ExecParts<'_>) -> Result<Self, ParseScopeError> {
        let fail = |error| ParseScopeError::new(parts.program, ScopeErrorReason::Command(error));
        let read = || {
            let root = parts.root.unwrap_or(DEFAULT_ROOT);
            let root = root.parse().map_err(|_| ExecScopeError::Root)?;
            let variable = |text: &&str| split_variable(text).ok_or(ExecWordError::Variable)?;
            let variables = parts.variables.iter().map(variable).collect::<Result<_, _>>()?;
            let arguments = parts.arguments.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
            Self::new(root, variables, parts.program, None, arguments)
        };
        read().map_err(fail)
    }

    fn new(
        root: RootName,
        variables: Vec<(Box<str>, Word)>,
        program: &str,
        digest: Option<Digest>,
        arguments: Vec<Word>,
    ) -> Result<Self, ExecScopeError> {
        let is_any = program == ANY && digest.is_none() && arguments.is_empty() && variables.is_empty();
        if !is_program(program) && !is_any {
            return Err(ExecScopeError::Program);
        }
        for (index, (name, word)) in variables.iter().enumerate() {
            if !danger::may_set(name) {
                return Err(ExecScopeError::Variable(name.to_string()));
            }
            if variables.iter().take(index).any(|(before, _)| before == name) {
                return Err(ExecScopeError::VariableTwice(name.to_string()));
            }
            if *word == Word::Rest {
                return Err(ExecScopeError::RestNotLast);
            }
        }
        if arguments.iter().rev().skip(1).any(|word| *word == Word::Rest) {
            return Err(ExecScopeError::RestNotLast);
        }
        danger::check(program, &arguments).map_err(ExecScopeError::Runs)?;
        let mut text = format!("{root}:");
        for (name, word) in &variables {
            text.push_str(&format!("{name}={word} "));
        }
        text.push_str(program);
        if let Some(digest) = digest {
            text.push_str(&format!("@{digest}"));
        }
        for word in &arguments {
            text.push_str(&format!(" {word}"));
        }
        if text.len() > TEXT_BYTES_MAX || arguments.len() + variables.len() > WORDS_MAX {
            return Err(ExecScopeError::TooLong);
        }
        Ok(Self { text: text.into(), root, program: program.into(), digest, variables, arguments })
    }

    /// The same program in the same root, and no word that certainly differs.
    pub(super) fn meets(&self, asked: &Self) -> bool {
        if self.is_any() || asked.is_any() {
            return self.root == asked.root;
        }
        let (mut own, mut others) = (self.arguments.iter(), asked.arguments.iter());
        let arguments = loop {
            match (own.next(), others.next()) {
                (Some(Word::Rest), _) | (_, Some(Word::Rest)) | (None, None) => break true,
                (Some(own), Some(other)) if own.meets(other) => {}
                _ => break false,
            }
        };
        self.root == asked.root && self.program == asked.program && arguments
    }

    fn parse(text: &str) -> Result<Self, ExecScopeError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ExecScopeError::TooLong);
        }
        let named = text.split_once(':').and_then(|(root, rest)| Some((root.parse().ok()?, rest)));
        let (root, rest) = match named {
            Some(named) => named,
            None => (DEFAULT_ROOT.parse().map_err(|_| ExecScopeError::Root)?, text),
        };
        let mut words = split_words(rest)?.into_iter().peekable();
        let mut variables = Vec::new();
        while let Some(variable) = words.peek().and_then(|word| split_variable(word)) {
            variables.push(variable?);
            words.next();
        }
        let program = words.next().ok_or(ExecScopeError::Program)?;
        let (program, digest) = match program.split_once('@') {
            Some((program, digest)) => (program, Some(digest.parse().map_err(|_| ExecScopeError::Digest)?)),
            None => (program, None),
        };
        let arguments = words.map(str::parse).collect::<Result<_, _>>()?;
        Self::new(root, variables, program, digest, arguments)
    }
}

impl ExecCall<'_> {
    /// Whether it is small enough to be looked at. Whatever is larger is in no scope.
    fn is_bounded(&self) -> bool {
        let arguments: usize = self.arguments.iter().map(|text| text.len() + 1).sum();
        let variables: usize = self.variables.iter().map(|(a, b)| a.len() + b.len() + 2).sum();
        self.arguments.len() <= ARGUMENTS_MAX
            && self.variables.len() <= WORDS_MAX
            && arguments.saturating_add(variables) <= COMMAND_BYTES_MAX
    }
}

impl ExecCall<'_> {
    /// Whether it is a command at all.
    fn is_any_command(&self) -> bool {
        let is_text = |text: &String| !text.contains('\0');
        let may_set =
            |(name, value): &(String, String)| is_variable(name) && danger::may_set(name) && is_text(value);
        is_program(self.program) && self.arguments.iter().all(is_text) && self.variables.iter().all(may_set)
    }
}

/// As the text of a scope, with what no scope can spell shown as it is.
impl fmt::Display for ExecCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.root)?;
        for (name, value) in self.variables {
            write!(f, "{name}={} ", word::shown(value))?;
        }
        f.write_str(self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", word::shown(argument)))
    }
}

/// `NAME=value`, if the word has that form.
fn split_variable(text: &str) -> Option<Result<(Box<str>, Word), ExecWordError>> {
    let (name, value) = text.split_once('=')?;
    is_variable(name).then(|| Ok((name.into(), value.parse()?)))
}

fn is_variable(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_uppercase() || c == '_';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

fn is_program(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    name.len() <= PROGRAM_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().skip(1).all(|c| inner(c) || c == '_')
}

impl FromStr for ExecScope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        Self::parse(text).map_err(|error| ParseScopeError::new(text, ScopeErrorReason::Command(error)))
    }
}

impl fmt::Display for ExecScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for ExecScope {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ExecScope {}

/// By text.
impl Ord for ExecScope {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for ExecScope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
