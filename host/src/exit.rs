//! The exit codes, which are part of the interface.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, rejected, cancelled, or a health check has findings.
    Failed,
    /// 2: the input is malformed or ill-typed.
    Malformed,
    /// 3: a person has to decide before it goes on.
    Waiting,
    /// 4: refused by trust, grant or policy.
    Refused,
    /// 70: the program broke one of its own rules.
    Bug,
    /// 130: interrupted; the run can be resumed.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Malformed => 2,
            Exit::Waiting => 3,
            Exit::Refused => 4,
            Exit::Bug => 70,
            Exit::Interrupted => 130,
        })
    }
}
