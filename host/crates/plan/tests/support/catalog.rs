//! A fixed catalog: `capstan:files`, `capstan:text`, and `acme:shapes`, whose operations take every
//! kind of type.

use base::{Capability, Digest, Effect, Limits, OperationName, PackId};
use plan::{Catalog, CatalogOperation, CatalogPack, MissingGrant};
use values::{Case, Field, FunctionType, Type};

/// The catalog of the tests. `files-write` is granted to `capstan:files` only if `write_granted`.
pub(crate) struct FakeCatalog {
    pub(crate) write_granted: bool,
}

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.to_owned(), ty }
}

fn list(item: Type) -> Type {
    Type::List(Box::new(item))
}

fn option(inner: Type) -> Type {
    Type::Option(Box::new(inner))
}

fn case(name: &str, payload: Option<Type>) -> Case {
    Case { name: name.to_owned(), payload }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn file() -> Type {
    Type::Record(vec![field("path", Type::String), field("text", Type::String)])
}

fn head() -> Type {
    Type::Record(vec![field("path", Type::String), field("summary", option(Type::String))])
}

fn fallible(ok: Option<Type>) -> Option<Type> {
    let error = Type::Variant(vec![case("denied", Some(Type::String)), case("not-found", None)]);
    Some(Type::Result { ok: ok.map(Box::new), err: Some(Box::new(error)) })
}

fn files() -> Vec<(&'static str, Effect, FunctionType)> {
    let root = || field("root", option(Type::String));
    let path = || field("path", Type::String);
    let text = || field("text", Type::String);
    let found = Type::Record(vec![
        field("path", Type::String),
        field("line", Type::U32),
        field("text", Type::String),
    ]);
    let written = Type::Record(vec![field("path", Type::String), field("bytes", Type::U64)]);
    let metadata = Type::Record(vec![
        field("kind", Type::Enum(names(&["file", "directory"]))),
        field("size", Type::U64),
    ]);
    let function = |params, ok| FunctionType { params, result: fallible(ok) };
    vec![
        (
            "tree.list",
            Effect::Read,
            function(vec![root(), field("glob", Type::String)], Some(list(Type::String))),
        ),
        ("tree.stat", Effect::Read, function(vec![root(), path()], Some(metadata))),
        ("tree.read", Effect::Read, function(vec![root(), path()], Some(file()))),
        (
            "tree.search",
            Effect::Read,
            FunctionType {
                params: vec![root(), field("glob", Type::String), field("pattern", Type::String)],
                result: Some(list(found)),
            },
        ),
        ("tree.write", Effect::Write, function(vec![root(), path(), text()], Some(written.clone()))),
        ("tree.remove", Effect::Write, function(vec![root(), path()], None)),
        ("tree.append", Effect::Write, function(vec![root(), path(), text()], Some(written))),
    ]
}

fn text() -> Vec<(&'static str, Effect, FunctionType)> {
    let function = |params, result| FunctionType { params, result: Some(result) };
    let heads = || function(vec![field("file", file())], head());
    let note = Type::Record(vec![
        field("path", Type::String),
        field("line", Type::U32),
        field("owner", option(Type::String)),
        field("text", Type::String),
    ]);
    let counts =
        Type::Record(vec![field("lines", Type::U64), field("words", Type::U64), field("bytes", Type::U64)]);
    let titled = vec![field("heads", list(head())), field("title", option(Type::String))];
    let diff = vec![field("path", Type::String), field("before", Type::String), field("after", Type::String)];
    vec![
        ("rust.head", Effect::Pure, heads()),
        ("python.head", Effect::Pure, heads()),
        ("javascript.head", Effect::Pure, heads()),
        ("markdown.head", Effect::Pure, heads()),
        ("report.codemap", Effect::Pure, function(titled, Type::String)),
        ("diff.unified", Effect::Pure, function(diff, Type::String)),
        ("words.count", Effect::Pure, function(vec![field("text", Type::String)], counts)),
        ("notes.find", Effect::Pure, function(vec![field("file", file())], list(note))),
    ]
}

fn shapes() -> Vec<(&'static str, Effect, FunctionType)> {
    let shape = Type::Variant(vec![
        case("circle", Some(Type::Record(vec![field("radius", Type::F64)]))),
        case("line", Some(Type::Tuple(vec![Type::S32, Type::S32]))),
        case("empty", None),
    ]);
    let style = Type::Record(vec![
        field("colour", Type::Enum(names(&["red", "green", "blue"]))),
        field("edges", Type::Flags(names(&["thick", "dotted"]))),
        field("label", option(Type::Char)),
        field("data", option(list(Type::U8))),
        field("outcome", Type::Result { ok: Some(Box::new(Type::U8)), err: Some(Box::new(Type::String)) }),
    ]);
    let params = vec![field("shapes", list(shape.clone())), field("style", style)];
    let numbers = vec![field("small", Type::U8), field("wide", Type::U64), field("real", option(Type::F32))];
    vec![
        ("canvas.draw", Effect::Pure, FunctionType { params, result: Some(list(shape)) }),
        ("canvas.scale", Effect::Pure, FunctionType { params: numbers, result: Some(Type::U8) }),
        ("canvas.ping", Effect::Pure, FunctionType { params: Vec::new(), result: None }),
        ("canvas.size", Effect::Pure, FunctionType { params: Vec::new(), result: Some(Type::U32) }),
    ]
}

fn operations_of(pack: &str) -> Vec<(&'static str, Effect, FunctionType)> {
    match pack {
        "capstan:files" => files(),
        "capstan:text" => text(),
        "acme:shapes" => shapes(),
        _ => Vec::new(),
    }
}

impl Catalog for FakeCatalog {
    fn pack(&self, id: &PackId) -> Option<CatalogPack> {
        let known = self.packs().contains(id);
        known.then(|| CatalogPack {
            version: semver::Version::new(0, 1, 0),
            statement: Digest::of(id.to_string().as_bytes()),
        })
    }

    fn operation(&self, name: &OperationName) -> Option<CatalogOperation> {
        let pack = name.pack.to_string();
        let (_, effect, function) =
            operations_of(&pack).into_iter().find(|(local, ..)| *local == name.local())?;
        let request = match effect {
            Effect::Read => vec![Capability::FilesRead],
            Effect::Write => vec![Capability::FilesRead, Capability::FilesWrite],
            _ => Vec::new(),
        };
        let grant = MissingGrant {
            capability: Capability::FilesWrite,
            grant: "files-write=workspace:**".to_owned(),
            flags: String::new(),
            lapsed: None,
        };
        let missing = if effect == Effect::Write && !self.write_granted { vec![grant] } else { Vec::new() };
        Some(CatalogOperation {
            function,
            effect,
            idempotent: name.function.as_str() != "append",
            limits: Limits::DEFAULT,
            request,
            missing,
            discloses: false,
            authority: Digest::of(name.to_string().as_bytes()),
        })
    }

    fn operations(&self, id: &PackId) -> Vec<OperationName> {
        let named =
            |(local, ..): &(&str, Effect, FunctionType)| OperationName::in_pack(id.clone(), local).unwrap();
        operations_of(&id.to_string()).iter().map(named).collect()
    }

    fn packs(&self) -> Vec<PackId> {
        ["capstan:files", "capstan:text", "acme:shapes"].iter().map(|id| id.parse().unwrap()).collect()
    }
}
