//! Stages writes, and tries to write where it may not.

use std::collections::BTreeSet;

use capstan_sdk::files::{self, Error, Reason};
use exports::test::writer::raw::FileError;
use exports::test::writer::{edit, probe, raw, sneak};

capstan_sdk::pack!(Writer);

const ROOT: &str = "workspace";

impl edit::Guest for Writer {
    fn write(path: String, text: String) -> Result<(), String> {
        Ok(files::write(ROOT, &path, text)?)
    }

    fn append(path: String, line: String) -> Result<u64, String> {
        let mut text = match files::read_text(ROOT, &path) {
            Err(Error { reason: Reason::NotFound, .. }) => String::new(),
            read => read?,
        };
        text.push_str(&line);
        text.push('\n');
        files::write(ROOT, &path, &text)?;
        Ok(text.len() as u64)
    }

    fn remove(path: String) -> Result<(), String> {
        Ok(files::remove(ROOT, &path)?)
    }

    fn read_back(path: String, text: String) -> Result<edit::Seen, String> {
        files::write(ROOT, &path, text)?;
        Ok(edit::Seen {
            text: files::read_text(ROOT, &path)?,
            size: files::stat(ROOT, &path)?.size,
            listed: files::list(ROOT, &path)?.contains(&path),
        })
    }

    fn remove_and_read(path: String) -> Result<bool, String> {
        files::remove(ROOT, &path)?;
        match files::read(ROOT, &path) {
            Ok(_) => Ok(true),
            Err(Error { reason: Reason::NotFound, .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn write_and_remove(path: String, text: String) -> Result<(), String> {
        files::write(ROOT, &path, text)?;
        Ok(files::remove(ROOT, &path)?)
    }

    fn many(prefix: String, count: u32, text: String) -> Result<u32, String> {
        for at in 0..count {
            files::write(ROOT, &format!("{prefix}{at}"), &text)?;
        }
        Ok(count)
    }

    fn write_and_trap(path: String, text: String) -> Result<(), String> {
        files::write(ROOT, &path, text)?;
        panic!("on purpose");
    }

    fn write_and_fail(path: String, text: String) -> Result<(), String> {
        files::write(ROOT, &path, text)?;
        Err("failed on purpose".to_owned())
    }
}

impl sneak::Guest for Writer {
    fn write(path: String, text: String) -> Result<(), FileError> {
        Ok(files::write(ROOT, &path, text)?)
    }

    fn remove(path: String) -> Result<(), FileError> {
        Ok(files::remove(ROOT, &path)?)
    }
}

impl raw::Guest for Writer {
    fn list(root: String, glob: String) -> Result<Vec<String>, FileError> {
        Ok(files::list(&root, &glob)?)
    }

    fn stat(root: String, path: String) -> Result<u64, FileError> {
        Ok(files::stat(&root, &path)?.size)
    }

    fn read(root: String, path: String) -> Result<String, FileError> {
        Ok(String::from_utf8_lossy(&files::read(&root, &path)?).into_owned())
    }

    fn write(root: String, path: String, text: String) -> Result<(), FileError> {
        Ok(files::write(&root, &path, text)?)
    }

    fn remove(root: String, path: String) -> Result<(), FileError> {
        Ok(files::remove(&root, &path)?)
    }
}

/// What a call found, or `!` and its error.
fn answer<T>(result: Result<T, Error>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(found) => show(found),
        Err(error) => format!("!{error}"),
    }
}

fn read(root: &str, path: &str) -> String {
    answer(files::read(root, path), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

impl probe::Guest for Writer {
    fn look(root: String, paths: Vec<String>) -> Vec<probe::Looked> {
        let look = |path: &String| probe::Looked {
            listed: answer(files::list(&root, path), |found| found.join(" ")),
            stat: answer(files::stat(&root, path), |found| found.size.to_string()),
            read: read(&root, path),
        };
        paths.iter().map(look).collect()
    }

    fn look_again(root: String, path: String, times: u32) -> Vec<String> {
        let mut answers = BTreeSet::new();
        for _ in 0..times {
            answers.insert(answer(files::list(&root, &path), |found| found.join(" ")));
            answers.insert(answer(files::stat(&root, &path), |found| found.size.to_string()));
            answers.insert(read(&root, &path));
        }
        answers.into_iter().collect()
    }

    fn touch(root: String, paths: Vec<String>, text: String) -> Vec<probe::Touched> {
        let touch = |path: &String| probe::Touched {
            removed: answer(files::remove(&root, path), |()| "removed".to_owned()),
            written: answer(files::write(&root, path, &text), |()| "written".to_owned()),
        };
        paths.iter().map(touch).collect()
    }
}
