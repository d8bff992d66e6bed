//! The lexical rules for a path under a root.

/// Longest path, in bytes (`PATH_MAX` of Linux).
pub const PATH_BYTES_MAX: usize = 4096;

/// Why a text is not a path under a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing at all.
    #[error("the path is empty")]
    Empty,
    /// More than [`PATH_BYTES_MAX`] bytes.
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// It starts with `/`.
    #[error("the path is absolute; it must be relative to its root")]
    Absolute,
    /// `//`, or `/` at the end.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("the path has a `.` or `..` segment")]
    DotSegment,
    /// It holds a NUL character.
    #[error("the path holds a NUL character")]
    Nul,
}

/// Checks that `path` is relative, `/`-separated, without empty, `.` or `..` segments and NUL, and at
/// most [`PATH_BYTES_MAX`] bytes long. Every other character is an ordinary one, backslash included.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute);
    }
    if path.contains('\0') {
        return Err(PathError::Nul);
    }
    path.split('/').try_for_each(|segment| match segment {
        "" => Err(PathError::EmptySegment),
        "." | ".." => Err(PathError::DotSegment),
        _ => Ok(()),
    })
}
