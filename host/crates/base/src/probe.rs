//! Named points in the code where a test may stop the process.

/// Told each time a labelled point is reached: before and after every commit and every step of
/// an apply. The program's own does nothing, or kills the process at the point that a crash test
/// names; either way it decides nothing.
pub trait Probe: Send + Sync {
    /// The point `label` was reached.
    fn reach(&self, label: &'static str);
}

/// Ignores every point.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn reach(&self, _label: &'static str) {}
}
