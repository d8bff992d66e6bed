//! `log`: lines for the report. Always live.

use crate::LogSource;
use crate::bindings::log;
use crate::guest::Guest;

impl log::Host for Guest {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.budget.enter(message.len())?;
        let source = match level {
            log::Level::Debug => LogSource::Debug,
            log::Level::Info => LogSource::Info,
            log::Level::Warn => LogSource::Warn,
            log::Level::Error => LogSource::Error,
        };
        Ok(self.captured().line(source, message)?)
    }
}
