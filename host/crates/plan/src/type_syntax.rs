//! The text of types in `inputs`: WIT's own, written out in place, with four words of JSON Schema.

use values::{Case, Field, Type};

use crate::bounds::{SYNTAX_DEPTH_MAX, TYPE_BYTES_MAX};

/// The words that a type can start with, to suggest from.
pub(crate) const WORDS: [&str; 24] = [
    "string", "integer", "number", "boolean", "bool", "char", "u8", "u16", "u32", "u64", "s8", "s16", "s32",
    "s64", "f32", "f64", "list", "option", "tuple", "result", "record", "enum", "variant", "flags",
];

/// A text that is no type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TypeError {
    /// The byte of the text where it stops making sense.
    pub(crate) at: usize,
    /// What was expected there.
    pub(crate) expected: &'static str,
    /// The word that is there.
    pub(crate) word: String,
}

/// Parses a type such as `list<string>` or `record { path: string, line: u32 }`.
pub(crate) fn parse(text: &str) -> Result<Type, TypeError> {
    let mut parser = TypeParser { text, at: 0 };
    if text.len() > TYPE_BYTES_MAX {
        return Err(TypeError { at: 0, expected: "a shorter type", word: String::new() });
    }
    let ty = parser.ty(0)?;
    if parser.rest().is_empty() { Ok(ty) } else { Err(parser.fail("the end of the type")) }
}

struct TypeParser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> TypeParser<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default().trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn fail(&mut self, expected: &'static str) -> TypeError {
        let word = self.peek_word().to_owned();
        TypeError { at: self.at, expected, word }
    }

    fn peek_word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn need(&mut self, token: &str, expected: &'static str) -> Result<(), TypeError> {
        if self.eat(token) { Ok(()) } else { Err(self.fail(expected)) }
    }

    fn label(&mut self) -> Result<String, TypeError> {
        let word = self.peek_word();
        let label: base::Label = word.parse().map_err(|_| self.fail("a kebab-case name"))?;
        self.at += word.len();
        Ok(label.to_string())
    }

    fn ty(&mut self, depth: usize) -> Result<Type, TypeError> {
        if depth > SYNTAX_DEPTH_MAX {
            return Err(self.fail("a type that nests less"));
        }
        let word = self.peek_word();
        let start = self.at;
        self.at += word.len();
        Ok(match word {
            "string" => Type::String,
            "integer" | "s64" => Type::S64,
            "number" | "f64" => Type::F64,
            "boolean" | "bool" => Type::Bool,
            "char" => Type::Char,
            "u8" => Type::U8,
            "u16" => Type::U16,
            "u32" => Type::U32,
            "u64" => Type::U64,
            "s8" => Type::S8,
            "s16" => Type::S16,
            "s32" => Type::S32,
            "f32" => Type::F32,
            "list" => Type::List(Box::new(self.single(depth)?)),
            "option" => match self.single(depth)? {
                Type::Option(_) => {
                    self.at = start;
                    return Err(self.fail("an option of something that is no option"));
                }
                inner => Type::Option(Box::new(inner)),
            },
            "tuple" => {
                self.need("<", "`<`")?;
                Type::Tuple(self.separated(">", |parser| parser.ty(depth + 1))?)
            }
            "result" => self.result(depth)?,
            "record" => Type::Record(self.members(|parser| parser.field(depth))?),
            "variant" => Type::Variant(self.members(|parser| parser.case(depth))?),
            "enum" => Type::Enum(self.members(Self::label)?),
            "flags" => Type::Flags(self.members(Self::label)?),
            _ => {
                self.at = start;
                return Err(self.fail("a type such as `string`, `u32` or `list<string>`"));
            }
        })
    }

    fn single(&mut self, depth: usize) -> Result<Type, TypeError> {
        self.need("<", "`<`")?;
        let ty = self.ty(depth + 1)?;
        self.need(">", "`>`")?;
        Ok(ty)
    }

    fn result(&mut self, depth: usize) -> Result<Type, TypeError> {
        if !self.eat("<") {
            return Ok(Type::Result { ok: None, err: None });
        }
        let ok = if self.eat("_") { None } else { Some(Box::new(self.ty(depth + 1)?)) };
        let err = if self.eat(",") { Some(Box::new(self.ty(depth + 1)?)) } else { None };
        self.need(">", "`>`")?;
        Ok(Type::Result { ok, err })
    }

    fn field(&mut self, depth: usize) -> Result<Field, TypeError> {
        let name = self.label()?;
        self.need(":", "`:`")?;
        Ok(Field { name, ty: self.ty(depth + 1)? })
    }

    fn case(&mut self, depth: usize) -> Result<Case, TypeError> {
        let name = self.label()?;
        if !self.eat("(") {
            return Ok(Case { name, payload: None });
        }
        let payload = Some(self.ty(depth + 1)?);
        self.need(")", "`)`")?;
        Ok(Case { name, payload })
    }

    fn members<T: Named>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, TypeError>,
    ) -> Result<Vec<T>, TypeError> {
        self.need("{", "`{`")?;
        let items = self.separated("}", item)?;
        let names: std::collections::BTreeSet<&str> = items.iter().map(Named::name).collect();
        if names.len() == items.len() { Ok(items) } else { Err(self.fail("each name once")) }
    }

    /// At least one item, commas between, an optional one at the end.
    fn separated<T>(
        &mut self,
        end: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, TypeError>,
    ) -> Result<Vec<T>, TypeError> {
        let mut items = vec![item(self)?];
        while !self.eat(end) {
            self.need(",", "`,` or the closing bracket")?;
            if self.eat(end) {
                break;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}

trait Named {
    fn name(&self) -> &str;
}

impl Named for Field {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Case {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for String {
    fn name(&self) -> &str {
        self
    }
}
