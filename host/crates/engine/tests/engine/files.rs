//! Files through a guest: what it sees, what it stages, and that hostile paths lead nowhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use base::{ChangeKind, Digest, Effect, Limits};
use engine::files::Roots;
use engine::{Invocation, Outcome, Program, Report, Trap};
use tempfile::TempDir;
use values::{Type, Value};

use crate::fixture::{USES_HEAP, assert_trap, authority, call, host, load, text, with_imports, workspace};

/// Cases of `file-error`, by number, as the guest below returns them.
pub(crate) const DENIED: u8 = 0;
pub(crate) const NOT_FOUND: u8 = 1;
pub(crate) const NOT_A_FILE: u8 = 3;
pub(crate) const NOT_A_DIRECTORY: u8 = 4;
pub(crate) const INVALID_PATH: u8 = 5;
pub(crate) const TOO_LARGE: u8 = 6;

/// A guest that passes its calls on. Its results are the interface's, with an error told by number.
pub(crate) fn passer() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let error = r#"(type $fe' (variant (case "denied" string) (case "not-found") (case "exists") (case "not-a-file")
            (case "not-a-directory") (case "invalid-path" string) (case "too-large") (case "io" string)))
            (export "file-error" (type $fe (eq $fe')))"#;
        let imports = format!(
            r#"
            (import "capstan:host/files-read@0.1.0" (instance $read {error}
              (type $kind' (enum "file" "directory"))
              (export "kind" (type $kind (eq $kind')))
              (type $metadata' (record (field "kind" $kind) (field "size" u64)))
              (export "metadata" (type $metadata (eq $metadata')))
              (type $listing' (record (field "paths" (list string)) (field "next" (option string))))
              (export "listing" (type $listing (eq $listing')))
              (export "list" (func (param "root" string) (param "glob" string) (param "cursor" (option string))
                (result (result $listing (error $fe)))))
              (export "stat" (func (param "root" string) (param "path" string) (result (result $metadata (error $fe)))))
              (export "read" (func (param "root" string) (param "path" string)
                (result (result (list u8) (error $fe)))))))
            (import "capstan:host/files-write@0.1.0" (instance $write {error}
              (export "write" (func (param "root" string) (param "path" string) (param "contents" (list u8))
                (result (result (error $fe)))))
              (export "remove" (func (param "root" string) (param "path" string) (result (result (error $fe)))))))"#
        );
        let lowered = r#"
            (core func $list (canon lower (func $read "list") (memory $memory) (realloc $realloc)))
            (core func $stat (canon lower (func $read "stat") (memory $memory) (realloc $realloc)))
            (core func $get (canon lower (func $read "read") (memory $memory) (realloc $realloc)))
            (core func $put (canon lower (func $write "write") (memory $memory) (realloc $realloc)))
            (core func $remove (canon lower (func $write "remove") (memory $memory) (realloc $realloc)))
            (core instance $host (export "list" (func $list)) (export "stat" (func $stat))
              (export "read" (func $get)) (export "write" (func $put)) (export "remove" (func $remove)))"#;
        let core = format!(
            r#"{USES_HEAP}
            (import "host" "list" (func $list (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (import "host" "stat" (func $stat (param i32 i32 i32 i32 i32)))
            (import "host" "read" (func $read (param i32 i32 i32 i32 i32)))
            (import "host" "write" (func $write (param i32 i32 i32 i32 i32 i32 i32)))
            (import "host" "remove" (func $remove (param i32 i32 i32 i32 i32)))
            (func (export "list") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
              (call $list (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                (local.get 6) (i32.const 64)) (i32.const 64))
            (func (export "stat") (param i32 i32 i32 i32) (result i32)
              (call $stat (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (i32.const 64))
            (func (export "read") (param i32 i32 i32 i32) (result i32)
              (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (i32.const 64))
            (func (export "write") (param i32 i32 i32 i32 i32 i32) (result i32)
              (call $write (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                (i32.const 64)) (call $unit))
            (func (export "remove") (param i32 i32 i32 i32) (result i32)
              (call $remove (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (call $unit))
            ;; Writes, then returns what it reads there.
            (func (export "write-read") (param i32 i32 i32 i32 i32 i32) (result i32)
              (call $write (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                (i32.const 64))
              (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (i32.const 64))
            ;; Removes, then returns what it reads there.
            (func (export "remove-read") (param i32 i32 i32 i32) (result i32)
              (call $remove (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64))
              (call $read (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (i32.const 64))
            ;; Writes, then lists by the glob that is the contents.
            (func (export "write-list") (param i32 i32 i32 i32 i32 i32) (result i32)
              (call $write (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                (i32.const 64))
              (call $list (local.get 0) (local.get 1) (local.get 4) (local.get 5) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 64)) (i32.const 64))
            ;; An error without an ok payload lies nearer: at 1 instead of 4.
            (func $unit (result i32)
              (i32.store8 (i32.const 96) (i32.load8_u (i32.const 64)))
              (i32.store8 (i32.const 97) (i32.load8_u (i32.const 68)))
              (i32.const 96))"#
        );
        let at = r#"(param "root" string) (param "path" string)"#;
        let bytes = "(result (result (list u8) (error u8)))";
        let page = "(result (result (tuple (list string) (option string)) (error u8)))";
        let with = r#"(param "contents" (list u8))"#;
        load(&with_imports(
            &imports,
            lowered,
            &core,
            &[
                ("list", &format!(r#"{at} (param "cursor" (option string)) {page}"#)),
                ("stat", &format!("{at} (result (result (tuple u8 u64) (error u8)))")),
                ("read", &format!("{at} {bytes}")),
                ("write", &format!("{at} {with} (result (result (error u8)))")),
                ("remove", &format!("{at} (result (result (error u8)))")),
                ("write-read", &format!("{at} {with} {bytes}")),
                ("remove-read", &format!("{at} {bytes}")),
                ("write-list", &format!("{at} {with} {page}")),
            ],
        ))
    })
}

/// A result type with an error that is a number.
fn result(ok: Option<Type>) -> Option<Type> {
    Some(Type::Result { ok: ok.map(Box::new), err: Some(Box::new(Type::U8)) })
}

fn bytes_type() -> Type {
    Type::List(Box::new(Type::U8))
}

fn page_type() -> Type {
    Type::Tuple(vec![Type::List(Box::new(Type::String)), Type::Option(Box::new(Type::String))])
}

/// What may be read and written unless a test says otherwise.
pub(crate) const ALL: &[&str] = &["files-read=workspace:**", "files-write=workspace:**"];

/// Prepares a call of the passer under `folder`, everything in scope.
pub(crate) fn prepare(folder: &Path, function: &str, path: &str, contents: Option<&[u8]>) -> Invocation {
    let ok = match function {
        "read" | "write-read" | "remove-read" => Some(bytes_type()),
        "stat" => Some(Type::Tuple(vec![Type::U8, Type::U64])),
        "write-list" => Some(page_type()),
        _ => None,
    };
    let mut arguments = vec![text("workspace"), text(path)];
    arguments.extend(contents.map(|contents| (bytes_type(), Value::Bytes(contents.to_vec()))));
    let mut invocation = call(function, arguments, result(ok));
    invocation.host = host(workspace(folder));
    invocation.authority = authority(ALL, ALL, Effect::Write);
    invocation
}

pub(crate) fn run(folder: &Path, function: &str, path: &str, contents: Option<&[u8]>) -> Report {
    passer().invoke(prepare(folder, function, path, contents))
}

#[track_caller]
pub(crate) fn assert_error(report: &Report, error: u8) {
    assert_eq!(report.outcome, Outcome::Failed(Some(Value::U8(error))));
    assert!(report.changes.is_empty() && report.blobs.is_empty());
}

#[track_caller]
fn assert_bytes(report: &Report, bytes: &[u8]) {
    assert_eq!(report.outcome, Outcome::Returned(Some(Value::Bytes(bytes.to_vec()))));
}

pub(crate) fn list(
    folder: &Path,
    glob: &str,
    scope: &str,
    cursor: Option<&str>,
) -> (Vec<String>, Option<String>) {
    let cursor_type = Type::Option(Box::new(Type::String));
    let cursor = Value::Option(cursor.map(|cursor| Box::new(Value::String(cursor.to_owned()))));
    let mut list =
        call("list", vec![text("workspace"), text(glob), (cursor_type, cursor)], result(Some(page_type())));
    list.host = host(workspace(folder));
    list.authority = authority(&[scope], &[scope], Effect::Read);
    page(&passer().invoke(list))
}

#[track_caller]
fn page(report: &Report) -> (Vec<String>, Option<String>) {
    let string =
        |value: &Value| if let Value::String(text) = value { text.clone() } else { panic!("{value:?}") };
    match &report.outcome {
        Outcome::Returned(Some(Value::Tuple(page))) => match page.as_slice() {
            [Value::List(paths), Value::Option(next)] => {
                (paths.iter().map(string).collect(), next.as_ref().map(|next| string(next)))
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Every path below `folder` with its kind, mode and content.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let what = if meta.is_dir() {
                folders.push(path.clone());
                "folder".to_owned()
            } else if meta.is_file() {
                Digest::of(&fs::read(&path).unwrap()).to_string()
            } else {
                format!("{:?}", meta.file_type())
            };
            found.insert(
                path.to_string_lossy().into_owned(),
                format!("{what} {:o}", meta.permissions().mode()),
            );
        }
    }
    found
}

#[test]
fn reading_and_stat() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/a.txt"), "hello").unwrap();
    assert_bytes(&run(folder.path(), "read", "docs/a.txt", None), b"hello");
    let stat = |path| run(folder.path(), "stat", path, None).outcome;
    let is = |kind, size| Outcome::Returned(Some(Value::Tuple(vec![Value::U8(kind), Value::U64(size)])));
    assert_eq!(stat("docs/a.txt"), is(0, 5));
    assert_eq!(stat("docs"), is(1, 0));
    assert_error(&run(folder.path(), "read", "docs/none", None), NOT_FOUND);
    assert_error(&run(folder.path(), "read", "docs", None), NOT_A_FILE);
    assert_error(&run(folder.path(), "read", "docs/a.txt/b", None), NOT_A_DIRECTORY);
    assert_error(&run(folder.path(), "stat", "none", None), NOT_FOUND);
}

#[test]
fn a_file_larger_than_the_call_may_take_is_told_and_one_that_fits_no_more_ends_it() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("big"), vec![b'a'; 11_000]).unwrap();
    fs::write(folder.path().join("fits"), vec![b'a'; 9_000]).unwrap();
    let limited = |path, limit| {
        let mut read = prepare(folder.path(), "read", path, None);
        read.limits = Limits { host_call_bytes: limit, ..Limits::DEFAULT };
        passer().invoke(read)
    };
    assert_bytes(&limited("fits", 10_000), &[b'a'; 9_000]);
    assert_error(&limited("big", 10_000), TOO_LARGE);
    // The names of root and path were counted first.
    assert_trap(&limited("big", 11_001), Trap::HostCallBytes);
}

#[test]
fn writes_are_staged_seen_and_not_on_disk() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("old"), "before").unwrap();
    let before = tree(folder.path());

    let created = run(folder.path(), "write", "new", Some(b"content"));
    let [change] = created.changes.changes() else { panic!("{created:?}") };
    assert_eq!((change.kind, change.path.as_str(), change.pre), (ChangeKind::Create, "new", None));
    assert_eq!(created.blobs[&change.post.unwrap()], b"content");

    let replaced = run(folder.path(), "write-read", "old", Some(b"after"));
    assert_bytes(&replaced, b"after");
    let [change] = replaced.changes.changes() else { panic!("{replaced:?}") };
    assert_eq!((change.kind, change.pre), (ChangeKind::Replace, Some(Digest::of(b"before"))));

    let removed = run(folder.path(), "remove", "old", None);
    let [change] = removed.changes.changes() else { panic!("{removed:?}") };
    assert_eq!((change.kind, change.post), (ChangeKind::Delete, None));
    assert!(removed.blobs.is_empty());
    assert_error(&run(folder.path(), "remove-read", "old", None), NOT_FOUND);

    let same = run(folder.path(), "write", "old", Some(b"before"));
    assert!(same.changes.is_empty() && same.blobs.is_empty());
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn what_cannot_be_written_is_told() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    for (path, error) in [("none/new", NOT_FOUND), ("docs", NOT_A_FILE), ("file/new", NOT_A_DIRECTORY)] {
        assert_error(&run(folder.path(), "write", path, Some(b"x")), error);
    }
    assert_error(&run(folder.path(), "remove", "none", None), NOT_FOUND);
    assert_eq!(run(folder.path(), "write", "docs/new", Some(b"x")).changes.changes().len(), 1);
}

#[test]
fn a_guest_that_fails_stages_nothing() {
    let folder = TempDir::new().unwrap();
    // It writes, and then its read fails because the path is outside the read scope.
    let mut invocation = prepare(folder.path(), "write-read", "out/new", Some(b"x"));
    fs::create_dir(folder.path().join("out")).unwrap();
    let scopes = &["files-read=workspace:in/**", "files-write=workspace:out/**"];
    invocation.authority = authority(scopes, scopes, Effect::Write);
    assert_error(&passer().invoke(invocation), DENIED);
}

#[test]
fn listing_is_sorted_scoped_and_paged() {
    let folder = TempDir::new().unwrap();
    for dir in ["a", "a/b", ".git", "z"] {
        fs::create_dir(folder.path().join(dir)).unwrap();
    }
    let files = ["a.txt", "a/b/deep.rs", "a/x.rs", "a-b.rs", "z/last.rs", ".git/config", ".hidden", "b.rs"];
    for file in files {
        fs::write(folder.path().join(file), "").unwrap();
    }
    symlink("b.rs", folder.path().join("link.rs")).unwrap();
    symlink("a", folder.path().join("linked")).unwrap();
    let all = list(folder.path(), "**", "files-read=workspace:**", None);
    assert_eq!(
        all,
        (["a-b.rs", "a.txt", "a/b/deep.rs", "a/x.rs", "b.rs", "z/last.rs"].map(str::to_owned).into(), None)
    );
    let scoped = list(folder.path(), "**/*.rs", "files-read=workspace:a/**", None);
    assert_eq!(scoped.0, ["a/b/deep.rs", "a/x.rs"]);
    let dotted = list(folder.path(), ".git/*", "files-read=workspace:.git/**", None);
    assert_eq!(dotted.0, [".git/config"]);
    let after = list(folder.path(), "**", "files-read=workspace:**", Some("a/b/deep.rs"));
    assert_eq!(after.0, ["a/x.rs", "b.rs", "z/last.rs"]);

    let many = folder.path().join("many");
    for dir in 0..30 {
        fs::create_dir_all(many.join(format!("d{dir}"))).unwrap();
        for file in 0..70 {
            fs::write(many.join(format!("d{dir}/f{file}")), "").unwrap();
        }
    }
    let mut paged = Vec::new();
    let mut cursor = None;
    loop {
        let (paths, next) = list(folder.path(), "many/**", "files-read=workspace:**", cursor.as_deref());
        assert!(paths.len() <= 1_000);
        paged.extend(paths);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> =
        (0..30).flat_map(|d| (0..70).map(move |f| format!("many/d{d}/f{f}"))).collect();
    expected.sort();
    assert_eq!(paged, expected);
}

#[test]
fn listing_shows_what_is_staged() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), "").unwrap();
    fs::write(folder.path().join("c"), "").unwrap();
    let report = run(folder.path(), "write-list", "b", Some(b"*"));
    assert_eq!(page(&report), (["a", "b", "c"].map(str::to_owned).into(), None));
}

#[test]
fn links_and_special_files_are_refused_and_hard_links_stay_apart() {
    let outside = TempDir::new().unwrap();
    let folder = TempDir::new().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    fs::write(folder.path().join("real/file"), "fine").unwrap();
    symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
    symlink(outside.path(), folder.path().join("linked")).unwrap();
    symlink("real", folder.path().join("inner")).unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("fifo")).status().unwrap().success());
    std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    fs::hard_link(outside.path().join("secret"), folder.path().join("hard")).unwrap();

    for (path, error) in [
        ("link", INVALID_PATH),
        ("linked/secret", INVALID_PATH),
        ("inner/file", INVALID_PATH),
        ("dangling", INVALID_PATH),
        ("fifo", NOT_A_FILE),
        ("socket", NOT_A_FILE),
    ] {
        assert_error(&run(folder.path(), "read", path, None), error);
        assert_error(&run(folder.path(), "stat", path, None), error);
        assert_error(&run(folder.path(), "write", path, Some(b"x")), error);
    }
    assert_bytes(&run(folder.path(), "read", "real/file", None), b"fine");
    assert_bytes(&run(folder.path(), "read", "hard", None), b"secret");

    // Applying a write to the hard link replaces the name, not the content behind both names.
    let report = run(folder.path(), "write", "hard", Some(b"mine"));
    let [change] = report.changes.changes() else { panic!("{report:?}") };
    let roots = workspace(folder.path());
    engine::files::apply(&roots, change, Some(b"mine"), "key", &base::NoProbe).unwrap();
    assert_eq!(fs::read(folder.path().join("hard")).unwrap(), b"mine");
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

/// Path strings that try to get out, or to be something else, by fixed and by drawn parts.
fn hostile_paths() -> Vec<String> {
    let fixed = [
        "",
        "/",
        ".",
        "..",
        "../",
        "../canary",
        "/etc/passwd",
        "//etc/passwd",
        "a/../../canary",
        "a/./b",
        "a//b",
        "a/",
        "./a",
        "a/..",
        "a/../..",
        "\0",
        "a\0b",
        "../canary\0",
        "link/canary",
        "deep/link/canary",
        "link",
        "deep/link",
        "link/../canary",
        "fifo",
        "deep/fifo",
        "socket",
        "self/root/etc/passwd",
        "magic/cwd/canary",
        "dangling",
        "loop",
        "loop/a",
        "hard/x",
        "canary/",
        "link/",
        "deep/",
        "deep//link",
        "up/canary",
        "up",
        "absolute/canary",
    ];
    let parts = [
        "..",
        ".",
        "",
        "a",
        "link",
        "deep",
        "up",
        "canary",
        "\\",
        "..\\canary",
        "%2e%2e",
        "．．",
        "\u{202e}",
        "~",
        "fifo",
    ];
    let mut drawn = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    while drawn.len() + fixed.len() < 490 {
        let count = 1 + next(6);
        drawn.push((0..count).map(|_| parts[next(parts.len())]).collect::<Vec<_>>().join("/"));
    }
    let long = ["a".repeat(300), "a/".repeat(2_100) + "a", "../".repeat(1_400) + "canary", "é".repeat(2_100)];
    let lines = ["a\nb", "a\rb", "\u{7f}", "con", "a:b", "link/./canary"].map(str::to_owned);
    fixed.map(str::to_owned).into_iter().chain(drawn).chain(long).chain(lines).collect()
}

/// A root inside of a folder with a canary, and ways out of it on disk.
fn trap_house() -> (TempDir, std::path::PathBuf) {
    let house = TempDir::new().unwrap();
    fs::write(house.path().join("canary"), "alive").unwrap();
    let root = house.path().join("root");
    fs::create_dir_all(root.join("deep")).unwrap();
    for dir in [root.clone(), root.join("deep")] {
        symlink(house.path(), dir.join("link")).unwrap();
        symlink("..", dir.join("up")).unwrap();
        assert!(Command::new("mkfifo").arg(dir.join("fifo")).status().unwrap().success());
    }
    symlink("/proc/self", root.join("self")).unwrap();
    symlink("/proc/self", root.join("magic")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("../canary", root.join("dangling")).unwrap();
    symlink(house.path(), root.join("absolute")).unwrap();
    (house, root)
}

#[test]
fn five_hundred_hostile_paths_touch_nothing_outside() {
    let (house, root) = trap_house();
    let before = tree(house.path());
    let paths = hostile_paths();
    assert!(paths.len() >= 500, "{}", paths.len());
    let roots = Arc::new(workspace(&root));
    let (mut refused, mut applied) = (0, 0);
    for (index, path) in paths.iter().enumerate() {
        for (function, contents) in
            [("read", None), ("stat", None), ("remove", None), ("write", Some(&b"pwned"[..]))]
        {
            let mut invocation = prepare(&root, function, path, contents);
            invocation.host.roots = Arc::clone(&roots);
            let report = passer().invoke(invocation);
            assert!(
                matches!(report.outcome, Outcome::Failed(_) | Outcome::Returned(_)),
                "{path:?}: {:?}",
                report.outcome
            );
            if let Outcome::Returned(Some(Value::Bytes(bytes))) = &report.outcome {
                assert_ne!(bytes, b"alive", "{path:?} read the canary");
            }
            refused += usize::from(matches!(report.outcome, Outcome::Failed(_)));
            // What a guest could stage is applied, and taken back.
            for change in report.changes.changes() {
                let contents = contents.filter(|_| change.post.is_some());
                engine::files::apply(&roots, change, contents, &index.to_string(), &base::NoProbe).unwrap();
                engine::files::apply(
                    &roots,
                    &change.reversed(),
                    None,
                    &format!("undo {index}"),
                    &base::NoProbe,
                )
                .unwrap();
                applied += 1;
            }
        }
    }
    assert!(refused > 1_500 && applied > 0, "{refused} refused, {applied} applied");
    assert_eq!(tree(house.path()), before);
}

#[test]
fn two_hundred_odd_legal_names_work() {
    let folder = TempDir::new().unwrap();
    let shapes: [fn(usize) -> String; 10] = [
        |n| format!("plain{n}"),
        |n| format!("with space {n}"),
        |n| format!("zażółć-{n}-🦀"),
        |n| format!("...{n}"),
        |n| format!("back\\slash{n}"),
        |n| format!("new\nline{n}"),
        |n| format!("-rf{n}"),
        |n| format!("quote'\"`$({n})"),
        |n| format!("{n}{}", "n".repeat(240)),
        |n| format!("con:{n}*?[x]{{y}}"),
    ];
    let scopes = &[
        "files-read=workspace:**",
        "files-read=workspace:.*",
        "files-write=workspace:**",
        "files-write=workspace:.*",
    ];
    for n in 0..200 {
        let name = shapes[n % shapes.len()](n);
        let with = |function, contents| {
            let mut invocation = prepare(folder.path(), function, &name, contents);
            invocation.authority = authority(scopes, scopes, Effect::Write);
            passer().invoke(invocation)
        };
        let report = with("write", Some(name.as_bytes()));
        let [change] = report.changes.changes() else { panic!("{name:?}: {report:?}") };
        let roots = workspace(folder.path());
        engine::files::apply(&roots, change, Some(name.as_bytes()), "key", &base::NoProbe).unwrap();
        assert_bytes(&with("read", None), name.as_bytes());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 200);
}

#[test]
fn a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere() {
    let (house, root) = trap_house();
    fs::create_dir(house.path().join("outside")).unwrap();
    fs::write(house.path().join("outside/file"), "outside").unwrap();
    fs::create_dir(root.join("real")).unwrap();
    fs::write(root.join("real/file"), "inside").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (stop, root, outside) = (Arc::clone(&stop), root.clone(), house.path().join("outside"));
        std::thread::spawn(move || {
            symlink(outside, root.join("swap")).unwrap();
            while !stop.load(Ordering::Relaxed) {
                // `real` is by turns a folder and a link to the one outside.
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    root.join("real"),
                    rustix::fs::CWD,
                    root.join("swap"),
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        })
    };
    let roots = Arc::new(workspace(&root));
    let (mut inside, mut refused) = (0, 0);
    for round in 0..2_000 {
        let mut invocation = prepare(&root, "write-read", "real/new", Some(b"pwned"));
        invocation.host.roots = Arc::clone(&roots);
        let report = passer().invoke(invocation);
        for change in report.changes.changes() {
            let key = round.to_string();
            let _either_is_fine = engine::files::apply(&roots, change, Some(b"pwned"), &key, &base::NoProbe);
            inside += 1;
        }
        refused += usize::from(report.changes.is_empty());
        assert!(!house.path().join("outside/new").exists(), "round {round} wrote outside");
        let mut read = prepare(&root, "read", "real/file", None);
        read.host.roots = Arc::clone(&roots);
        let read = passer().invoke(read).outcome;
        assert_ne!(
            read,
            Outcome::Returned(Some(Value::Bytes(b"outside".to_vec()))),
            "round {round} read outside"
        );
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(inside > 0 && refused > 0, "both turns were met: {inside} inside, {refused} refused");
    assert_eq!(fs::read_dir(house.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn an_unknown_root_and_a_root_that_is_no_folder() {
    let folder = TempDir::new().unwrap();
    let mut invocation = prepare(folder.path(), "read", "file", None);
    invocation.arguments[0] = Value::String("other".to_owned());
    assert_error(&passer().invoke(invocation), DENIED);
    let mut invocation = prepare(folder.path(), "read", "file", None);
    invocation.arguments[0] = Value::String("../workspace".to_owned());
    assert_error(&passer().invoke(invocation), INVALID_PATH);
    let mut invocation = prepare(folder.path(), "read", "file", None);
    invocation.host = host(Roots::default());
    assert_error(&passer().invoke(invocation), INVALID_PATH);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(Roots::open([("workspace".parse().unwrap(), folder.path().join("file"))]).is_err());
}

#[test]
fn a_write_is_staged_against_what_the_guest_saw() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "seen").unwrap();
    let report = run(folder.path(), "write", "file", Some(b"new"));
    let [change] = report.changes.changes() else { panic!("{report:?}") };
    fs::write(folder.path().join("file"), "changed").unwrap();
    let conflict = engine::files::apply(&workspace(folder.path()), change, Some(b"new"), "k", &base::NoProbe);
    assert!(matches!(conflict, Err(engine::files::ApplyError::Conflict { .. })));
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"changed");
}

#[test]
fn this_kernel_enforces_what_the_roots_need() {
    assert!(engine::files::enforces_beneath());
}
