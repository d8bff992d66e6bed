//! Five hundred path strings that want out of the workspace. Half of them are well-formed, so that
//! the file system is what has to hold them.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::Env;

use crate::guest::{call, install, run_plan, with_writer};

/// What is in every file outside, and must be in no output.
pub(crate) const CANARY: &str = "CANARY-90210";
/// Paths of one call: the arguments of a process may have 128 KiB each.
const PATHS_PER_CALL: usize = 60;

/// What has to stop a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// The rules for paths: it is no path under a root.
    Form,
    /// The scope: `**` matches no segment with a dot in front.
    Scope,
    /// What is on disk, or is not.
    Disk,
}

struct Hostile {
    path: String,
    stopped: Stopped,
}

/// A workspace full of ways out, beside a folder that nobody may see.
pub(crate) struct Place {
    pub(crate) env: Env,
    pub(crate) outside: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let env = with_writer();
        let outside = env.folder().join("outside");
        fs::create_dir_all(outside.join("dir/sub")).unwrap();
        for name in ["secret.txt", "dir/deep.txt", "dir/sub/deeper.txt"] {
            fs::write(outside.join(name), CANARY).unwrap();
        }
        env.write("in/a.txt", "inside");
        env.write("in/sub/b.txt", "inside");
        let place = Self { env, outside };
        for folder in ["links", "in/sub/links", "far/down/the/tree"] {
            place.make_links(folder);
        }
        place.make_special_files();
        place
    }

    /// Links to folders, each from itself out of the workspace or around in it.
    pub(crate) fn folder_links(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("absolute", self.outside.clone()),
            ("root", "/".into()),
            ("here", ".".into()),
            ("up", "..".into()),
            ("up-far", "../../../../../../../../..".into()),
            ("up-and-over", "../../outside".into()),
            ("workspace", self.env.work()),
            ("loop", "loop".into()),
            ("ping", "pong".into()),
            ("pong", "ping".into()),
            ("chain", "absolute/dir".into()),
            ("proc-cwd", "/proc/self/cwd".into()),
            ("proc-root", "/proc/self/root".into()),
            ("proc-fd", "/proc/self/fd".into()),
            ("nowhere", self.outside.join("nowhere")),
        ]
    }

    pub(crate) fn file_links(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("secret", self.outside.join("secret.txt")),
            ("passwd", "/etc/passwd".into()),
            ("new", self.outside.join("new.txt")),
            ("inside", self.env.work().join("in/a.txt")),
            ("null", "/dev/null".into()),
            ("stdin", "/proc/self/fd/0".into()),
            ("environ", "/proc/self/environ".into()),
            ("long", "x/".repeat(1_000).into()),
        ]
    }

    fn make_links(&self, folder: &str) {
        let folder = self.env.work().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, target) in self.folder_links().into_iter().chain(self.file_links()) {
            symlink(target, folder.join(name)).unwrap();
        }
    }

    fn make_special_files(&self) {
        let special = self.env.work().join("special");
        fs::create_dir(&special).unwrap();
        assert!(Command::new("mkfifo").arg(special.join("fifo")).status().unwrap().success());
        drop(UnixListener::bind(special.join("socket")).unwrap());
        // Only root can make devices; elsewhere the name is absent, which holds as well.
        for (name, minor) in [("null", "3"), ("zero", "5")] {
            let mut mknod = Command::new("mknod");
            drop(mknod.arg(special.join(name)).args(["c", "1", minor]).output());
        }
    }

    fn outside_tree(&self) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
        Env::tree(&self.outside)
    }

    /// The strings.
    fn hostile(&self) -> Vec<Hostile> {
        let mut found = Vec::new();
        let mut add = |stopped, paths: Vec<String>| {
            found.extend(paths.into_iter().map(|path| Hostile { path, stopped }));
        };
        add(Stopped::Form, malformed(&self.outside));
        add(Stopped::Scope, dotted());
        add(Stopped::Disk, self.through_links());
        add(Stopped::Disk, self.through_files());
        add(Stopped::Disk, look_alikes());
        found
    }

    fn through_links(&self) -> Vec<String> {
        let tails = [
            "secret.txt",
            "dir/deep.txt",
            "dir/sub/deeper.txt",
            "dir",
            "new.txt",
            "etc/passwd",
            "work/in/a.txt",
        ];
        let mut paths = Vec::new();
        for folder in ["links", "in/sub/links", "far/down/the/tree"] {
            for (link, _) in self.folder_links() {
                paths.push(format!("{folder}/{link}"));
                paths.extend(tails.iter().map(|tail| format!("{folder}/{link}/{tail}")));
            }
            for (link, _) in self.file_links() {
                paths.extend([format!("{folder}/{link}"), format!("{folder}/{link}/x")]);
            }
        }
        paths
    }

    fn through_files(&self) -> Vec<String> {
        let names = ["fifo", "socket", "null", "zero"];
        let special = names.iter().flat_map(|name| [format!("special/{name}"), format!("special/{name}/x")]);
        let files = ["in/a.txt/x", "in/a.txt/x/y", "in/sub/b.txt/secret.txt"].map(ToOwned::to_owned);
        let folders = ["in", "in/sub", "links", "far/down", "special"].map(ToOwned::to_owned);
        special.chain(files).chain(folders).collect()
    }
}

/// What is no path under a root.
fn malformed(outside: &Path) -> Vec<String> {
    let outside = outside.to_str().unwrap();
    let mut paths: Vec<String> =
        ["", "/", "//", "in/", "in//a.txt", "/in/a.txt", "in/a.txt/", "//in/a.txt", "\0", "in/\0"]
            .map(ToOwned::to_owned)
            .to_vec();
    for depth in 1..=30 {
        let up = "../".repeat(depth);
        paths.push(format!("{up}outside/secret.txt"));
        paths.push(format!("in/{up}../outside/secret.txt"));
        paths.push(format!("{up}etc/passwd"));
    }
    for name in ["secret.txt", "dir/deep.txt", "dir", "new.txt"] {
        paths.extend([
            format!("{outside}/{name}"),
            format!("/{outside}/{name}"),
            format!("../outside/{name}"),
            format!("./../outside/{name}"),
            format!("in/./../../outside/{name}"),
            format!("in/sub/../../../outside/{name}"),
            format!("in/a.txt/../../../outside/{name}"),
            format!("links/absolute/../outside/{name}"),
            format!("links/absolute//{name}"),
            format!("links/absolute/{name}/"),
            format!("links/absolute/./{name}"),
            format!("in/a.txt\0/../../outside/{name}"),
            format!("../outside/{name}\0"),
            format!("links/absolute/{name}\0.txt"),
        ]);
    }
    for proc in
        ["self/root/etc/passwd", "self/cwd/secret.txt", "self/environ", "1/root/etc/passwd", "self/fd/0"]
    {
        paths.extend([format!("/proc/{proc}"), format!("../../../../../../../../proc/{proc}")]);
    }
    paths.extend(["..", ".", "in/..", "in/.", "in/../..", "./in/a.txt"].map(ToOwned::to_owned));
    paths.extend((0..5).map(|more| "a/".repeat(2_048 + more) + "a"));
    paths
}

/// Well-formed, and with a dot in front of a segment, which `**` does not match.
fn dotted() -> Vec<String> {
    let names = [
        "...",
        "....",
        ".. ",
        "..\\outside\\secret.txt",
        ".\\in\\a.txt",
        "..%2foutside%2fsecret.txt",
        "..;",
        "..\u{2215}x",
        "..\u{0338}",
        ".\u{200d}.",
        "..\u{feff}",
        ".ssh",
        "..x",
        ".\u{2024}",
        "..\t",
        "..\n",
    ];
    names
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("in/{name}"), format!("{name}/outside/secret.txt")])
        .collect()
}

/// Look like a way up or a separator to somebody, and are names that nothing has.
fn look_alikes() -> Vec<String> {
    let heads = [
        "\u{ff0e}\u{ff0e}",
        "\u{2024}\u{2024}",
        "\u{2025}",
        "%2e%2e",
        "%252e%252e",
        "\\..",
        "\u{202e}..",
        "\u{200b}..",
        "~",
        "~root",
        "C:",
        "\\\\?\\C:",
        "file:",
        "workspace:..",
        "%00",
        "\\0",
        "\u{feff}..",
        "\u{0430}",
    ];
    let tails = ["outside/secret.txt", "etc/passwd"];
    let mut paths: Vec<String> =
        heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}/{tail}"))).collect();
    let slashes = ["\\", "\u{2215}", "\u{2044}", "\u{ff0f}", "%2f", "%5c", "\u{29f8}"];
    paths
        .extend(slashes.iter().map(|slash| format!("in{slash}..{slash}..{slash}outside{slash}secret.txt/x")));
    paths.extend([255, 256, 1_000, 4_000].map(|length| format!("in/{}/x", "n".repeat(length))));
    paths
}

/// Says whether the answer is one that only the file system can have given.
pub(crate) fn is_from_disk(answer: &str) -> bool {
    let texts = [
        "not found",
        "not a regular file",
        "a parent is not a directory",
        "has a symbolic link",
        "leaves its root",
        "segment of the path is too long",
        "already exists",
        "neither a regular file nor a folder",
    ];
    texts.iter().any(|text| answer.contains(text))
}

#[track_caller]
fn assert_stopped(hostile: &Hostile, answer: &str) {
    let as_expected = match hostile.stopped {
        Stopped::Form => answer.contains("invalid path") && !is_from_disk(answer),
        Stopped::Scope => answer.contains("denied"),
        Stopped::Disk => is_from_disk(answer) && !answer.contains("denied"),
    };
    assert!(answer.starts_with('!') && as_expected, "{:?} {:?}: {answer}", hostile.stopped, hostile.path);
}

/// The guest's answers for each path. What was printed has no canary.
fn look(env: &Env, root: &str, paths: &[&str]) -> Vec<Value> {
    let mut answers = Vec::new();
    for paths in paths.chunks(PATHS_PER_CALL) {
        for paths in if paths.iter().map(|path| path.len()).sum::<usize>() > 60_000 {
            paths.chunks(4)
        } else {
            paths.chunks(PATHS_PER_CALL)
        } {
            let said = call(env, "test:writer/probe.look", &json!({ "root": root, "paths": paths }));
            assert_eq!(said["outcome"], "returned", "{said:#}");
            assert!(!said.to_string().contains(CANARY), "{said:#}");
            answers.extend(said["result"].as_array().unwrap().clone());
        }
    }
    assert_eq!(answers.len(), paths.len());
    answers
}

#[test]
fn five_hundred_hostile_paths_see_nothing_outside() {
    let place = Place::new();
    let hostile = place.hostile();
    let at_disk = hostile.iter().filter(|hostile| hostile.stopped == Stopped::Disk).count();
    assert!(hostile.len() >= 500 && at_disk >= 250, "{} paths, {at_disk} reach the disk", hostile.len());
    let before = place.outside_tree();
    let paths: Vec<&str> = hostile.iter().map(|hostile| hostile.path.as_str()).collect();
    for (hostile, answer) in hostile.iter().zip(look(&place.env, "workspace", &paths)) {
        let [listed, stat, read] = ["listed", "stat", "read"].map(|key| answer[key].as_str().unwrap());
        assert_stopped(hostile, read);
        // A folder has a size, and as a pattern it is just a name.
        let path = place.env.work().join(&hostile.path);
        let is_folder = path.is_dir() && path.canonicalize().is_ok_and(|real| real == path);
        assert!(stat.starts_with('!') || (is_folder && stat == "0"), "{:?}: {stat}", hostile.path);
        assert!(listed.starts_with('!') || listed.is_empty(), "{:?}: {listed}", hostile.path);
    }
    assert_eq!(place.outside_tree(), before);
    // The same calls on what is inside.
    let inside = look(&place.env, "workspace", &["in/a.txt", "in/sub/b.txt"]);
    assert_eq!(inside[0], json!({ "listed": "in/a.txt", "stat": "6", "read": "inside" }));
    assert_eq!(inside[1], json!({ "listed": "in/sub/b.txt", "stat": "6", "read": "inside" }));
}

#[test]
fn hostile_paths_change_nothing() {
    let place = Place::new();
    // What looks like a way out and is a name that nothing has may be written: inside.
    let names = look_alikes();
    let hostile = place.hostile();
    let hostile: Vec<&Hostile> = hostile.iter().filter(|hostile| !names.contains(&hostile.path)).collect();
    let (outside, inside) = (place.outside_tree(), Env::tree(&place.env.work()));
    for hostile in hostile.chunks(PATHS_PER_CALL) {
        let paths: Vec<&str> = hostile.iter().map(|hostile| hostile.path.as_str()).collect();
        let arguments = json!({ "root": "workspace", "paths": paths, "text": "written" });
        let done = run_plan(&place.env, "test:writer", "probe.touch", &arguments).exits(0);
        assert!(!done.said().contains(CANARY));
        let done = done.json();
        let answers = done["outputs"]["found"].as_array().unwrap_or_else(|| panic!("{done:#}"));
        assert_eq!(answers.len(), hostile.len());
        for (hostile, answer) in hostile.iter().zip(answers) {
            assert_stopped(hostile, answer["removed"].as_str().unwrap());
            assert_stopped(hostile, answer["written"].as_str().unwrap());
        }
    }
    assert_eq!(place.outside_tree(), outside);
    assert_eq!(Env::tree(&place.env.work()), inside);
}

/// A listing neither follows links nor names what they lead to.
#[test]
fn patterns_find_nothing_outside() {
    let place = Place::new();
    for pattern in [
        "**",
        "**/*",
        "**/secret.txt",
        "links/**",
        "links/*/*",
        "*/absolute/**",
        "{links,in}/**",
        "**/dir/**",
    ] {
        let said = call(&place.env, "test:writer/raw.list", &json!({ "root": "workspace", "glob": pattern }));
        let found: Vec<&str> =
            said["result"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
        assert!(found.iter().all(|path| ["in/a.txt", "in/sub/b.txt"].contains(path)), "{pattern}: {found:?}");
    }
    for pattern in [
        "",
        "/**",
        "../**",
        "in/../../**",
        "/etc/*",
        "**/..",
        "{..,in}/**",
        "{../outside,in}/**",
        "in//*",
        "\0",
    ] {
        let said = call(&place.env, "test:writer/raw.list", &json!({ "root": "workspace", "glob": pattern }));
        let found = said["result"].as_array().cloned().unwrap_or_default();
        assert!(
            found.iter().all(|path| *path == "in/a.txt" || *path == "in/sub/b.txt"),
            "{pattern}: {said:#}"
        );
        assert!(["returned", "failed"].contains(&said["outcome"].as_str().unwrap()), "{pattern}: {said:#}");
    }
    let all = call(&place.env, "test:writer/raw.list", &json!({ "root": "workspace", "glob": "**" }));
    assert_eq!(all["result"], json!(["in/a.txt", "in/sub/b.txt"]));
}

#[test]
fn a_root_that_is_not_there_reaches_nothing() {
    let place = Place::new();
    for root in [
        "",
        ".",
        "..",
        "/",
        "workspace/..",
        "../workspace",
        "WORKSPACE",
        "outside",
        "workspace\0",
        "workspace:",
        "*",
        "/etc",
    ] {
        let answer = &look(&place.env, root, &["in/a.txt"])[0];
        for key in ["listed", "stat", "read"] {
            assert!(answer[key].as_str().unwrap().starts_with('!'), "{root:?}: {answer}");
        }
    }
}

/// The workspace is `/proc`, whose links lead to open files and other roots without naming them.
#[test]
fn magic_links_lead_nowhere() {
    let place = Place::new();
    let own = std::process::id();
    let secret = place.outside.join("secret.txt");
    let held = fs::File::open(&secret).unwrap();
    let tails = ["fd/0", "root/etc/passwd", "cwd/Cargo.toml", "exe", "task/../root/etc/passwd"];
    let mut paths: Vec<String> = tails.iter().map(|tail| format!("{own}/{tail}")).collect();
    for entry in fs::read_dir(format!("/proc/{own}/fd")).unwrap().flatten() {
        paths.push(format!("{own}/fd/{}", entry.file_name().to_str().unwrap()));
    }
    paths.push(format!("{own}/root{}", secret.display()));
    paths.extend(["self/root/etc/passwd", "self/comm", "thread-self/comm", "mounts"].map(ToOwned::to_owned));
    let look = |paths: &[String]| {
        let arguments = json!({ "root": "workspace", "paths": paths }).to_string();
        let mut command =
            place.env.command(["op", "call", "test:writer/probe.look", &arguments, "--format", "json"]);
        tests::env::finish(command.current_dir("/proc")).exits(0)
    };
    let said = look(&paths);
    assert!(!said.said().contains(CANARY));
    for (path, answer) in paths.iter().zip(said.json()["result"].as_array().unwrap()) {
        assert!(answer["read"].as_str().unwrap().starts_with('!'), "{path}: {answer}");
    }
    let name = look(&[format!("{own}/comm")]).json();
    assert!(!name["result"][0]["read"].as_str().unwrap().starts_with('!'), "a plain file of /proc is read");
    drop(held);
}

/// Two names of one file, one of them outside. It is the operator's file in the workspace, so it is
/// read; writing it gives the inner name a file of its own.
#[test]
fn writing_a_hard_link_leaves_the_other_name_alone() {
    let place = Place::new();
    let other = place.outside.join("shared.txt");
    fs::write(&other, "shared").unwrap();
    fs::hard_link(&other, place.env.work().join("hard.txt")).unwrap();
    assert_eq!(look(&place.env, "workspace", &["hard.txt"])[0]["read"], "shared");
    let arguments = json!({ "path": "hard.txt", "text": "mine" }).to_string();
    drop(place.env.run(["op", "call", "test:writer/edit.write", &arguments, "--no-prompt"]).exits(3));
    drop(place.env.run(["approve", "last"]).exits(0));
    assert_eq!(place.env.read("hard.txt").as_deref(), Some("mine"));
    assert_eq!(fs::read_to_string(other).unwrap(), "shared");
}

/// A narrower grant is kept on the path as it is written, by look-ups and patterns alike.
#[test]
fn a_scope_holds_what_the_grant_says_and_no_more() {
    let env = Env::with_home();
    install(&env, "writer", &["files-read=workspace:docs/**", "files-read=workspace:*.md"]);
    for path in [
        "docs/a.txt",
        "docs/sub/b.txt",
        "README.md",
        "src/c.txt",
        "src/d.md",
        "docs2/e.txt",
        ".config/x",
        ".config/y",
        "docs/.f",
    ] {
        env.write(path, "here");
    }
    let readable = ["docs/a.txt", "docs/sub/b.txt", "README.md"];
    let hidden = ["src/c.txt", "src/d.md", "docs2/e.txt", ".config/y", "docs/.f", "DOCS/a.txt"];
    for answer in look(&env, "workspace", &readable) {
        assert_eq!(answer["read"], "here");
    }
    for answer in look(&env, "workspace", &hidden) {
        assert!(answer["read"].as_str().unwrap().contains("denied"), "{answer}");
        assert!(answer["stat"].as_str().unwrap().contains("denied"), "{answer}");
    }
    let all = call(&env, "test:writer/raw.list", &json!({ "root": "workspace", "glob": "**" }));
    let found: Vec<&str> =
        all["result"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(
        found.iter().all(|path| readable.contains(path)) && found.contains(&"docs/sub/b.txt"),
        "{found:?}"
    );
}

/// How often it is looked whether a writer waits.
const LOOKS_MAX: usize = 200_000;

/// Opening a FIFO to read lets whoever waits to write go on, and then fails them. It is looked at
/// before it would be opened, so its writer waits through every operation.
#[test]
fn a_fifo_is_not_opened() {
    let place = Place::new();
    let fifo = place.env.work().join("special/fifo");
    let mut writer =
        Command::new("sh").args(["-c", "echo written > \"$FIFO\""]).env("FIFO", &fifo).spawn().unwrap();
    let waits_in = || fs::read_to_string(format!("/proc/{}/wchan", writer.id())).unwrap_or_default();
    let is_waiting = (0..LOOKS_MAX).any(|_| {
        std::thread::yield_now();
        waits_in() == "wait_for_partner"
    });
    if !is_waiting {
        eprintln!("SKIPPED: this kernel does not say what a process waits for, but `{}`", waits_in());
        writer.kill().unwrap();
        writer.wait().unwrap();
        return;
    }
    let paths = json!({ "root": "workspace", "paths": ["special/fifo"] });
    for answer in look(&place.env, "workspace", &["special/fifo"]) {
        assert!(answer["read"].as_str().unwrap().contains("not a regular file"), "{answer}");
    }
    let mut touch = paths.clone();
    touch["text"] = "x".into();
    call(&place.env, "test:writer/probe.touch", &touch);
    call(&place.env, "test:writer/probe.move-all", &paths);
    assert_eq!(writer.try_wait().unwrap(), None, "it waits as before");
    assert_eq!(fs::read_to_string(&fifo).unwrap(), "written\n");
    assert!(writer.wait().unwrap().success());
}
