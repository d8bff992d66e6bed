//! Values of the types in [`crate::Type`].

/// A WIT value. Floats compare by bits, so that a value equals itself.
#[derive(Debug, Clone)]
pub enum Value {
    /// `bool`
    Bool(bool),
    /// `s8`
    S8(i8),
    /// `u8`
    U8(u8),
    /// `s16`
    S16(i16),
    /// `u16`
    U16(u16),
    /// `s32`
    S32(i32),
    /// `u32`
    U32(u32),
    /// `s64`
    S64(i64),
    /// `u64`
    U64(u64),
    /// `f32`
    F32(f32),
    /// `f64`
    F64(f64),
    /// `char`
    Char(char),
    /// `string`
    String(String),
    /// `list<u8>`, and only that.
    Bytes(Vec<u8>),
    /// `list<T>` for every other `T`
    List(Vec<Self>),
    /// `tuple<..>`
    Tuple(Vec<Self>),
    /// `record`, every field, in the type's order
    Record(Vec<(String, Self)>),
    /// `variant`
    Variant {
        /// The case's name.
        case: String,
        /// Its payload, if the case has one.
        payload: Option<Box<Self>>,
    },
    /// `enum`
    Enum(String),
    /// `flags`: the names that are set, in the type's order
    Flags(Vec<String>),
    /// `option<T>`
    Option(Option<Box<Self>>),
    /// `result<ok, err>`
    Result(Result<Option<Box<Self>>, Option<Box<Self>>>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::F32(a), Self::F32(b)) => a.to_bits() == b.to_bits(),
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::S8(a), Self::S8(b)) => a == b,
            (Self::U8(a), Self::U8(b)) => a == b,
            (Self::S16(a), Self::S16(b)) => a == b,
            (Self::U16(a), Self::U16(b)) => a == b,
            (Self::S32(a), Self::S32(b)) => a == b,
            (Self::U32(a), Self::U32(b)) => a == b,
            (Self::S64(a), Self::S64(b)) => a == b,
            (Self::U64(a), Self::U64(b)) => a == b,
            (Self::Char(a), Self::Char(b)) => a == b,
            (Self::String(a), Self::String(b)) | (Self::Enum(a), Self::Enum(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => a == b,
            (Self::Record(a), Self::Record(b)) => a == b,
            (Self::Variant { case: a, payload: x }, Self::Variant { case: b, payload: y }) => {
                a == b && x == y
            }
            (Self::Flags(a), Self::Flags(b)) => a == b,
            (Self::Option(a), Self::Option(b)) => a == b,
            (Self::Result(a), Self::Result(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}
