//! Command-line goldens: a file of commands with what they print, one test a file.
//!
//! A file in `tests/cli` is Markdown. In its `console` blocks a line `$ capstan ...` is run, the
//! lines after it are what it must print (standard output, then standard error), and `? n` is its
//! exit code where that is not 0. What differs from run to run is replaced by names in brackets.
//! `BLESS=1` writes what was printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::env::{Env, Outcome, finish, program};

/// Runs a golden file in `env` and gives the text that it should be.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn play(path: &Path, env: &Env) -> (String, String) {
    let text = fs::read_to_string(path).expect("the golden can be read");
    let mut out = String::new();
    let mut in_block = false;
    let mut skipping = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = line == "```console";
            skipping = false;
        } else if in_block && line.starts_with("$ ") {
            out += line;
            out.push('\n');
            out += &printed(env, &line[2..]);
            skipping = true;
            continue;
        }
        if !(in_block && skipping) {
            out += line;
            out.push('\n');
        }
    }
    (text, out)
}

/// What a shell line prints, normalised, with its exit code if that is not 0.
fn printed(env: &Env, line: &str) -> String {
    let outcome = shell(env, line);
    // A golden has no blanks at the ends of its lines, whatever was printed.
    let said = normalise(&outcome.said(), env);
    let mut text: String = said.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if let Some(code) = outcome.code.filter(|code| *code != 0) {
        text += &format!("? {code}\n");
    }
    text
}

/// Runs a line as a shell would, with the program on the path.
pub fn shell(env: &Env, line: &str) -> Outcome {
    finish(&mut shell_command(env, line))
}

/// A shell in the workspace that is about to run a line, with the program on the path.
#[must_use]
pub fn shell_command(env: &Env, line: &str) -> Command {
    let prototype = env.command::<&str>([]);
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(env.work()).stdin(std::process::Stdio::null()).env_clear();
    for (name, value) in prototype.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let folder = program().parent().expect("the program is in a folder").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    command.env("PATH", path);
    command
}

/// Replaces what differs from run to run.
#[must_use]
pub fn normalise(text: &str, env: &Env) -> String {
    let text = text.replace(&env.folder().display().to_string(), "[FOLDER]");
    let text = text.replace(&Env::publisher(), "[PUBLISHER]");
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '_') {
            word.push(c);
            continue;
        }
        out += &name_of(&word);
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out.split_inclusive('\n').map(without_measures).collect()
}

/// A line without what a machine, a moment or a compiler makes different: numbers beside the names
/// of measures.
fn without_measures(line: &str) -> String {
    const BEFORE: [&str; 9] = [
        "statement ",
        "\"sequence\": ",
        "\"fuel\": ",
        "\"memory_bytes\": ",
        "\"memory_bytes_max\": ",
        "\"wall_us\": ",
        "\"host_call_bytes\": ",
        "\"inode\": ",
        "\"device\": ",
    ];
    let mut line = line.to_owned();
    for name in BEFORE {
        if let Some(at) = line.find(name).map(|at| at + name.len()) {
            let digits = line[at..].bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                line.replace_range(at..at + digits, "[N]");
            }
        }
    }
    // The sum at the end of a run: "15 calls, 342220 fuel, 1219 KiB at most, 5 ms in calls".
    match line.split_once(" calls, ") {
        Some((calls, rest)) if rest.ends_with(" ms in calls\n") => {
            format!("{calls} calls, [N] fuel, [N] KiB at most, [N] ms in calls\n")
        }
        _ => line,
    }
}

fn name_of(word: &str) -> String {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (core, tail) = match word.strip_suffix([':', '.', '-']) {
        Some(core) => (core, &word[core.len()..]),
        None => (word, ""),
    };
    if core.strip_prefix("sha256:").is_some_and(|digest| digest.len() == 64 && hex(digest)) {
        return format!("[DIGEST]{tail}");
    }
    let groups: Vec<&str> = core.split('-').collect();
    if groups.len() == 8 && groups.iter().all(|group| group.len() == 4) {
        return format!("[FINGERPRINT]{tail}");
    }
    let is_time = core.len() >= 20 && core.ends_with('Z') && core.contains('T') && core.starts_with("20");
    match core.len() {
        _ if is_time => format!("[TIME]{tail}"),
        24 if hex(core) => format!("[RUN]{tail}"),
        12 if hex(core) => format!("[ID]{tail}"),
        _ => word.to_owned(),
    }
}
