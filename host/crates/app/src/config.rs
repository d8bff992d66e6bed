//! The operator's settings: `config.toml`.

use base::{Code, Refusal, parse_bytes, parse_duration_ms};
use engine::CompileLimits;
use serde::Deserialize;

use crate::{Error, Home};

/// The file's name in the home.
pub(crate) const FILE: &str = "config.toml";
/// The text of a new one.
pub(crate) const NEW: &str = "\
# Capstan's settings. Trust is in trust.toml, grants are in grants.toml.
mode = \"solo\"

# What compiling one component may use, in a process of its own.
# [compile]
# memory = \"4GiB\"   # address space
# cpu = \"2m\"        # on the processor, over all threads
# wall = \"2m\"
";

/// The settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    /// What compiling one component may use.
    pub(crate) compile: CompileLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "mode")]
    _mode: Option<Mode>,
    #[serde(default)]
    compile: Compile,
}

/// Who approves. The one mode that there is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Solo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compile {
    memory: Option<String>,
    cpu: Option<String>,
    wall: Option<String>,
}

/// Reads the file; an absent one, or key, is the default.
pub(crate) fn load(home: &Home) -> Result<Config, Error> {
    let text = home.read_text(FILE)?;
    let file: File = toml::from_str(&text).map_err(|error| malformed(error.to_string().trim_end()))?;
    let default = CompileLimits::DEFAULT;
    let compile = CompileLimits {
        memory_bytes: quantity(file.compile.memory, parse_bytes, default.memory_bytes)?,
        cpu_ms: quantity(file.compile.cpu, parse_duration_ms, default.cpu_ms)?,
        wall_ms: quantity(file.compile.wall, parse_duration_ms, default.wall_ms)?,
    };
    Ok(Config { compile })
}

fn quantity(
    text: Option<String>,
    parse: fn(&str) -> Result<u64, base::ParseQuantityError>,
    default: u64,
) -> Result<u64, Error> {
    text.map_or(Ok(default), |text| parse(&text).map_err(|error| malformed(&error.to_string())))
}

fn malformed(message: &str) -> Error {
    Error::Refused(Refusal::new(Code::ConfigMalformed, format!("`{FILE}`: {message}")))
}
