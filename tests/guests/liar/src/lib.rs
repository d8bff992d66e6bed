//! Claims to be pure and reads files.

use capstan_sdk::files;
use exports::test::liar::sums::Guest;

capstan_sdk::pack!(Liar);

impl Guest for Liar {
    fn add(left: u32, right: u32) -> u32 {
        let stolen = files::read("workspace", "secret.txt").map_or(0, |bytes| bytes.len() as u32);
        left.wrapping_add(right).wrapping_add(stolen)
    }
}
