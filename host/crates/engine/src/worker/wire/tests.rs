//! Whatever bytes come, they are a message or they are not.

use proptest::prelude::*;

use super::*;
use crate::Trap;

fn asked() -> Said {
    let meter = crate::budget::Budget::new(Limits::DEFAULT, crate::CancelToken::default()).meter(3);
    let (root, path) = ("workspace".to_owned(), "a".to_owned());
    Said::Ask(meter, HostCall::FilesWrite { root, path, contents: Bytes(vec![7; 300]) })
}

fn body(message: &impl Serialize) -> Vec<u8> {
    frame(message).unwrap().split_off(HEAD_BYTES)
}

#[test]
fn a_message_is_read_back_and_no_part_of_it_is_one() {
    let bytes = body(&asked());
    let Said::Ask(_, HostCall::FilesWrite { contents, .. }) = decode(&bytes).unwrap() else { panic!() };
    assert_eq!(contents, Bytes(vec![7; 300]));
    for cut in 0..bytes.len() {
        assert!(decode::<Said>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(decode::<Said>(&[&*bytes, &[0]].concat()).is_err(), "something behind it");
    let end = End::Trapped(Trap::Fuel.as_str().to_owned());
    assert!(matches!(decode(&body(&end)).unwrap(), End::Trapped(name) if name == "fuel"));
}

#[test]
fn so_many_strings_and_no_more() {
    let strings = |count| decode::<Vec<String>>(&body(&vec![String::new(); count]));
    assert_eq!(strings(STRINGS_MAX).unwrap().len(), STRINGS_MAX);
    assert_eq!(strings(STRINGS_MAX + 1), Err(Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(decode::<Said>(&bytes));
        drop(decode::<Told>(&bytes));
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(at in 0_usize..300, byte in any::<u8>()) {
        let mut bytes = body(&asked());
        let at = at % bytes.len();
        bytes[at] = byte;
        drop(decode::<Said>(&bytes));
    }
}
