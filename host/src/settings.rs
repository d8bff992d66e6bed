//! What the environment and the command line set: the only reader of the environment.

#![expect(clippy::disallowed_methods, reason = "this module owns the environment")]

use std::path::PathBuf;

use app::{Home, KillAt, Settings};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Names the home folder where `--home` does not.
const HOME: &str = "CAPSTAN_HOME";
/// Names a point, `label` or `label#n`, at which the process kills itself: for crash tests.
const KILL_AT: &str = "CAPSTAN_KILL_AT";
/// The compiler for guests and how to call it, where the usual one cannot be had.
const GUEST_CARGO_ARGS: &str = "CAPSTAN_GUEST_CARGO_ARGS";

/// The settings: `--home`, else `CAPSTAN_HOME`, else the platform's data folder.
pub(crate) fn load(home: Option<PathBuf>) -> Result<Settings, Failure> {
    let home = home
        .or_else(|| std::env::var_os(HOME).filter(|value| !value.is_empty()).map(PathBuf::from))
        .or_else(Home::default_path)
        .ok_or_else(|| Failure::usage("no home folder is known", &["name one with `--home <folder>`"]))?;
    let home = std::path::absolute(&home).unwrap_or(home);
    let kill_at = std::env::var(KILL_AT).ok().map(|text| KillAt::parse(&text));
    let guest_cargo_args = std::env::var(GUEST_CARGO_ARGS)
        .map(|text| text.split_whitespace().map(ToOwned::to_owned).collect())
        .unwrap_or_default();
    let home = Home::at(home);
    let environment = app::secret_variables(&home)
        .into_iter()
        .filter_map(|name| Some((name.clone(), Zeroizing::new(std::env::var(name).ok()?))))
        .collect();
    Ok(Settings { home, kill_at, guest_cargo_args, environment })
}

/// The folder that the program was started in.
pub(crate) fn current_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|error| Failure::usage(format!("the current folder cannot be used: {error}"), &[]))
}

/// The words of the command line, for what clap could not parse.
pub(crate) fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}
