//! The operator's settings: `config.toml`.

use std::path::PathBuf;

use base::{Code, Refusal, parse_bytes, parse_duration_ms};
use engine::{CompileLimits, ExecLimits, ExecSettings};
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

# Programs that packs are granted to run: where they are looked for, and what one run may use.
# [exec]
# path = [\"/usr/local/bin\", \"/usr/bin\", \"/bin\"]
# wall = \"1m\"
# cpu = \"1m\"          # on the processor, each process
# memory = \"4GiB\"     # address space, each process
# scratch = \"64MiB\"   # its private folder
# output = \"16MiB\"    # standard output and error together
";

/// The settings.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// What compiling one component may use.
    pub(crate) compile: CompileLimits,
    /// Where programs are looked for that packs are granted to run.
    pub(crate) exec_path: Vec<PathBuf>,
    /// What one run of a program may use.
    pub(crate) exec_limits: ExecLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "mode")]
    _mode: Option<Mode>,
    #[serde(default)]
    compile: Compile,
    #[serde(default)]
    exec: Exec,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exec {
    path: Option<Vec<PathBuf>>,
    wall: Option<String>,
    cpu: Option<String>,
    memory: Option<String>,
    scratch: Option<String>,
    output: Option<String>,
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
    let default = ExecLimits::DEFAULT;
    let exec = file.exec;
    let cpu_ms = quantity(exec.cpu, parse_duration_ms, default.cpu_s.saturating_mul(1_000))?;
    let exec_limits = ExecLimits {
        wall_ms: quantity(exec.wall, parse_duration_ms, default.wall_ms)?,
        cpu_s: cpu_ms.div_ceil(1_000),
        memory_bytes: quantity(exec.memory, parse_bytes, default.memory_bytes)?,
        scratch_bytes: quantity(exec.scratch, parse_bytes, default.scratch_bytes)?,
        output_bytes: quantity(exec.output, parse_bytes, default.output_bytes)?,
        ..default
    };
    let exec_path = exec.path.unwrap_or_else(|| ExecSettings::SEARCH.map(PathBuf::from).to_vec());
    if let Some(relative) = exec_path.iter().find(|path| path.is_relative()) {
        let relative = relative.display();
        return Err(malformed(&format!("`[exec] path` has `{relative}`, which is no absolute path")));
    }
    Ok(Config { compile, exec_path, exec_limits })
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
