//! The same where guests are in processes of their own: a call that was held, and the tape up to it,
//! mean the same there.

use tests::run_isolated;

#[test]
fn what_was_held_is_made_once_in_a_process_too() {
    run_isolated("process", &["external::", "held::"]);
}
