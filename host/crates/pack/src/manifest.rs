//! `pack.toml`: what a pack's author declares and requests.

mod limits;

use std::collections::BTreeMap;

use authority::{ExecParts, ExecScope, ParseScopeError, Request, Scope};
use base::{Capability, Code, Effect, Limits, OperationName, PackId, Refusal, ScopeKind};
use semver::Version;
use toml::de::DeTable;

pub use crate::document::Problem;
use crate::document::{Codes, Item, Reader, refusal};
use crate::files::MANIFEST;

pub use limits::LimitsRequest;

const CODES: Codes = Codes {
    malformed: Code::ManifestMalformed,
    unknown: Code::ManifestUnknownKey,
    duplicate: Code::ManifestDuplicateKey,
};
const SECTIONS: [&str; 3] = ["pack", "operations", "capabilities"];
const PACK_KEYS: [&str; 4] = ["id", "version", "license", "description"];
const OPERATION_KEYS: [&str; 3] = ["effect", "idempotent", "limits"];
const LIMIT_KEYS: [&str; 8] =
    ["fuel", "memory", "wall", "output", "files", "file-bytes", "model-tokens", "model-cost"];
const COMMAND_KEYS: [&str; 4] = ["program", "args", "root", "env"];
const SECRET_KEYS: [&str; 4] = ["name", "as", "host", "prefix"];
/// Longest licence and description, in characters.
const PROSE_CHARS_MAX: usize = 500;

/// A manifest that parsed. Whether it tells the truth is [`crate::verify`]'s question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The pack's name, which must be its WIT package.
    pub id: PackId,
    /// The pack's version, which must be its WIT package's.
    pub version: Version,
    /// An SPDX expression.
    pub license: Option<String>,
    /// One sentence for people.
    pub description: Option<String>,
    /// Every operation by its local name, `interface.function`.
    pub operations: BTreeMap<String, Operation>,
    /// What the pack asks to reach.
    pub request: Request,
}

/// What the manifest declares of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What it may do; enforced by the host.
    pub effect: Effect,
    /// Whether doing it twice is doing it once. True unless said otherwise for `pure` and `read`.
    pub idempotent: bool,
    /// The limits it asks for.
    pub limits: LimitsRequest,
}

/// Everything that is wrong with a manifest, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<_> = self.problems.iter().map(Problem::to_string).collect();
        write!(f, "`{MANIFEST}` {}", lines.join("; "))
    }
}

impl std::error::Error for ManifestError {}

impl From<ManifestError> for Refusal {
    fn from(error: ManifestError) -> Self {
        refusal(MANIFEST, &error.problems, Code::ManifestMalformed)
    }
}

impl Manifest {
    /// Parses the text of a `pack.toml`.
    ///
    /// # Errors
    /// Every problem, each [`Code::ManifestMalformed`], [`Code::ManifestUnknownKey`],
    /// [`Code::ManifestDuplicateKey`] or [`Code::ScopeMalformed`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let (mut reader, top) = Reader::parse(text, CODES);
        let draft = read_top(&mut reader, &top);
        reader.finish().map_err(|problems| ManifestError { problems })?;
        // Each missing part added its problem, so without problems the draft is whole.
        draft.ok_or_else(|| ManifestError {
            problems: vec![Problem {
                line: 1,
                column: 1,
                code: Code::ManifestMalformed,
                message: "the manifest is incomplete".to_owned(),
                hint: None,
            }],
        })
    }
}

fn read_top(reader: &mut Reader<'_>, top: &DeTable<'_>) -> Option<Manifest> {
    let (mut pack, mut operations, mut request) = (None, None, Request::new());
    let mut listed = 0;
    for (key, item) in top {
        match key.get_ref().as_ref() {
            "pack" => {
                let table = reader.table(item, "pack");
                pack = Some(table.and_then(|table| read_pack(reader, table, item.span())));
            }
            "operations" => {
                if let Some(table) = reader.table(item, "operations") {
                    listed = table.len();
                    operations = Some(read_operations(reader, table));
                }
            }
            "capabilities" => {
                if let Some(table) = reader.table(item, "capabilities") {
                    request = read_capabilities(reader, table);
                }
            }
            _ => reader.unknown(key, "section", &SECTIONS),
        }
    }
    if pack.is_none() {
        reader.missing("the section `[pack]` is missing");
    }
    if listed == 0 {
        reader.missing("the manifest lists no operation");
    }
    let pack = pack.flatten()?;
    let operations = operations?;
    let Identity { id, version, license, description } = pack;
    Some(Manifest { id, version, license, description, operations, request })
}

struct Identity {
    id: PackId,
    version: Version,
    license: Option<String>,
    description: Option<String>,
}

fn read_pack(reader: &mut Reader<'_>, table: &DeTable<'_>, span: std::ops::Range<usize>) -> Option<Identity> {
    let (mut id, mut version, mut license, mut description) = (None, None, None, None);
    for (key, item) in table {
        match key.get_ref().as_ref() {
            "id" => id = Some(reader.parsed::<PackId>(item, "id")),
            "version" => version = Some(reader.parsed::<Version>(item, "version")),
            "license" => license = read_prose(reader, item, "license"),
            "description" => description = read_prose(reader, item, "description"),
            _ => reader.unknown(key, "key", &PACK_KEYS),
        }
    }
    for (name, absent) in [("id", id.is_none()), ("version", version.is_none())] {
        if absent {
            reader.malformed(span.clone(), format!("`[pack]` has no `{name}`"));
        }
    }
    Some(Identity { id: id.flatten()?, version: version.flatten()?, license, description })
}

fn read_prose(reader: &mut Reader<'_>, item: &Item<'_>, what: &str) -> Option<String> {
    let text = reader.string(item, what)?;
    if text.chars().count() > PROSE_CHARS_MAX || text.chars().any(char::is_control) {
        let message = format!("`{what}` must be one line of at most {PROSE_CHARS_MAX} characters");
        reader.malformed(item.span(), message);
        return None;
    }
    Some(text.to_owned())
}

fn read_operations(reader: &mut Reader<'_>, table: &DeTable<'_>) -> BTreeMap<String, Operation> {
    let mut operations = BTreeMap::new();
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        if !is_local_name(name) {
            let message =
                format!("`{}` is not an operation such as `notes.draft`", crate::text::shown(name, 80));
            reader.add(
                key.span(),
                Code::ManifestMalformed,
                message,
                Some("write the key in quotes: `[operations.\"interface.function\"]`".to_owned()),
            );
        } else if let Some(operation) = read_operation(reader, item, name) {
            operations.insert(name.to_owned(), operation);
        }
    }
    operations
}

/// Whether `name` is `interface.function`.
fn is_local_name(name: &str) -> bool {
    format!("a:b/{name}").parse::<OperationName>().is_ok_and(|parsed| parsed.local() == name)
}

fn read_operation(reader: &mut Reader<'_>, item: &Item<'_>, name: &str) -> Option<Operation> {
    let table = reader.table(item, name)?;
    let (mut effect, mut idempotent, mut limits) = (None, None, LimitsRequest::default());
    for (key, item) in table {
        match key.get_ref().as_ref() {
            "effect" => effect = Some(read_effect(reader, item)),
            "idempotent" => idempotent = reader.boolean(item, "idempotent"),
            "limits" => {
                if let Some(table) = reader.table(item, "limits") {
                    limits = read_limits(reader, table);
                }
            }
            _ => reader.unknown(key, "key", &OPERATION_KEYS),
        }
    }
    if effect.is_none() {
        reader.malformed(item.span(), format!("`{name}` has no `effect`"));
    }
    let effect = effect.flatten()?;
    Some(Operation { effect, idempotent: idempotent.unwrap_or(effect <= Effect::Read), limits })
}

fn read_effect(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Effect> {
    let text = reader.string(item, "effect")?;
    let effect = text.parse().ok();
    if effect.is_none() {
        reader.unknown_text(item.span(), text, "effect", &Effect::ALL.map(Effect::as_str));
    }
    effect
}

fn read_limits(reader: &mut Reader<'_>, table: &DeTable<'_>) -> LimitsRequest {
    let mut limits = LimitsRequest::default();
    let most = Limits::CEILING;
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        let (slot, parse, ceiling): (_, fn(&str) -> _, _) = match name {
            "fuel" => (&mut limits.fuel, base::parse_count, most.fuel),
            "memory" => (&mut limits.memory_bytes, base::parse_bytes, most.memory_bytes),
            "wall" => (&mut limits.wall_ms, base::parse_duration_ms, most.wall_ms),
            "output" => (&mut limits.output_bytes, base::parse_bytes, most.output_bytes),
            "files" => (&mut limits.files, base::parse_count, most.files),
            "file-bytes" => (&mut limits.file_bytes, base::parse_bytes, most.file_bytes),
            "model-tokens" => (&mut limits.model_tokens, base::parse_count, most.model_tokens),
            "model-cost" => (&mut limits.model_cost, base::parse_cost, most.model_cost),
            _ => {
                reader.unknown(key, "limit", &LIMIT_KEYS);
                continue;
            }
        };
        let Some(text) = reader.string(item, name) else { continue };
        match parse(text) {
            Ok(number) if (1..=ceiling).contains(&number) => *slot = Some(number),
            Ok(_) => {
                let (least, most) = match name {
                    "wall" => ("1".to_owned(), format!("{ceiling} ms")),
                    "model-cost" => (base::show_cost(1), base::show_cost(ceiling)),
                    _ => ("1".to_owned(), ceiling.to_string()),
                };
                reader.malformed(item.span(), format!("`{name}` must be between {least} and {most}"));
            }
            Err(error) => reader.malformed(item.span(), error.to_string()),
        }
    }
    limits
}

fn read_capabilities(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Request {
    let mut request = Request::new();
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        let Ok(capability) = name.parse::<Capability>() else {
            let known = Capability::ALL.into_iter().filter(|c| c.needs_grant()).map(Capability::as_str);
            reader.unknown(key, "capability", &known.collect::<Vec<_>>());
            continue;
        };
        let scopes = match capability.scope_kind() {
            Some(ScopeKind::Secret) => read_secrets(reader, item),
            Some(_) => read_scopes(reader, item, capability),
            None => read_unscoped(reader, item, name),
        };
        let Some(scopes) = scopes else { continue };
        if let Err(error) = request.insert(capability, scopes) {
            reader.malformed(item.span(), error.to_string());
        }
    }
    request
}

fn read_scopes(reader: &mut Reader<'_>, item: &Item<'_>, capability: Capability) -> Option<Vec<Scope>> {
    let name = capability.as_str();
    let mut scopes = Vec::new();
    for item in reader.list(item, name)? {
        let scope = match item.get_ref().as_table() {
            Some(table) if capability.scope_kind() == Some(ScopeKind::Command) => {
                read_command(reader, table, item.span())?
            }
            _ => Scope::parse(capability, reader.string(item, name)?),
        };
        match scope {
            Ok(scope) => scopes.push(scope),
            Err(error) => {
                reader.add(item.span(), Code::ScopeMalformed, error.to_string(), None);
                return None;
            }
        }
    }
    Some(scopes)
}

/// `{ program = "git", args = ["log", "*"] }`, with `root` and `env` where they are needed.
fn read_command(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    span: std::ops::Range<usize>,
) -> Option<Result<Scope, ParseScopeError>> {
    let (mut program, mut args, mut root, mut env) = (None, Some(Vec::new()), None, Some(Vec::new()));
    for (key, item) in table {
        match key.get_ref().as_ref() {
            "program" => program = Some(reader.string(item, "program")?),
            "root" => root = Some(reader.string(item, "root")?),
            "args" => args = read_words(reader, item, "args"),
            "env" => env = read_words(reader, item, "env"),
            _ => {
                reader.unknown(key, "key", &COMMAND_KEYS);
                return None;
            }
        }
    }
    let Some(program) = program else {
        reader.malformed(span, "a command has no `program`");
        return None;
    };
    let parts = ExecParts { root, variables: &env?, program, arguments: &args? };
    Some(ExecScope::of_parts(&parts).map(Scope::from))
}

fn read_words<'v>(reader: &mut Reader<'_>, item: &'v Item<'_>, what: &str) -> Option<Vec<&'v str>> {
    let mut words = Vec::new();
    for item in reader.list(item, what)? {
        words.push(reader.string(item, what)?);
    }
    Some(words)
}

/// `secrets = [{ name = "example-token", as = "header:authorization", host = "api.example.com" }]`.
fn read_secrets(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<Scope>> {
    let mut scopes = Vec::new();
    for item in reader.list(item, "secrets")? {
        let table = reader.table(item, "secrets")?;
        let [mut name, mut place, mut host, mut prefix] = [None; 4];
        for (key, item) in table {
            match key.get_ref().as_ref() {
                "name" => name = reader.string(item, "name"),
                "as" => place = reader.string(item, "as"),
                "host" => host = reader.string(item, "host"),
                "prefix" => prefix = reader.string(item, "prefix"),
                _ => reader.unknown(key, "key", &SECRET_KEYS),
            }
        }
        let (Some(name), Some(place), Some(host)) = (name, place, host) else {
            reader.malformed(item.span(), "a secret needs `name`, `as` and `host`");
            return None;
        };
        let prefix = prefix.map(|prefix| format!("=\"{prefix}\"")).unwrap_or_default();
        match Scope::parse(Capability::Secrets, &format!("{name}@{host}:{place}{prefix}")) {
            Ok(scope) => scopes.push(scope),
            Err(error) => {
                reader.add(item.span(), Code::ScopeMalformed, error.to_string(), None);
                return None;
            }
        }
    }
    Some(scopes)
}

fn read_unscoped(reader: &mut Reader<'_>, item: &Item<'_>, name: &str) -> Option<Vec<Scope>> {
    if item.get_ref().as_bool() == Some(true) {
        return Some(Vec::new());
    }
    reader.malformed(item.span(), format!("`{name}` has no scopes: write `{name} = true`, or leave it out"));
    None
}

#[cfg(test)]
mod tests;
