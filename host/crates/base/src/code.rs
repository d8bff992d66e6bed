//! The one table of refusal and diagnostic codes. Stable: programs match on them.

use std::fmt;

/// Which exit code a problem leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeClass {
    /// Malformed or ill-typed input: exit 2.
    Malformed,
    /// Refused by trust, grant or policy: exit 4.
    Refused,
    /// Failed, rejected, cancelled: exit 1.
    Failed,
}

macro_rules! codes {
    ($($variant:ident = $code:literal, $class:ident, $meaning:literal;)*) => {
        /// A stable code. `Display` gives e.g. `E-SIG-UNTRUSTED`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code's text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Which exit code it leads to.
            #[must_use]
            pub const fn class(self) -> CodeClass {
                match self { $(Self::$variant => CodeClass::$class,)* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    // The envelope and who signed it.
    EnvelopeMissing = "E-ENVELOPE-MISSING", Refused, "the folder has no `pack.dsse.json`";
    EnvelopeMalformed = "E-ENVELOPE-MALFORMED", Malformed, "the envelope or its statement is not what DSSE, in-toto or Capstan define";
    SigInvalid = "E-SIG-INVALID", Refused, "no signature of a trusted key fits the envelope's bytes";
    SigUntrusted = "E-SIG-UNTRUSTED", Refused, "the pack's publisher has no trusted key";
    KeyInadmissible = "E-KEY-INADMISSIBLE", Refused, "the public key is small-order, non-canonical or not torsion-free";
    PublisherMismatch = "E-PUBLISHER-MISMATCH", Refused, "the key is trusted for another publisher";
    // The file set.
    FileMissing = "E-FILE-MISSING", Refused, "a signed file is absent";
    FileExtra = "E-FILE-EXTRA", Refused, "a file is present that was not signed";
    FileDigest = "E-FILE-DIGEST", Refused, "a file's bytes differ from those that were signed";
    FileName = "E-FILE-NAME", Refused, "a file's name or kind is not allowed in a pack";
    FileSize = "E-FILE-SIZE", Refused, "a file is larger than a pack may hold";
    // The manifest and the component.
    ManifestMalformed = "E-MANIFEST-MALFORMED", Malformed, "`pack.toml` does not parse";
    ManifestUnknownKey = "E-MANIFEST-UNKNOWN-KEY", Malformed, "`pack.toml` has a key, capability or effect that does not exist";
    ManifestDuplicateKey = "E-MANIFEST-DUPLICATE-KEY", Malformed, "`pack.toml` has the same key twice";
    ManifestMismatch = "E-MANIFEST-MISMATCH", Refused, "the signed statement and `pack.toml` disagree";
    ComponentInvalid = "E-COMPONENT-INVALID", Malformed, "`component.wasm` is not a valid component, or uses a feature that is off";
    CompileLimit = "E-COMPILE-LIMIT", Refused, "compiling the component takes more memory or time than it may";
    ImportUndeclared = "E-IMPORT-UNDECLARED", Refused, "the component imports an interface that its manifest does not request";
    ImportUnknown = "E-IMPORT-UNKNOWN", Refused, "the component imports something this host does not have";
    ImportAboveEffect = "E-IMPORT-ABOVE-EFFECT", Refused, "a requested capability is permitted by no operation's effect";
    ExportUndeclared = "E-EXPORT-UNDECLARED", Refused, "the component exports a function that its manifest does not list";
    ExportMissing = "E-EXPORT-MISSING", Refused, "the manifest lists an operation that the component does not export";
    ExportUnsupported = "E-EXPORT-UNSUPPORTED", Malformed, "an operation's signature uses a type that operations cannot have";
    VersionMismatch = "E-VERSION-MISMATCH", Refused, "the manifest's version is not that of the WIT package";
    Rollback = "E-ROLLBACK", Refused, "a newer statement of this pack was installed before";
    Equivocation = "E-EQUIVOCATION", Refused, "two different statements carry the same sequence number";
    AbiUnsupported = "E-ABI-UNSUPPORTED", Refused, "the pack needs another version of the host's interfaces";
    ConfigMalformed = "E-CONFIG-MALFORMED", Malformed, "`config.toml` is not what it should be";
    KeyMalformed = "E-KEY-MALFORMED", Malformed, "the text is not an Ed25519 key or fingerprint as Capstan writes them";
    TrustMalformed = "E-TRUST-MALFORMED", Malformed, "`trust.toml` does not parse, or an entry in it is not well-formed";
    TrustConflict = "E-TRUST-CONFLICT", Refused, "the publisher has a trusted key already, or the key has another role";
    WitMalformed = "E-WIT-MALFORMED", Malformed, "the pack's WIT does not parse, or the core module does not fit it";
    PackUnknown = "E-PACK-UNKNOWN", Malformed, "the pack is not installed";
    FileIo = "E-FILE-IO", Failed, "the operating system refused to read or write a file";
    StoreDamaged = "E-STORE-DAMAGED", Refused, "the store's bytes are not those that were installed";
    // Authority.
    ScopeMalformed = "E-SCOPE-MALFORMED", Malformed, "a scope is not `root:glob`";
    GrantExceedsRequest = "E-GRANT-EXCEEDS-REQUEST", Refused, "the grant gives what the pack did not request";
    GrantAboveCeiling = "E-GRANT-ABOVE-CEILING", Refused, "the ceiling in `config.toml` forbids what the grant gives";
    GrantMalformed = "E-GRANT-MALFORMED", Malformed, "a grant, or `grants.toml`, is not what it should be";
    SecretLocked = "E-SECRET-LOCKED", Refused, "a secret's value needs a passphrase, and nobody can be asked for it";
    SecretDamaged = "E-SECRET-DAMAGED", Refused, "a secret's value or key is not what was written";
    KeychainUnavailable = "E-KEYCHAIN-UNAVAILABLE", Refused, "the system's keychain does not take or give a secret's value";
    // Planfiles.
    PlanSyntax = "E-PLAN-SYNTAX", Malformed, "the planfile is not in the YAML subset of Capstan";
    PlanFence = "E-PLAN-FENCE", Malformed, "a Markdown planfile needs exactly one `yaml planfile` block";
    PlanTooLarge = "E-PLAN-TOO-LARGE", Malformed, "the planfile, or something in it, exceeds a bound";
    PlanUnknownKey = "E-PLAN-UNKNOWN-KEY", Malformed, "a key does not exist in the plan language";
    PlanUnsupported = "E-PLAN-UNSUPPORTED", Malformed, "a key of the plan language that this version does not run";
    PlanDuplicateKey = "E-PLAN-DUPLICATE-KEY", Malformed, "the same key, step or input twice";
    PlanMissingKey = "E-PLAN-MISSING-KEY", Malformed, "a required key is absent";
    PlanType = "E-PLAN-TYPE", Malformed, "a value does not have the type that is expected";
    PlanExpression = "E-PLAN-EXPRESSION", Malformed, "an expression does not parse";
    PlanPack = "E-PLAN-PACK", Malformed, "a pack is not installed, or not in the version asked for";
    PlanOperation = "E-PLAN-OPERATION", Malformed, "the operation does not exist";
    PlanArgumentMissing = "E-PLAN-ARGUMENT-MISSING", Malformed, "a required argument is absent";
    PlanArgumentUnknown = "E-PLAN-ARGUMENT-UNKNOWN", Malformed, "the operation has no such argument";
    PlanReference = "E-PLAN-REFERENCE", Malformed, "a reference names no input, step or field";
    PlanCycle = "E-PLAN-CYCLE", Malformed, "steps need each other in a circle";
    PlanInput = "E-PLAN-INPUT", Malformed, "a given input is unknown, missing or ill-typed";
    PlanGrant = "E-PLAN-GRANT", Refused, "a step's effect needs a capability that the operator has not granted";
    // Runs and approvals.
    ApprovalUnknown = "E-APPROVAL-UNKNOWN", Malformed, "no such approval is asked for";
    ApprovalStale = "E-APPROVAL-STALE", Refused, "what was approved is not what would happen now";
    ApprovalConsumed = "E-APPROVAL-CONSUMED", Refused, "the approval was used before";
    ApprovalExpired = "E-APPROVAL-EXPIRED", Refused, "the approval came after its time";
    ApprovalRejected = "E-APPROVAL-REJECTED", Failed, "a person refused the effects";
    ApprovalForged = "E-APPROVAL-FORGED", Refused, "the approval's signature is not an approver's";
    ApprovalConfirm = "E-APPROVAL-CONFIRM", Refused, "a destructive effect is approved only by typing its target";
    EffectConflict = "E-EFFECT-CONFLICT", Failed, "a target changed between staging and applying";
    JournalDamaged = "E-JOURNAL-DAMAGED", Failed, "the journal's rows do not hash to what was recorded";
    JournalVersion = "E-JOURNAL-VERSION", Failed, "the journal was written by another version";
    JournalUnavailable = "E-JOURNAL-UNAVAILABLE", Failed, "the journal cannot be read or written now";
    ArtifactUnknown = "E-ARTIFACT-UNKNOWN", Malformed, "no artifact has this digest";
    RunUnknown = "E-RUN-UNKNOWN", Malformed, "no run, or more than one, is meant";
    RunState = "E-RUN-STATE", Failed, "the run is not in a state that allows this";
    RunStale = "E-RUN-STALE", Refused, "the plan or a pack is not the one that the run was started with";
    RunBusy = "E-RUN-BUSY", Failed, "another process owns the run";
    RunCancelled = "E-RUN-CANCELLED", Failed, "a person ended the run";
    RunBudget = "E-RUN-BUDGET", Failed, "the plan's budget is used up";
    // Calls.
    CallDenied = "E-CALL-DENIED", Refused, "the guest reached for something that it was not given";
    CallFailed = "E-CALL-FAILED", Failed, "the operation returned its own error";
    CallDiverged = "E-CALL-DIVERGED", Failed, "run again after an approved call, the operation did not repeat what it had done before";
    CallUnknown = "E-CALL-UNKNOWN", Refused, "an approved call may or may not have been made, and may not be made twice";
    IsolationUnavailable = "E-ISOLATION-UNAVAILABLE", Refused, "guests cannot be held in processes of their own on this machine, as `config.toml` asks";
    CallTrapped = "E-CALL-TRAPPED", Failed, "the guest was stopped by a limit or by itself";
    Usage = "E-USAGE", Malformed, "the command cannot be carried out as it was typed";
    CallArguments = "E-CALL-ARGUMENTS", Malformed, "the arguments do not have the operation's types";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let texts: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}
