//! From the text of a schema to its rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::{Counted, Id, JsonSchema, Limit, Node, Rule, SCHEMA_BYTES_MAX, SchemaError, TypeName, pointer};
use crate::parse_json;

/// Says something of a schema or a value, and asks nothing of it.
const ANNOTATIONS: [&str; 12] = [
    "$comment",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

type Read<T> = Result<T, SchemaError>;

impl JsonSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// If it is too long, no JSON, or uses a keyword that is not checked here.
    pub fn parse(text: &str) -> Read<Self> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(wrong("", format!("more than {SCHEMA_BYTES_MAX} bytes")));
        }
        let json = parse_json(text.as_bytes()).map_err(|error| wrong("", error.to_string()))?;
        let mut reader = Reader { nodes: Vec::new(), named: BTreeMap::new(), waiting: Vec::new() };
        reader.node(&json, "")?;
        let Reader { mut nodes, named, waiting } = reader;
        for (id, index, name, at) in waiting {
            let target = if name.is_empty() { Some(&0) } else { named.get(&name) };
            let target = *target.ok_or_else(|| wrong(&at, format!("nothing is at `#{name}`")))?;
            if let Some(Node::All(rules)) = nodes.get_mut(id)
                && let Some(rule) = rules.get_mut(index)
            {
                *rule = Rule::Is(target);
            }
        }
        Ok(Self { nodes })
    }
}

struct Reader {
    nodes: Vec<Node>,
    /// The definitions, by their pointers.
    named: BTreeMap<String, Id>,
    /// References: the node and rule, the pointer that is referred to, and where that is said.
    waiting: Vec<(Id, usize, String, String)>,
}

impl Reader {
    fn node(&mut self, json: &Json, at: &str) -> Read<Id> {
        let id = self.nodes.len();
        // Its place is taken before those inside it take theirs.
        self.nodes.push(Node::Constant(true));
        let node = match json {
            Json::Bool(constant) => Node::Constant(*constant),
            Json::Object(members) => Node::All(self.rules(id, members, at)?),
            _ => return Err(wrong(at, "expected an object, `true` or `false`")),
        };
        if let Some(place) = self.nodes.get_mut(id) {
            *place = node;
        }
        Ok(id)
    }

    fn rules(&mut self, id: Id, members: &Map<String, Json>, at: &str) -> Read<Vec<Rule>> {
        let mut rules = Vec::new();
        for (key, json) in members {
            let here = pointer(at, key);
            match key.as_str() {
                "$ref" => {
                    let text = string(json, &here)?;
                    let target = text.strip_prefix('#').filter(|rest| {
                        rest.is_empty()
                            || rest.strip_prefix("/$defs/").is_some_and(|name| !name.contains('/'))
                    });
                    let target =
                        target.ok_or_else(|| wrong(&here, "only `#` and `#/$defs/name` are looked up"))?;
                    self.waiting.push((id, rules.len(), target.to_owned(), here));
                    rules.push(Rule::Is(id));
                }
                "$defs" => {
                    for (name, json) in object(json, &here)? {
                        let place = pointer(&here, name);
                        let definition = self.node(json, &place)?;
                        if at.is_empty() {
                            self.named.insert(place, definition);
                        }
                    }
                }
                "$schema" if string(json, &here)? == DIALECT => {}
                "$schema" => return Err(wrong(&here, format!("expected `{DIALECT}`"))),
                // What stands beside them says to what they apply.
                "items" | "properties" | "additionalProperties" => {}
                known if ANNOTATIONS.contains(&known) => {}
                _ => rules.push(self.rule(key, json, &here)?),
            }
        }
        self.neighbours(members, at, &mut rules)?;
        Ok(rules)
    }

    fn rule(&mut self, key: &str, json: &Json, at: &str) -> Read<Rule> {
        Ok(match key {
            "type" => Rule::Types(types(json, at)?),
            "enum" => Rule::OneOfValues(array(json, at)?.clone()),
            "const" => Rule::OneOfValues(vec![json.clone()]),
            "allOf" => Rule::AllOf(self.list(json, at)?),
            "anyOf" => Rule::AnyOf(self.list(json, at)?),
            "oneOf" => Rule::OneOf(self.list(json, at)?),
            "not" => Rule::Not(self.node(json, at)?),
            "propertyNames" => Rule::Names(self.node(json, at)?),
            "prefixItems" => Rule::Prefix(self.list(json, at)?),
            "required" => Rule::Required(strings(json, at)?),
            "minimum" => numbers(Limit::AtLeast, json, at)?,
            "maximum" => numbers(Limit::AtMost, json, at)?,
            "exclusiveMinimum" => numbers(Limit::Above, json, at)?,
            "exclusiveMaximum" => numbers(Limit::Below, json, at)?,
            "multipleOf" => match json.as_u64() {
                Some(divisor) if divisor > 0 => Rule::MultipleOf(divisor),
                _ => return Err(wrong(at, "only whole numbers from 1 on are checked here")),
            },
            "minLength" => Rule::Length { most: false, bound: natural(json, at)? },
            "maxLength" => Rule::Length { most: true, bound: natural(json, at)? },
            "minItems" => Rule::Count { of: Counted::Items, most: false, bound: natural(json, at)? },
            "maxItems" => Rule::Count { of: Counted::Items, most: true, bound: natural(json, at)? },
            "minProperties" => Rule::Count { of: Counted::Members, most: false, bound: natural(json, at)? },
            "maxProperties" => Rule::Count { of: Counted::Members, most: true, bound: natural(json, at)? },
            "uniqueItems" => match json.as_bool() {
                Some(true) => Rule::Unique,
                Some(false) => Rule::AllOf(Vec::new()),
                None => return Err(wrong(at, "expected `true` or `false`")),
            },
            _ => return Err(wrong(at, "a keyword that is not checked here")),
        })
    }

    /// The rules of keywords that apply to what others leave.
    fn neighbours(&mut self, members: &Map<String, Json>, at: &str, rules: &mut Vec<Rule>) -> Read<()> {
        if let Some(json) = members.get("items") {
            let from = members.get("prefixItems").and_then(Json::as_array).map_or(0, Vec::len);
            rules.push(Rule::Items { from, each: self.node(json, &pointer(at, "items"))? });
        }
        let (named, others) = (members.get("properties"), members.get("additionalProperties"));
        if named.is_none() && others.is_none() {
            return Ok(());
        }
        let mut read = BTreeMap::new();
        if let Some(json) = named {
            let here = pointer(at, "properties");
            for (name, json) in object(json, &here)? {
                read.insert(name.clone(), self.node(json, &pointer(&here, name))?);
            }
        }
        let others = others.map(|json| self.node(json, &pointer(at, "additionalProperties")));
        rules.push(Rule::Members { named: read, others: others.transpose()? });
        Ok(())
    }

    fn list(&mut self, json: &Json, at: &str) -> Read<Vec<Id>> {
        let items = array(json, at)?;
        if items.is_empty() {
            return Err(wrong(at, "expected at least one schema"));
        }
        items
            .iter()
            .enumerate()
            .map(|(index, json)| self.node(json, &pointer(at, &index.to_string())))
            .collect()
    }
}

fn wrong(at: &str, message: impl Into<String>) -> SchemaError {
    SchemaError { at: at.to_owned(), message: message.into() }
}

fn string<'a>(json: &'a Json, at: &str) -> Read<&'a str> {
    json.as_str().ok_or_else(|| wrong(at, "expected a string"))
}

fn object<'a>(json: &'a Json, at: &str) -> Read<&'a Map<String, Json>> {
    json.as_object().ok_or_else(|| wrong(at, "expected an object"))
}

fn array<'a>(json: &'a Json, at: &str) -> Read<&'a Vec<Json>> {
    json.as_array().ok_or_else(|| wrong(at, "expected an array"))
}

fn strings(json: &Json, at: &str) -> Read<BTreeSet<String>> {
    array(json, at)?.iter().map(|json| string(json, at).map(ToOwned::to_owned)).collect()
}

fn natural(json: &Json, at: &str) -> Read<u64> {
    json.as_u64().ok_or_else(|| wrong(at, "expected a whole number from 0 on"))
}

fn numbers(limit: Limit, json: &Json, at: &str) -> Read<Rule> {
    match json {
        Json::Number(bound) => Ok(Rule::Numbers { limit, bound: bound.clone() }),
        _ => Err(wrong(at, "expected a number")),
    }
}

fn types(json: &Json, at: &str) -> Read<Vec<TypeName>> {
    let name = |json: &Json| {
        let text = string(json, at)?;
        let known = TypeName::ALL.iter().find(|(known, _)| *known == text);
        known.map(|(_, name)| *name).ok_or_else(|| wrong(at, "no such type"))
    };
    match json {
        Json::Array(names) if !names.is_empty() => names.iter().map(name).collect(),
        one => Ok(vec![name(one)?]),
    }
}
