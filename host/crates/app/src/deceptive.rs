//! Characters that a screen obeys or hides, so that a text with them reads otherwise than it is.

/// Whether `c` is a control character (newline and tab too), is not visible, or moves what is.
///
/// The table holds Unicode's `Default_Ignorable_Code_Point` (DerivedCoreProperties, version 17) and
/// what is as invisible without that property: line and paragraph separators, the blank Braille
/// pattern, interlinear annotation, the format controls of hieroglyphs, and private use, which
/// looks like whatever the font says.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    let is_ignorable = matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
        | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F
        | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFF8 | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
        | 0xE0000..=0xE0FFF);
    let is_as_invisible = matches!(u32::from(c),
        0x2028 | 0x2029 | 0x2800 | 0xFFF9..=0xFFFB | 0x13430..=0x1343F
        | 0xE000..=0xF8FF | 0xF0000..=0x10FFFF);
    c.is_control() || is_ignorable || is_as_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ends_where_unicode_says() {
        let ranges = [
            (0xAD, 0xAD),
            (0x34F, 0x34F),
            (0x61C, 0x61C),
            (0x115F, 0x1160),
            (0x17B4, 0x17B5),
            (0x180B, 0x180F),
            (0x200B, 0x200F),
            (0x2028, 0x202E),
            (0x2060, 0x206F),
            (0x2800, 0x2800),
            (0x3164, 0x3164),
            (0xE000, 0xF8FF),
            (0xFE00, 0xFE0F),
            (0xFEFF, 0xFEFF),
            (0xFFA0, 0xFFA0),
            (0xFFF0, 0xFFFB),
            (0x13430, 0x1343F),
            (0x1BCA0, 0x1BCA3),
            (0x1D173, 0x1D17A),
            (0xE0000, 0xE0FFF),
            (0xF0000, 0x10FFFF),
        ];
        let is = |code: u32| char::from_u32(code).is_some_and(is_deceptive);
        for (first, last) in ranges {
            assert!((first..=last).all(is), "{first:x}..={last:x}");
            assert!(!is(first - 1) && !is(last + 1), "beside {first:x}..={last:x}");
        }
        for c in "aé漢 👩\u{301}\u{a0}".chars() {
            assert!(!is_deceptive(c), "{c:?}");
        }
        assert!(['\0', '\n', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}'].into_iter().all(is_deceptive));
    }
}
