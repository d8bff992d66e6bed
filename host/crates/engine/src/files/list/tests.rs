//! Listing page by page while the folders change, and in little room.

#![expect(clippy::disallowed_methods, reason = "the tests make and change folders of their own")]

use std::fs;
use std::sync::Arc;

use authority::{Ceiling, Grant, Grants, Request, Scope, Signer};
use base::{Effect, Limits, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::CancelToken;
use crate::files::{Overlay, Roots};

const ALL: &str = "workspace:**";

/// What lists a folder, everything in reach.
struct Lister {
    overlay: Overlay,
    root: RootName,
    pattern: PathScope,
    authority: Authority,
    budget: Budget,
}

impl Lister {
    fn new(folder: &TempDir) -> Self {
        let (pack, root) = ("test:lister".parse().unwrap(), "workspace".parse().unwrap());
        let mut request = Request::new();
        request
            .insert(Capability::FilesRead, vec![Scope::parse(Capability::FilesRead, ALL).unwrap()])
            .unwrap();
        let mut grants = Grants::default();
        let signer = Signer::of_fingerprint(&"the key that signed the guest");
        let grant = Grant::parse(&pack, &format!("files-read={ALL}")).unwrap();
        grants.add(grant.to_signer(signer.clone()));
        let standing = grants.in_force(&pack, &signer, Timestamp(0));
        let roots = Roots::open([(RootName::clone(&root), folder.path().to_owned())]).unwrap();
        Self {
            overlay: Overlay::new(Arc::new(roots), false),
            root,
            pattern: ALL.parse().unwrap(),
            authority: Authority::of(&request, &standing, &Ceiling::none(), Effect::Read),
            budget: Budget::new(Limits::DEFAULT, CancelToken::default()),
        }
    }

    fn page(&mut self, cursor: Option<&str>) -> Page {
        let reach = Reach { pattern: &self.pattern, authority: &self.authority, budget: &self.budget };
        self.overlay.list(&self.root, &reach, cursor).unwrap()
    }
}

fn folder_of(count: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    for number in 0..count {
        fs::write(folder.path().join(format!("f{number:06}")), "").unwrap();
    }
    folder
}

/// With the walk kept between pages, and as one that comes with the cursor alone.
#[test]
fn files_that_come_and_go_between_pages_are_listed_once_at_most() {
    for is_fresh in [false, true] {
        let folder = folder_of(3_500);
        let mut lister = Lister::new(&folder);
        let first = lister.page(None);
        assert_eq!((first.paths.len(), first.next.as_deref()), (PAGE_PATHS, Some("f000999")));
        // The cursor's own file goes, one behind it comes, and a whole folder comes and goes.
        fs::remove_file(folder.path().join("f000999")).unwrap();
        fs::remove_file(folder.path().join("f002000")).unwrap();
        for path in ["a-before", "f001500-new"] {
            fs::write(folder.path().join(path), "").unwrap();
        }
        fs::create_dir(folder.path().join("f001000-folder")).unwrap();
        let mut seen = first.paths;
        let mut cursor = first.next;
        while let Some(at) = cursor {
            if is_fresh {
                lister = Lister::new(&folder);
            }
            let page = lister.page(Some(&at));
            assert!(page.paths.len() <= PAGE_PATHS);
            seen.extend(page.paths);
            cursor = page.next;
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "in order, each once");
        let stayed = (0..3_500).filter(|number| *number != 2_000).map(|number| format!("f{number:06}"));
        let listed: std::collections::BTreeSet<&String> = seen.iter().collect();
        assert!(stayed.into_iter().all(|name| listed.contains(&name)), "what stayed is listed");
        assert_eq!(listed.contains(&"f001500-new".to_owned()), is_fresh);
        assert!(!listed.contains(&"a-before".to_owned()));
    }
}

#[test]
fn a_folder_that_vanishes_under_the_walk_is_passed_over() {
    let folder = folder_of(0);
    for dir in ["a", "b", "c"] {
        fs::create_dir(folder.path().join(dir)).unwrap();
        for number in 0..700 {
            fs::write(folder.path().join(format!("{dir}/{number:03}")), "").unwrap();
        }
    }
    let mut lister = Lister::new(&folder);
    let first = lister.page(None);
    assert_eq!(first.next.as_deref(), Some("b/299"));
    fs::remove_dir_all(folder.path().join("c")).unwrap();
    let second = lister.page(first.next.as_deref());
    assert_eq!((second.paths.len(), second.next), (400, None));
}

/// More names than a walk remembers: the folder is read again for the next ones.
#[test]
fn a_folder_of_more_names_than_are_remembered_is_listed_whole() {
    let count = REMEMBERED + 1_500;
    let folder = folder_of(count);
    fs::create_dir_all(folder.path().join("g/h")).unwrap();
    for path in ["g/1", "g/h/2", "z"] {
        fs::write(folder.path().join(path), "").unwrap();
    }
    let mut lister = Lister::new(&folder);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = lister.page(cursor.as_deref());
        seen.extend(page.paths);
        cursor = page.next;
        let remembered = lister.overlay.remembered();
        assert!(remembered <= REMEMBERED, "{remembered}");
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), count + 3);
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert_eq!(seen[count..], ["g/1", "g/h/2", "z"]);
}

/// A cursor that no listing gave is a place in the order like any other.
#[test]
fn any_text_is_a_cursor() {
    let folder = folder_of(3);
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/x"), "").unwrap();
    let all = ["d/x", "f000000", "f000001", "f000002"];
    for (cursor, from) in [
        ("", 0),
        ("a", 0),
        ("d", 0),
        ("d/", 0),
        ("d/x", 1),
        ("../x", 0),
        ("f000001/y", 3),
        ("\u{10ffff}", 4),
        ("\0", 0),
    ] {
        let page = Lister::new(&folder).page(Some(cursor));
        assert_eq!(page.paths, all[from..], "{cursor:?}");
        assert_eq!(page.next, None);
    }
}
