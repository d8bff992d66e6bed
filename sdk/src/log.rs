//! Lines for the run's record. Needs no capability; more than the call's limit ends the call.

use std::fmt::Display;

use crate::host::log::{Level, log};

/// For the pack's author.
pub fn debug(message: impl Display) {
    log(Level::Debug, &message.to_string());
}

/// Progress.
pub fn info(message: impl Display) {
    log(Level::Info, &message.to_string());
}

/// Something was worked around.
pub fn warn(message: impl Display) {
    log(Level::Warn, &message.to_string());
}

/// Something failed.
pub fn error(message: impl Display) {
    log(Level::Error, &message.to_string());
}
