//! Stages writes, and tries to write where it may not.

use std::collections::BTreeSet;

use capstan_sdk::files::{self, Error, Reason};
use capstan_sdk::host::files_read;
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

    fn script(lines: Vec<String>) -> Vec<String> {
        lines.iter().map(|line| act(line)).collect()
    }

    fn raze(lines: Vec<String>) -> Vec<String> {
        Self::script(lines)
    }

    fn write_and_fail(path: String, text: String) -> Result<(), String> {
        files::write(ROOT, &path, text)?;
        Err("failed on purpose".to_owned())
    }
}

/// Does one line of a script and says what came of it.
fn act(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (verb, path, more) = (word(), word(), word());
    let done = |result| answer(result, |()| "ok".to_owned());
    match verb {
        "mkdir" => done(files::create_dir(ROOT, path)),
        "mv" => done(files::rename(ROOT, path, more)),
        "rm" => done(files::remove(ROOT, path)),
        "rmtree" => done(files::remove_tree(ROOT, path)),
        "write" => done(files::write(ROOT, path, more)),
        "read" => read(ROOT, path),
        "stat" => answer(files::stat(ROOT, path), |found| format!("{:?} {}", found.kind, found.size)),
        "list" => answer(files::list(ROOT, path), |found| found.join(" ")),
        _ => panic!("no such verb"),
    }
}

impl sneak::Guest for Writer {
    fn write(path: String, text: String) -> Result<(), FileError> {
        Ok(files::write(ROOT, &path, text)?)
    }

    fn remove(path: String) -> Result<(), FileError> {
        Ok(files::remove(ROOT, &path)?)
    }

    fn create_dir(path: String) -> Result<(), FileError> {
        Ok(files::create_dir(ROOT, &path)?)
    }

    fn rename(source: String, target: String) -> Result<(), FileError> {
        Ok(files::rename(ROOT, &source, &target)?)
    }

    fn remove_tree(path: String) -> Result<(), FileError> {
        Ok(files::remove_tree(ROOT, &path)?)
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

    fn create_dir(root: String, path: String) -> Result<(), FileError> {
        Ok(files::create_dir(&root, &path)?)
    }

    fn rename(root: String, source: String, target: String) -> Result<(), FileError> {
        Ok(files::rename(&root, &source, &target)?)
    }

    fn remove_tree(root: String, path: String) -> Result<(), FileError> {
        Ok(files::remove_tree(&root, &path)?)
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

    fn move_all(root: String, paths: Vec<String>) -> Vec<probe::Moved> {
        let done = |result| answer(result, |()| "done".to_owned());
        let act = |(at, path): (usize, &String)| probe::Moved {
            made: done(files::create_dir(&root, path)),
            moved_from: done(files::rename(&root, path, &format!("spare/to{at}"))),
            moved_to: done(
                files::write(&root, &format!("spare/from{at}"), "moved")
                    .and_then(|()| files::rename(&root, &format!("spare/from{at}"), path)),
            ),
            removed: done(files::remove_tree(&root, path)),
        };
        paths.iter().enumerate().map(act).collect()
    }

    fn rearrange(root: String, names: Vec<String>) -> Vec<String> {
        let all = names.iter().flat_map(|name| {
            [
                files::rename(&root, &format!("files/{name}"), &format!("moved/{name}")),
                files::create_dir(&root, &format!("made/{name}")),
                files::remove_tree(&root, &format!("folders/{name}")),
            ]
        });
        all.filter_map(|done| done.err().map(String::from)).collect()
    }

    fn page(root: String, glob: String, cursor: Option<String>) -> (u32, Option<String>) {
        let page = files_read::list(&root, &glob, cursor.as_deref()).expect("it can be listed");
        (page.paths.len() as u32, page.next)
    }

    fn count_pages(root: String, glob: String) -> String {
        let (mut count, mut pages, mut in_order) = (0, 0, true);
        let (mut first, mut last, mut cursor) = (None, String::new(), None::<String>);
        loop {
            let page = files_read::list(&root, &glob, cursor.as_deref()).expect("it can be listed");
            pages += 1;
            for path in page.paths {
                in_order &= path > last;
                count += 1;
                first.get_or_insert_with(|| path.clone());
                last = path;
            }
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        format!("{count} in {pages}, in order {in_order}, {} to {last}", first.unwrap_or_default())
    }

    fn read_times(root: String, path: String, times: u32) -> u32 {
        (0..times).filter(|_| files::read(&root, &path).is_ok()).count() as u32
    }

    fn stat_times(root: String, path: String, times: u32) -> u32 {
        (0..times).filter(|_| files::stat(&root, &path).is_ok()).count() as u32
    }

    fn touch(root: String, paths: Vec<String>, text: String) -> Vec<probe::Touched> {
        let touch = |path: &String| probe::Touched {
            removed: answer(files::remove(&root, path), |()| "removed".to_owned()),
            written: answer(files::write(&root, path, &text), |()| "written".to_owned()),
        };
        paths.iter().map(touch).collect()
    }
}
