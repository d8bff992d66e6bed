//! Grants as the shells see them.

use std::collections::BTreeMap;

use base::{Effect, PackId};
use serde::Serialize;

/// One grant of one scope.
#[derive(Debug, Serialize)]
pub struct GrantView {
    /// Who has it.
    pub pack: PackId,
    /// What, as `grant add` takes it.
    pub grant: String,
    /// The fingerprint of the key that has to have signed the pack.
    pub signer: Option<String>,
    /// When it ends, RFC 3339; none if it does not.
    pub expires: Option<String>,
    /// Whether an operation that also has a source (files, artifacts, programs) uses it without an
    /// approval of each request.
    pub may_disclose: bool,
    /// The limits that it lowers, with the amounts as `--limit` takes them.
    pub limits: BTreeMap<String, String>,
    /// Whether it counts now.
    pub in_force: bool,
    /// Why it does not: `expired`, `other_signer`, `not_installed`, or `ceiling` where all of it is
    /// forbidden.
    pub lapse: Option<&'static str>,
    /// Whether the ceiling may leave less than it gives.
    pub cut_by_ceiling: bool,
    /// Of a model that was granted just now: where what the pack reads may be told, or that nobody
    /// named such a model yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What calls of an operation may reach.
#[derive(Debug, Serialize)]
pub struct ExplainView {
    /// `publisher:name/interface.function`.
    pub operation: String,
    /// Its declared effect, which cuts what it rules out.
    pub effect: Effect,
    /// The fingerprint of the key that signed the pack: grants to another do not count.
    pub signer: String,
    /// Whether `config.toml` has a ceiling.
    pub ceiling: bool,
    /// One row for each capability that the pack requests or was granted.
    pub capabilities: Vec<ReachView>,
    /// The limits of a call, in the order of their names in `config.toml`.
    pub limits: Vec<LimitView>,
}

/// A capability of an operation. It reaches what a requested scope, a granted one and one of the
/// ceiling hold.
#[derive(Debug, Serialize)]
pub struct ReachView {
    /// The capability.
    pub capability: String,
    /// The scopes that the manifest requests; none if it does not, empty for one without scopes.
    pub requested: Option<Vec<String>>,
    /// The scopes that grants in force give, likewise.
    pub granted: Option<Vec<String>>,
    /// Those of them whose use waits for no approval beside files, artifacts or programs.
    pub may_disclose: Vec<String>,
    /// Scopes of grants that have expired; `*` for a capability without scopes.
    pub expired: Vec<String>,
    /// Scopes of grants to another signer, likewise.
    pub other_signer: Vec<String>,
    /// The scopes that the ceiling leaves, empty where it forbids all; none where it cuts nothing.
    pub ceiling: Option<Vec<String>>,
    /// Whether a call can use it.
    pub live: bool,
    /// What keeps a call from it: `request`, `grant`, `expired`, `other_signer`, `ceiling` or `effect`.
    pub cut_by: Option<&'static str>,
    /// Why its use waits for an approval each time: `effect`, since it may change something, or
    /// `disclosure`, since what it asks for could hold what the operation reads and not all that is
    /// granted may disclose it. None where nothing waits.
    pub held: Option<&'static str>,
    /// The commands that would grant all that is requested of it.
    pub grants: Vec<String>,
}

/// One limit of a call.
#[derive(Debug, Serialize)]
pub struct LimitView {
    /// Its name in `config.toml`.
    pub limit: &'static str,
    /// Its amount in the smallest unit: counts, bytes, milliseconds.
    pub amount: u64,
    /// The same as `config.toml` writes it.
    pub text: String,
    /// Who set it: `operation` (or the default), `grant` or `ceiling`.
    pub decided_by: &'static str,
}

/// The smallest grants that cover a pack's recorded use.
#[derive(Debug, Serialize)]
pub struct TightenView {
    /// The pack.
    pub pack: PackId,
    /// Its recorded calls.
    pub calls: u64,
    /// The runs that made them.
    pub runs: u64,
    /// Its calls of which it is not recorded what they reached; they do not count.
    pub unrecorded_calls: u64,
    /// Runs that cannot be read; they do not count either.
    pub damaged_runs: u64,
    /// One row for each capability with a grant in force; none where nothing is recorded.
    pub capabilities: Vec<TightenedView>,
    /// The commands that make the difference.
    pub commands: Vec<String>,
    /// Whether the difference was written.
    pub applied: bool,
}

/// A capability before and after.
#[derive(Debug, Serialize)]
pub struct TightenedView {
    /// The capability.
    pub capability: String,
    /// The scopes in force; `["*"]` for a capability without scopes.
    pub before: Vec<String>,
    /// The scopes that cover the use; empty where there was none.
    pub after: Vec<String>,
    /// Why they stay as they are: `more`, a call reached more than was recorded; `needed`, unused, and
    /// a plan that calls the same operations does not pass its check without; `too_many`;
    /// `not_recorded`.
    pub kept: Option<&'static str>,
}
