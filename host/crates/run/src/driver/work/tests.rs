//! Targets of two items of one step.

use super::*;

#[test]
fn a_target_overlaps_with_what_it_is_in_and_with_what_is_in_it() {
    let target = |path: &str| ("workspace".parse::<RootName>().unwrap(), path.to_owned());
    let taken: StagedTargets = ["a/b", "c/d/e", "f"].map(target).into();
    for path in ["a/b", "a/b/c", "a/b/c/d", "c", "c/d", "f", "f/x"] {
        assert!(overlaps(&taken, &target(path)), "{path}");
    }
    for path in ["a/bc", "a/b-c", "a/c", "c2", "c/d2", "c/e", "e", "ff", "g/f"] {
        assert!(!overlaps(&taken, &target(path)), "{path}");
    }
    let elsewhere = ("elsewhere".parse().unwrap(), "a/b/c".to_owned());
    assert!(!overlaps(&taken, &elsewhere));
}
