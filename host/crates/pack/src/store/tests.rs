//! The store: transactions that survive a crash, and bytes that are verified again.

#![expect(clippy::disallowed_methods, reason = "the test makes and damages folders of its own")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use base::NoProbe;
use tempfile::TempDir;

use super::*;
use crate::files::{MANIFEST, README};
use crate::fixture::{self, Crash, MANIFEST_TEXT, files_with, key, trust};

const NOW: Timestamp = Timestamp(1_000);

fn id() -> PackId {
    "acme:notes".parse().unwrap()
}

fn trusted() -> TrustStore {
    trust("acme", &key(1))
}

fn store(home: &TempDir) -> Store {
    Store::open(home.path(), Arc::new(NoProbe)).unwrap()
}

/// A pack whose README is `text`, signed with the sequence after `previous`.
fn pack(text: &str, previous: u32) -> VerifiedPack {
    verify(fixture::signed_after(files_with(&[(README, text.as_bytes())]), previous), &trusted()).unwrap()
}

fn blobs(home: &TempDir) -> BTreeSet<String> {
    fs::read_dir(home.path().join("store/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn named(pack: &VerifiedPack) -> BTreeSet<String> {
    pack.files().iter().map(|(_, bytes)| Digest::of(bytes).hex()).collect()
}

#[test]
fn an_installed_pack_is_listed_and_loads() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.load(&id(), &trusted()).unwrap_err().code, Code::PackUnknown);
    let pack = pack("one", 1);
    let installed = store.install(&pack, NOW).unwrap();
    assert!(!installed.unchanged);
    assert_eq!(store.load(&id(), &trusted()).unwrap(), pack);
    let receipts = store.list().unwrap();
    assert_eq!(receipts, [installed.receipt]);
    assert_eq!((receipts[0].sequence, receipts[0].installed_at), (2, NOW));
    assert_eq!(receipts[0].signer, key(1).public().unwrap().fingerprint());
    assert_eq!(receipts[0].files.len(), 6);
    assert_eq!(blobs(&home), named(&pack));
}

#[test]
fn the_same_statement_again_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let pack = pack("one", 1);
    let first = store.install(&pack, NOW).unwrap();
    let again = store.install(&pack, Timestamp(2_000)).unwrap();
    assert_eq!(again, Installed { receipt: first.receipt, unchanged: true });
}

#[test]
fn a_new_version_replaces_the_old_one_and_its_bytes() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    store.install(&pack("one", 1), NOW).unwrap();
    let two = pack("two", 2);
    store.install(&two, NOW).unwrap();
    assert_eq!(store.load(&id(), &trusted()).unwrap(), two);
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(blobs(&home), named(&two));
}

#[test]
fn never_back_and_never_sideways() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let two = pack("two", 2);
    store.install(&two, NOW).unwrap();
    let refused = |pack: &VerifiedPack| store.install(pack, NOW).unwrap_err().code;
    assert_eq!(refused(&pack("one", 1)), Code::Rollback);
    assert_eq!(refused(&pack("other", 2)), Code::Equivocation);
    assert_eq!(store.load(&id(), &trusted()).unwrap(), two);
    assert_eq!(blobs(&home), named(&two), "a refused pack leaves nothing");

    store.uninstall(&id()).unwrap();
    assert_eq!(blobs(&home), BTreeSet::new());
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.load(&id(), &trusted()).unwrap_err().code, Code::PackUnknown);
    assert_eq!(store.uninstall(&id()).unwrap_err().code, Code::PackUnknown);
    assert_eq!(store.floor(&id()).unwrap(), Some((3, two.statement_digest())));
    assert_eq!(refused(&pack("one", 1)), Code::Rollback, "also after it was uninstalled");
    assert_eq!(refused(&pack("other", 2)), Code::Equivocation);
    assert_eq!(blobs(&home), BTreeSet::new());
    assert!(!store.install(&two, NOW).unwrap().unchanged);
    store.install(&pack("three", 3), NOW).unwrap();
}

#[test]
fn damaged_bytes_are_refused_at_load_and_repaired_by_installing() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let pack = pack("one", 1);
    store.install(&pack, NOW).unwrap();
    for name in named(&pack) {
        let blob = home.path().join("store/sha256").join(&name);
        let good = fs::read(&blob).unwrap();
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        let long = [good.as_slice(), &vec![0; 5 << 20]].concat();
        for bad in [Some(flipped), Some(Vec::new()), Some(long), None] {
            fs::remove_file(&blob).unwrap();
            if let Some(bytes) = bad {
                fs::write(&blob, bytes).unwrap();
            }
            assert_eq!(store.load(&id(), &trusted()).unwrap_err().code, Code::StoreDamaged);
            assert!(store.install(&pack, NOW).unwrap().unchanged);
            assert_eq!(store.load(&id(), &trusted()).unwrap(), pack);
        }
    }
}

#[test]
fn a_damaged_receipt_is_told_and_forgets_no_sequence() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    store.install(&pack("two", 2), NOW).unwrap();
    let path = home.path().join("packs/acme/notes/receipt.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in [
        String::new(),
        good.replace("acme:notes", "acme:other"),
        good.replace("receipt/v1", "receipt/v2"),
        good.replace("\"sequence\"", "\"sequence\": 1,\n  \"sequence\""),
        good.replace("\"sequence\"", "\"extra\": 1,\n  \"sequence\""),
        " ".repeat(2 << 20),
    ] {
        fs::write(&path, bad).unwrap();
        let codes = [
            store.load(&id(), &trusted()).unwrap_err().code,
            store.install(&pack("one", 1), NOW).unwrap_err().code,
            store.uninstall(&id()).unwrap_err().code,
            store.list().unwrap_err().code,
        ];
        assert_eq!(codes, [Code::StoreDamaged; 4]);
    }
    fs::write(&path, &good).unwrap();
    assert!(store.load(&id(), &trusted()).is_ok());
    // A receipt that parses and names another statement is found out by the signature.
    let digest = pack("two", 2).statement_digest().to_string();
    fs::write(&path, good.replace(&digest, &Digest::of(b"other").to_string())).unwrap();
    assert_eq!(store.load(&id(), &trusted()).unwrap_err().code, Code::StoreDamaged);
}

#[test]
fn every_load_asks_for_trust_again() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    store.install(&pack("one", 1), NOW).unwrap();
    assert!(store.load(&id(), &trusted()).is_ok());
    assert_eq!(store.load(&id(), &TrustStore::new()).unwrap_err().code, Code::SigUntrusted);
    assert_eq!(store.load(&id(), &trust("other", &key(1))).unwrap_err().code, Code::PublisherMismatch);
}

#[test]
fn growth_of_what_is_asked_for_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let asking = |lines: &str, previous| {
        let text = MANIFEST_TEXT.replace("files-read = [\"workspace:**\"]", lines);
        let files = files_with(&[(MANIFEST, text.as_bytes())]);
        verify(fixture::signed_after(files, previous), &trusted()).unwrap()
    };
    let one = asking("files-read = [\"workspace:a/**\"]\nclock = true", 1);
    let diff = store.capability_diff(&one).unwrap();
    assert_eq!((diff.previous, &diff.added, diff.removed.is_empty()), (None, &one.manifest().request, true));
    store.install(&one, NOW).unwrap();
    assert!(store.capability_diff(&one).unwrap().added.is_empty());

    let two = asking("files-read = [\"workspace:a/**\", \"workspace:b/**\"]\nrandom = true", 2);
    let diff = store.capability_diff(&two).unwrap();
    let show = |request: &Request| {
        request
            .iter()
            .map(|(c, s)| format!("{c}{s:?}", s = s.iter().map(ToString::to_string).collect::<Vec<_>>()))
            .collect::<Vec<_>>()
    };
    assert_eq!(show(&diff.added), ["files-read[\"workspace:b/**\"]", "random[]"]);
    assert_eq!(show(&diff.removed), ["clock[]"]);
    assert_eq!(diff.previous, Some(semver::Version::new(1, 4, 2)));
}

#[test]
fn a_crash_anywhere_leaves_the_state_before_or_after() {
    let (old, new) = (pack("one", 1), pack("two", 2));
    let mut hit = BTreeSet::new();
    for label in LABELS {
        for nth in 1..=6 {
            let home = tempfile::tempdir().unwrap();
            store(&home).install(&old, NOW).unwrap();
            let crash = Arc::new(Crash { label, nth, seen: Mutex::default() });
            let crashing = Store::open(home.path(), crash.clone()).unwrap();
            let crashed = catch_unwind(AssertUnwindSafe(|| crashing.install(&new, NOW))).is_err();
            if crashed {
                hit.insert(*label);
            }
            let committed =
                crash.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains(&AFTER_RECEIPT);
            let expected = if committed { &new } else { &old };
            let after = store(&home);
            assert_eq!(&after.load(&id(), &trusted()).unwrap(), expected, "{label}, {nth}");
            assert_eq!(after.list().unwrap().len(), 1);

            // The next one finishes the work and cleans up.
            after.install(&new, NOW).unwrap();
            assert_eq!(after.load(&id(), &trusted()).unwrap(), new);
            after.uninstall(&id()).unwrap();
            assert_eq!(blobs(&home), BTreeSet::new(), "{label}, {nth}");
        }
    }
    assert_eq!(hit, LABELS.iter().copied().collect(), "every label is reached");
}

#[test]
fn a_crash_in_the_first_installation_shows_nothing() {
    let pack = pack("one", 1);
    for label in [BEFORE_BLOBS, AFTER_BLOB, BEFORE_RECEIPT] {
        let home = tempfile::tempdir().unwrap();
        let crash = Arc::new(Crash { label, nth: 1, seen: Mutex::default() });
        let crashing = Store::open(home.path(), crash).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| crashing.install(&pack, NOW))).is_err());
        let after = store(&home);
        assert_eq!(after.list().unwrap(), []);
        assert_eq!(after.load(&id(), &trusted()).unwrap_err().code, Code::PackUnknown);
        assert_eq!(after.floor(&id()).unwrap(), None);
        after.install(&pack, NOW).unwrap();
        assert_eq!(blobs(&home), named(&pack));
    }
}

#[test]
fn half_written_files_are_replaced_and_swept() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let pack = pack("one", 1);
    let digest = Digest::of(pack.component()).hex();
    let folder = home.path().join("store/sha256");
    fs::write(folder.join(format!(".incoming-{digest}")), b"half").unwrap();
    fs::write(folder.join(".incoming-other"), b"half").unwrap();
    fs::create_dir_all(home.path().join("packs/acme/notes")).unwrap();
    fs::write(home.path().join("packs/acme/notes/.incoming-receipt.json"), b"half").unwrap();
    store.install(&pack, NOW).unwrap();
    assert_eq!(store.load(&id(), &trusted()).unwrap(), pack);
    assert_eq!(blobs(&home), named(&pack));
}

#[test]
fn two_installations_at_once_are_one_after_the_other() {
    let home = tempfile::tempdir().unwrap();
    let packs: Vec<_> = (1..9).map(|n| pack(&n.to_string(), n)).collect();
    store(&home).install(&packs[0], NOW).unwrap();
    std::thread::scope(|scope| {
        for pack in &packs {
            scope.spawn(|| match store(&home).install(pack, NOW) {
                Ok(_) => {}
                Err(refusal) => assert_eq!(refusal.code, Code::Rollback),
            });
            scope.spawn(|| assert!(store(&home).load(&id(), &trusted()).is_ok()));
        }
    });
    assert_eq!(store(&home).load(&id(), &trusted()).unwrap(), packs[7]);
    assert_eq!(blobs(&home), named(&packs[7]));
}

#[test]
fn nobody_reads_while_the_store_changes() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    store.install(&pack("one", 1), NOW).unwrap();
    let (loaded, news) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let change = disk::lock_exclusive(&store.lock).unwrap();
        scope.spawn(|| loaded.send(store.load(&id(), &trusted()).is_ok()).unwrap());
        // Nothing can come, however long one waits; a load that did not wait takes a tenth of this.
        let early = news.recv_timeout(std::time::Duration::from_millis(500));
        assert_eq!(early, Err(std::sync::mpsc::RecvTimeoutError::Timeout));
        drop(change);
        assert_eq!(news.recv(), Ok(true));
    });
}

#[test]
fn a_receipt_is_replaced_whole() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    store.install(&pack("one", 1), NOW).unwrap();
    let path = home.path().join("packs/acme/notes/receipt.json");
    let before = fs::read(&path).unwrap();
    let open = fs::File::open(&path).unwrap();
    store.install(&pack("two", 2), NOW).unwrap();
    assert_ne!(fs::read(&path).unwrap(), before);
    // Whoever reads the old one at that moment reads all of it: nothing was written into it.
    assert_eq!(crate::files::read_bounded(open, 1 << 20).unwrap(), Some(before));
}

#[test]
fn where_nothing_can_be_written_the_error_is_clear() {
    let home = tempfile::tempdir().unwrap();
    let pack = pack("one", 1);
    // A file in the place of a folder stops root too, as a read-only home stops others.
    fs::write(home.path().join("packs"), b"").unwrap();
    let refused = Store::open(home.path(), Arc::new(NoProbe)).map(|_| ()).unwrap_err();
    assert_eq!(refused.code, Code::FileIo);
    assert!(refused.message.contains("packs"), "{refused}");
    fs::remove_file(home.path().join("packs")).unwrap();

    let store = store(&home);
    fs::write(home.path().join("packs/acme"), b"").unwrap();
    assert_eq!(store.install(&pack, NOW).unwrap_err().code, Code::FileIo);
    assert_eq!(store.list().unwrap(), []);
    fs::remove_file(home.path().join("packs/acme")).unwrap();
    assert!(store.install(&pack, NOW).is_ok());
}
