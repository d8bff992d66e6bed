//! Maps with a fixed set of keys.

use base::Code;

use crate::Span;
use crate::finding::{Finding, Findings, did_you_mean, quoted};
use crate::yaml::{Entry, Key, Kind, Node};

/// The keys that one kind of map has in the plan language.
pub(super) struct Keys {
    /// What the map describes, with its article.
    pub(super) of: &'static str,
    /// The keys that this version runs.
    pub(super) supported: &'static [&'static str],
    /// The keys that it refuses by name.
    pub(super) unsupported: &'static [&'static str],
}

/// The supported entries of a map.
pub(super) struct Members {
    of: &'static str,
    entries: Vec<Entry>,
    had_unsupported: bool,
}

impl Members {
    /// Reports every key that is not supported. None if the node is no map.
    pub(super) fn of(node: Node, keys: &Keys, findings: &mut Findings) -> Option<Self> {
        let span = node.span;
        let entries = match node.kind {
            Kind::Map(entries) => entries,
            Kind::Refused => return None,
            _ => {
                let message = format!("{} is {}", keys.of, node.kind.describe());
                findings.push(super::type_finding(
                    span,
                    message,
                    &format!("a map with {}", list(keys.supported)),
                ));
                return None;
            }
        };
        let had_unsupported = entries.iter().any(|entry| keys.unsupported.contains(&entry.key.text.as_str()));
        let supported = |entry: &Entry| keys.is_supported(&entry.key, findings);
        Some(Self { of: keys.of, entries: entries.into_iter().filter(supported).collect(), had_unsupported })
    }

    /// Whether the map has a key that was refused because it is not supported yet: what else is
    /// missing may be missing because of it.
    pub(super) const fn had_unsupported(&self) -> bool {
        self.had_unsupported
    }

    /// Reports `key` at `span` if it is absent.
    pub(super) fn require(&self, key: &str, span: Span, findings: &mut Findings) {
        if !self.entries.iter().any(|entry| entry.key.text == key) {
            let message = format!("{} has no `{key}`", self.of);
            findings.push(Finding::new(Code::PlanMissingKey, span, message).fix(format!("add `{key}:`")));
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<(Key, Node)> {
        let at = self.entries.iter().position(|entry| entry.key.text == key)?;
        let Entry { key, value } = self.entries.swap_remove(at);
        Some((key, value))
    }
}

impl Keys {
    fn is_supported(&self, key: &Key, findings: &mut Findings) -> bool {
        let name = key.text.as_str();
        if self.supported.contains(&name) {
            return true;
        }
        if self.unsupported.contains(&name) {
            let finding =
                Finding::new(Code::PlanUnsupported, key.span, format!("`{name}` is not supported yet"));
            findings.push(finding.fix(format!("remove `{name}`: this version does not run it")));
            return false;
        }
        if findings.is_full() {
            return false;
        }
        let known = self.supported.iter().chain(self.unsupported).copied();
        let message = format!("{} has no key {}", self.of, quoted(name));
        let finding = Finding::new(Code::PlanUnknownKey, key.span, message);
        let finding = finding.expected(list(self.supported)).fix(format!("remove {}", quoted(name)));
        findings.push(finding.maybe_fix(did_you_mean(name, known)));
        false
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
