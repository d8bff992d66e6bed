//! Diffs of hostile names and contents.

use super::*;

fn change(path: &str, old: Option<&[u8]>, new: Option<&[u8]>) -> Change {
    let kind = match (old, new) {
        (None, _) => ChangeKind::Create,
        (_, None) => ChangeKind::Delete,
        _ => ChangeKind::Replace,
    };
    let root = "workspace".parse().unwrap();
    let [pre, post] = [old, new].map(|side| side.map(Digest::of));
    Change { root, path: path.to_owned(), kind, pre, post, mode: None }
}

/// The diff, with both contents kept.
fn diff(path: &str, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    let blobs = [old, new].map(|side| side.map(<[u8]>::to_vec));
    let kept = |digest: &Digest| blobs.iter().flatten().find(|b| Digest::of(b) == *digest).cloned();
    unified(&ChangeSet::new(vec![change(path, old, new)]), None, kept)
}

#[test]
fn a_plain_change_is_a_plain_diff() {
    let expected = "--- a/workspace/a b/ü.md\n+++ b/workspace/a b/ü.md\n@@ -1,2 +1,2 @@\n-one\n+1\n two\n";
    assert_eq!(diff("a b/ü.md", Some(b"one\ntwo\n"), Some(b"1\ntwo\n")), expected);
    let created = "--- /dev/null\n+++ b/workspace/a\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n";
    assert_eq!(diff("a", None, Some(b"x")), created);
    assert_eq!(diff("a", None, Some(b"")), "--- /dev/null\n+++ b/workspace/a\n", "an empty file is shown");
    let removed = "--- a/workspace/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
    assert_eq!(diff("a", Some(b"x\n"), None), removed);
}

#[test]
fn a_name_makes_no_lines() {
    let names = [
        ("a\n@@ -1 +1 @@\n-x\n+y", r#""b/workspace/a\n@@ -1 +1 @@\n-x\n+y""#),
        ("\"", r#""b/workspace/\"""#),
        ("a\\b", r#""b/workspace/a\\b""#),
        ("\t\r\u{1b}[31m", r#""b/workspace/\t\r\033[31m""#),
        ("\u{202e}gpj.exe", r#""b/workspace/\342\200\256gpj.exe""#),
        ("é\u{200b}", r#""b/workspace/é\342\200\213""#),
    ];
    for (name, expected) in names {
        let shown = diff(name, None, Some(b"1\n"));
        let lines: Vec<&str> = shown.split('\n').collect();
        assert_eq!(lines, ["--- /dev/null", &format!("+++ {expected}"), "@@ -0,0 +1 @@", "+1", ""]);
    }
}

#[test]
fn only_a_newline_ends_a_line() {
    let old = b"keep\rold\n";
    let new = "keep\rrm -rf x\u{2028}y\u{85}z\u{b}\n".as_bytes();
    let shown = diff("a", Some(old), Some(new));
    let body: Vec<&str> = shown.split('\n').skip(3).collect();
    assert_eq!(body, ["-keep\rold", "+keep\rrm -rf x\u{2028}y\u{85}z\u{b}", ""]);
    // A last line that ends in `\r` has no newline, and what follows is not glued to it.
    let shown = diff("a", Some(b"x\n"), Some(b"x\r"));
    assert!(shown.ends_with("-x\n+x\r\n\\ No newline at end of file\n"), "{shown:?}");
    let windows = diff("a", Some(b"a\r\nb\r\n"), Some(b"a\r\nc\r\n"));
    assert!(windows.ends_with("@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n"), "{windows:?}");
}

#[test]
fn text_with_zeros_is_text() {
    let shown = diff("a", Some(b"one\n"), Some(b"one\n\0rm -rf x\n"));
    assert!(shown.ends_with("@@ -1 +1,2 @@\n one\n+\0rm -rf x\n"), "{shown:?}");
}

#[test]
fn what_is_no_text_is_told_by_size_and_digest() {
    let (old, new) = (b"\xff\xfe".as_slice(), b"\xff\xfe\n+++ b/workspace/forged\n".as_slice());
    let (old_digest, new_digest) = (Digest::of(old), Digest::of(new));
    let expected = format!(
        "--- a/workspace/a\n+++ b/workspace/a\nnot text\n\
         before: 2 bytes, {old_digest}, `capstan artifact show {old_digest}`\n\
         after: 26 bytes, {new_digest}, `capstan artifact show {new_digest}`\n"
    );
    assert_eq!(diff("a", Some(old), Some(new)), expected);
    let set = ChangeSet::new(vec![change("a", None, Some(new))]);
    let of_call = unified_of_call(&set, &Roots::default(), |_| Some(new.to_vec()));
    let expected = format!("not text\nbefore: nothing\nafter: 26 bytes, {new_digest}\n");
    assert!(of_call.ends_with(&expected), "nothing is kept of a call: {of_call}");
    let lost = unified(&set, None, |_| None);
    assert!(
        lost.ends_with(&format!("after: of a size that is not known any more, {new_digest}\n")),
        "{lost}"
    );
}

#[test]
fn long_text_is_told_by_size_and_digest() {
    let lines = |count: usize| vec![b'\n'; count];
    assert!(diff("a", None, Some(&lines(TEXT_BYTES_MAX))).contains("\n@@ -0,0 +1,1048576 @@\n+\n"));
    let long = diff("a", None, Some(&lines(TEXT_BYTES_MAX + 1)));
    assert!(long.contains("\ntoo long to show\nbefore: nothing\nafter: 1048577 bytes, "), "{long}");
}
