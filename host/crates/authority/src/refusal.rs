//! Which code each error of this crate is reported with.

use base::{Code, PackId, Refusal};

use crate::{AboveCeilingError, Denied, ExceedsRequestError, GrantsError, ParseGrantError, ParseScopeError};

impl From<ParseScopeError> for Refusal {
    fn from(error: ParseScopeError) -> Self {
        Self::new(Code::ScopeMalformed, error.to_string())
    }
}

impl From<ParseGrantError> for Refusal {
    fn from(error: ParseGrantError) -> Self {
        match error {
            ParseGrantError::Scope(error) => error.into(),
            ParseGrantError::UnknownCapability { suggestion: Some(name), .. } => {
                Self::new(Code::GrantMalformed, error.to_string()).hint(format!("did you mean `{name}`?"))
            }
            error => Self::new(Code::GrantMalformed, error.to_string()),
        }
    }
}

impl From<GrantsError> for Refusal {
    fn from(error: GrantsError) -> Self {
        let refusal = Self::new(Code::GrantMalformed, format!("`grants.toml`, {error}"));
        error.hint.into_iter().fold(refusal, Self::hint)
    }
}

impl From<ExceedsRequestError> for Refusal {
    fn from(error: ExceedsRequestError) -> Self {
        Self::new(Code::GrantExceedsRequest, error.to_string())
    }
}

impl From<AboveCeilingError> for Refusal {
    fn from(error: AboveCeilingError) -> Self {
        Self::new(Code::GrantAboveCeiling, error.to_string())
    }
}

impl Denied {
    /// The denial as a refusal, with the command that would allow it.
    #[must_use]
    pub fn refusal(&self, pack: &PackId) -> Refusal {
        let refusal = Refusal::new(Code::CallDenied, self.to_string());
        self.hint(pack).into_iter().fold(refusal, Refusal::hint)
    }
}
