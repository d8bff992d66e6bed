//! Signatures of exported functions, from the validator's types to ours, within bounds.

use std::collections::BTreeMap;

use base::{Label, Refusal};
use values::{Case, Field, FunctionType, Type};
use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncType, ComponentInstanceTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;

use super::unsupported;

/// Deepest nesting of an operation's types. Every later walk over types and values recurses.
const DEPTH_MAX: usize = values::TYPE_DEPTH_MAX;
/// Most type nodes, fields and cases of one signature. Types are shared in a component and
/// written out here, so a few bytes could otherwise stand for an exponential tree.
const NODES_MAX: u32 = 4_096;

/// The functions of an exported interface, by name.
pub(super) fn functions(
    types: TypesRef<'_>,
    interface: &str,
    id: ComponentInstanceTypeId,
) -> Result<BTreeMap<String, FunctionType>, Refusal> {
    let mut functions = BTreeMap::new();
    let Some(instance) = types.get(id) else {
        return Err(unsupported(interface, "it has no type"));
    };
    for (name, item) in &instance.exports {
        let full = format!("{interface}#{name}");
        match item.ty {
            ComponentEntityType::Func(function) => {
                if name.parse::<Label>().is_err() {
                    return Err(unsupported(
                        &full,
                        "methods, constructors and long names cannot be operations",
                    ));
                }
                let function = types.get(function).ok_or_else(|| unsupported(&full, "it has no type"))?;
                functions.insert(name.clone(), Reader { types, full: &full, nodes: 0 }.function(function)?);
            }
            ComponentEntityType::Type { .. } => {}
            _ => return Err(unsupported(&full, "an interface can export functions and types only")),
        }
    }
    Ok(functions)
}

/// Reads one signature, counting its nodes.
struct Reader<'a> {
    types: TypesRef<'a>,
    full: &'a str,
    nodes: u32,
}

impl Reader<'_> {
    fn function(&mut self, function: &ComponentFuncType) -> Result<FunctionType, Refusal> {
        if function.async_ {
            return Err(self.refuse("async"));
        }
        let params = function
            .params
            .iter()
            .map(|(name, ty)| Ok(Field { name: name.to_string(), ty: self.value(ty, 0)? }))
            .collect::<Result<_, Refusal>>()?;
        let result = function.result.as_ref().map(|ty| self.value(ty, 0)).transpose()?;
        Ok(FunctionType { params, result })
    }

    fn value(&mut self, ty: &ComponentValType, depth: usize) -> Result<Type, Refusal> {
        self.count()?;
        if depth >= DEPTH_MAX {
            return Err(unsupported(self.full, &format!("its types nest deeper than {DEPTH_MAX}")));
        }
        match ty {
            ComponentValType::Primitive(primitive) => self.primitive(*primitive),
            ComponentValType::Type(id) => {
                let defined = self.types.get(*id).ok_or_else(|| self.refuse("unknown"))?;
                self.defined(defined, depth + 1)
            }
        }
    }

    fn optional(
        &mut self,
        ty: Option<&ComponentValType>,
        depth: usize,
    ) -> Result<Option<Box<Type>>, Refusal> {
        ty.map(|ty| self.value(ty, depth).map(Box::new)).transpose()
    }

    fn defined(&mut self, ty: &ComponentDefinedType, depth: usize) -> Result<Type, Refusal> {
        Ok(match ty {
            ComponentDefinedType::Primitive(primitive) => self.primitive(*primitive)?,
            ComponentDefinedType::List { element, .. } => Type::List(Box::new(self.value(element, depth)?)),
            ComponentDefinedType::Tuple(tuple) => {
                Type::Tuple(tuple.types.iter().map(|ty| self.value(ty, depth)).collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Record(record) => {
                let field = |(name, ty): (&wasmparser::names::KebabString, &ComponentValType)| {
                    Ok(Field { name: name.to_string(), ty: self.value(ty, depth)? })
                };
                Type::Record(record.fields.iter().map(field).collect::<Result<_, Refusal>>()?)
            }
            ComponentDefinedType::Variant(variant) => {
                let mut cases = Vec::new();
                for (name, case) in &variant.cases {
                    self.count()?;
                    let payload = case.ty.as_ref().map(|ty| self.value(ty, depth)).transpose()?;
                    cases.push(Case { name: name.to_string(), payload });
                }
                Type::Variant(cases)
            }
            ComponentDefinedType::Enum(names) => Type::Enum(self.names(names.iter())?),
            ComponentDefinedType::Flags(names) => Type::Flags(self.names(names.iter())?),
            ComponentDefinedType::Option { ty, .. } => match self.value(ty, depth)? {
                Type::Option(_) => return Err(self.refuse("option<option<..>>")),
                inner => Type::Option(Box::new(inner)),
            },
            ComponentDefinedType::Result { ok, err, .. } => Type::Result {
                ok: self.optional(ok.as_ref(), depth)?,
                err: self.optional(err.as_ref(), depth)?,
            },
            ComponentDefinedType::Own(_) => return Err(self.refuse("own<resource>")),
            ComponentDefinedType::Borrow(_) => return Err(self.refuse("borrow<resource>")),
            ComponentDefinedType::Future { .. } => return Err(self.refuse("future")),
            ComponentDefinedType::Stream { .. } => return Err(self.refuse("stream")),
            ComponentDefinedType::Map { .. } => return Err(self.refuse("map")),
            ComponentDefinedType::FixedLengthList { .. } => return Err(self.refuse("list of fixed length")),
        })
    }

    fn primitive(&self, ty: PrimitiveValType) -> Result<Type, Refusal> {
        Ok(match ty {
            PrimitiveValType::Bool => Type::Bool,
            PrimitiveValType::S8 => Type::S8,
            PrimitiveValType::U8 => Type::U8,
            PrimitiveValType::S16 => Type::S16,
            PrimitiveValType::U16 => Type::U16,
            PrimitiveValType::S32 => Type::S32,
            PrimitiveValType::U32 => Type::U32,
            PrimitiveValType::S64 => Type::S64,
            PrimitiveValType::U64 => Type::U64,
            PrimitiveValType::F32 => Type::F32,
            PrimitiveValType::F64 => Type::F64,
            PrimitiveValType::Char => Type::Char,
            PrimitiveValType::String => Type::String,
            PrimitiveValType::ErrorContext => return Err(self.refuse("error-context")),
        })
    }

    fn names<'n>(
        &mut self,
        names: impl Iterator<Item = &'n wasmparser::names::KebabString>,
    ) -> Result<Vec<String>, Refusal> {
        names.map(|name| self.count().map(|()| name.to_string())).collect()
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(unsupported(self.full, &format!("its types have more than {NODES_MAX} parts")));
        }
        Ok(())
    }

    fn refuse(&self, ty: &str) -> Refusal {
        unsupported(self.full, &format!("an operation's signature cannot use `{ty}`"))
    }
}
