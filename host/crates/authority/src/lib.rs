//! What a call may reach: requested by its pack, granted by the operator, permitted by its effect.
//!
//! Invariants: pure, no I/O; paths are compared as text and never looked up, so whoever opens a file
//! sees to it that the lexical path is the real one; a URL is compared as it was parsed, once, and its
//! address is vetted by whoever dials. Nothing is permitted by default, and
//! [`Authority`] has no constructor but the intersection. A path that [`check_path`] refuses is in
//! no scope. Matching costs at most the product of the lengths of path and pattern, both bounded.

mod authority;
mod caps;
mod ceiling;
mod denied;
mod glob;
mod grant;
mod grants;
mod http_url;
mod path;
mod places;
mod refusal;
mod request;
mod scope;
mod standing;
mod terms;
mod tighten;

pub use authority::{Authority, DecidedBy, EffectiveLimit, Explanation, HeldFor, MissingGrant};
pub use caps::{LimitCaps, LimitKind};
pub use ceiling::{AboveCeilingError, Allowed, Ceiling};
pub use denied::{Denied, DeniedReason, grant_command};
pub use glob::{GLOB_BYTES_MAX, GlobError};
pub use grant::{ExceedsRequestError, Grant, ParseGrantError, grant_arguments};
pub use grants::{Grants, GrantsError};
pub use http_url::{HttpUrl, URL_BYTES_MAX, UrlError};
pub use path::{PATH_BYTES_MAX, PathError, check_path};
pub use request::{ReadRequestError, Request, RequestError, SCOPES_MAX};
pub use scope::{
    ExecCall, ExecParts, ExecScope, ExecScopeError, ExecWordError, MODEL_NAME_BYTES_MAX, ModelName,
    ParseModelNameError, ParseScopeError, ParseSecretNameError, PathScope, SECRET_NAME_BYTES_MAX, Scope,
    ScopeErrorReason, SecretName, SecretScope, Slot, UrlScope,
};
pub use standing::{Lapsed, Standing};
pub use terms::{Lapse, ParseSignerError, Signer, Terms};
pub use tighten::{Given, Kept, Tightening, tighten};
