//! Every copy of the host's WIT in this repository is equal to the original in `wit/`.

#![expect(clippy::disallowed_methods, reason = "the test compares files of the repository")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_copy_equals_the_original() {
    let contents = |folder: &Path| -> BTreeMap<PathBuf, String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| (path.file_name().unwrap().into(), fs::read_to_string(&path).unwrap())).collect()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let projects = [
        "sdk/template",
        "packs/files",
        "packs/http",
        "packs/text",
        "tests/guests/limits",
        "tests/guests/writer",
        "tests/guests/liar",
    ];
    for package in ["host", "pack"] {
        let original = root.join("wit").join(package);
        let copies = projects
            .map(|project| root.join(project).join("wit/deps").join(format!("capstan-{package}")))
            .into_iter()
            .chain([root.join("sdk/wit").join(package)]);
        for copy in copies {
            assert!(
                contents(&copy) == contents(&original),
                "{1} differs from the original: `rm -r {1} && cp -r {0} {1}`",
                original.display(),
                copy.display()
            );
        }
    }
}
