//! The lexical rules for paths.

use authority::{PATH_BYTES_MAX, PathError, check_path};
use proptest::prelude::*;

#[test]
fn rules_hold_on_both_sides() {
    for good in [
        "a",
        "a/b",
        ".git/config",
        "...",
        "a..b",
        "-",
        " ",
        "a b/ c ",
        "a\\..\\b",
        "C:/x",
        "~",
        "a\nb",
        "é/😀",
        "*",
        "[x]{y}?",
    ] {
        assert_eq!(check_path(good), Ok(()), "{good:?}");
    }
    let bad = [
        ("", PathError::Empty),
        ("/", PathError::Absolute),
        ("/etc/passwd", PathError::Absolute),
        ("//a", PathError::Absolute),
        ("a//b", PathError::EmptySegment),
        ("a/", PathError::EmptySegment),
        (".", PathError::DotSegment),
        ("./a", PathError::DotSegment),
        ("a/.", PathError::DotSegment),
        ("..", PathError::DotSegment),
        ("a/../b", PathError::DotSegment),
        ("../a", PathError::DotSegment),
        ("a\0b", PathError::Nul),
        ("\0", PathError::Nul),
    ];
    for (path, error) in bad {
        assert_eq!(check_path(path), Err(error), "{path:?}");
    }
    assert_eq!(check_path(&"a".repeat(PATH_BYTES_MAX)), Ok(()));
    assert_eq!(check_path(&"a".repeat(PATH_BYTES_MAX + 1)), Err(PathError::TooLong));
}

proptest! {
    #[test]
    fn no_accepted_path_leaves_its_root(path in "[a./\\\\\0]{0,12}") {
        if check_path(&path).is_ok() {
            // As the standard library reads it: normal components only, and nothing folded away.
            let components: Vec<_> = std::path::Path::new(&path).components().collect();
            prop_assert!(components.iter().all(|part| matches!(part, std::path::Component::Normal(_))));
            prop_assert_eq!(components.len(), path.split('/').count());
        }
    }
}
