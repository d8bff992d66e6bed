//! "Did you mean": the known name nearest to one that is not known.

/// Longest name that is compared, in bytes: the comparison costs the product of both lengths.
const NAME_BYTES_MAX: usize = 64;

/// Most candidates that are compared.
const CANDIDATES_MAX: usize = 256;

/// The candidate that `name` most likely meant, if one is near enough: at most one edit for each
/// three characters, and at least one. The first of equals wins.
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let edits_max = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["path", "text", "max-depth"];
        assert_eq!(closest("paht", known), Some("path"));
        assert_eq!(closest("max_depth", known), Some("max-depth"));
        assert_eq!(closest("contents", known), None);
        assert_eq!(closest("", known), None);
        assert_eq!(closest(&"p".repeat(65), ["p".repeat(65).as_str()]), None);
    }
}
