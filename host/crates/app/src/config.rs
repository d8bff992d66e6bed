//! The operator's settings: `config.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use authority::{Ceiling, LimitCaps, LimitKind, ModelName, Scope, SecretName};
use base::{Capability, Code, Refusal, parse_bytes, parse_duration_ms};
use engine::{CompileLimits, ExecLimits, ExecSettings, ModelEndpoint};
use serde::Deserialize;

use crate::secrets::Variables;
use crate::{Error, Home};

mod model;

/// The file's name in the home.
pub(crate) const FILE: &str = "config.toml";
/// The text of a new one.
pub(crate) const NEW: &str = "\
# Capstan's settings. Trust is in trust.toml, grants are in grants.toml.
mode = \"solo\"

# Where guests run: on a thread of this process, or each pack in a confined process of its own.
# isolation = \"thread\"

# What compiling one component may use, in a process of its own.
# [compile]
# memory = \"4GiB\"   # address space
# cpu = \"4m\"        # on the processor, over all threads
# wall = \"10m\"

# Whose certificates are trusted of HTTPS servers, beside the web's authorities: PEM files, in this
# folder if their paths are relative.
# [http]
# roots = [\"corporate-ca.pem\"]

# Programs that packs are granted to run: where they are looked for, and what one run may use.
# [exec]
# path = [\"/usr/local/bin\", \"/usr/bin\", \"/bin\"]
# wall = \"1m\"
# cpu = \"1m\"          # on the processor, each process
# memory = \"4GiB\"     # address space, each process
# scratch = \"64MiB\"   # its private folder
# output = \"16MiB\"    # standard output and error together

# What no grant can give more than. With this table, a capability that is not in it is forbidden.
# `true` allows all of one; `limits` are upper bounds for every call.
# [ceiling]
# files-read = [\"workspace:**\"]
# clock = true
# limits = { fuel = \"2G\", wall = \"10s\", memory = \"64MiB\" }

# Language models, each by the name that packs ask for it and grants give it, in the form of chat
# completions. Prices are for a million tokens, in one unit for all models.
# [model.default]
# url = \"https://models.example.com/v1\"
# model = \"small-1\"         # what the server calls it
# input-price = \"0.15\"
# output-price = \"0.60\"
# key = \"example-token\"     # a secret, sent as a bearer token
# network = \"127.0.0.0/8\"   # for one that is in no public network; only then with http://
# json = \"schema\"           # how it is asked for JSON: by the schema, as any object, or by nothing
# limit = \"max_tokens\"      # what it calls the most tokens of an answer
";

/// The settings.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where guests run.
    pub(crate) isolation: Isolation,
    /// What compiling one component may use.
    pub(crate) compile: CompileLimits,
    /// The operator's authorities for TLS: PEM files, below the home if relative.
    pub(crate) http_roots: Vec<PathBuf>,
    /// Where programs are looked for that packs are granted to run.
    pub(crate) exec_path: Vec<PathBuf>,
    /// What one run of a program may use.
    pub(crate) exec_limits: ExecLimits,
    /// What no grant can give more than.
    pub(crate) ceiling: Ceiling,
    /// The secrets whose values are in the environment, with the variables that hold them.
    pub(crate) secrets: Variables,
    /// The models that packs can be granted.
    pub(crate) models: BTreeMap<ModelName, Arc<ModelEndpoint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "mode")]
    _mode: Option<Mode>,
    #[serde(default)]
    isolation: Isolation,
    #[serde(default)]
    compile: Compile,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    exec: Exec,
    ceiling: Option<BTreeMap<String, Allowed>>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    model: BTreeMap<String, model::Entry>,
}

/// A line of the ceiling: of a capability, or its limits.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Allowed {
    All(bool),
    Scopes(Vec<String>),
    Limits(BTreeMap<String, String>),
}

/// Where guests run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// On threads of this process.
    #[default]
    Thread,
    /// In confined worker processes.
    Process,
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
struct Http {
    #[serde(default)]
    roots: Vec<PathBuf>,
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
    let ceiling = file.ceiling.map(ceiling).transpose()?.unwrap_or_default();
    let secrets = file.secrets.iter().map(|(name, place)| variable(name, place));
    let secrets = secrets.collect::<Result<_, _>>()?;
    let models = file.model.into_iter().map(|(name, entry)| model::read(&name, entry));
    let models = models.collect::<Result<_, _>>()?;
    let (isolation, http_roots) = (file.isolation, file.http.roots);
    Ok(Config { isolation, compile, http_roots, exec_path, exec_limits, ceiling, secrets, models })
}

/// The ceiling: an allow-list, so that a line which says nothing is a mistake.
fn ceiling(lines: BTreeMap<String, Allowed>) -> Result<Ceiling, Error> {
    let mut ceiling = Ceiling::closed();
    for (name, allowed) in lines {
        let wrong = |message: &str| malformed(&format!("`ceiling.{name}`: {message}"));
        if let ("limits", Allowed::Limits(limits)) = (name.as_str(), &allowed) {
            ceiling.lower(&bounds(limits).map_err(|message| wrong(&message))?);
            continue;
        }
        let capability: Capability =
            name.parse().map_err(|_| wrong("it is neither a capability nor `limits`"))?;
        let scopes = match allowed {
            Allowed::All(true) => None,
            Allowed::Scopes(texts) if capability.has_scope() => {
                let scopes = texts.iter().map(|text| Scope::parse(capability, text));
                Some(scopes.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error.to_string()))?)
            }
            Allowed::All(false) => return Err(wrong("what is not in the list is forbidden: leave it out")),
            Allowed::Scopes(_) => return Err(wrong("it has no scopes: write `true`")),
            Allowed::Limits(_) => return Err(wrong("expected `true` or a list of scopes")),
        };
        ceiling.allow(capability, scopes).map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(ceiling)
}

/// A secret that is in the environment: `name = "env:VARIABLE"`.
fn variable(name: &str, place: &str) -> Result<(SecretName, String), Error> {
    let wrong = |message: &str| malformed(&format!("`secrets.{name}`: {message}"));
    let parsed: SecretName =
        name.parse().map_err(|error: authority::ParseSecretNameError| wrong(&error.to_string()))?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let variable = place.strip_prefix("env:").filter(|name| !name.is_empty() && name.chars().all(good));
    let variable = variable.ok_or_else(|| wrong("expected `env:` and the name of a variable"))?;
    Ok((parsed, variable.to_owned()))
}

fn bounds(limits: &BTreeMap<String, String>) -> Result<LimitCaps, String> {
    let mut bounds = LimitCaps::new();
    for (name, amount) in limits {
        let kind: LimitKind = name.parse()?;
        bounds.lower(kind, kind.parse_amount(amount).map_err(|error| error.to_string())?);
    }
    Ok(bounds)
}

fn quantity(
    text: Option<String>,
    parse: fn(&str) -> Result<u64, base::ParseQuantityError>,
    default: u64,
) -> Result<u64, Error> {
    text.map_or(Ok(default), |text| parse(&text).map_err(|error| malformed(&error.to_string())))
}

/// That the file, or one that it names, is not what it should be.
pub(crate) fn malformed(message: &str) -> Error {
    Error::Refused(Refusal::new(Code::ConfigMalformed, format!("`{FILE}`: {message}")))
}
