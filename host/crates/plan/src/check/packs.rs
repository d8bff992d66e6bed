//! Aliases to installed packs, and `call` to operations.

use std::collections::BTreeMap;

use base::{Code, OperationName, PackId};
use semver::{Version, VersionReq};

use crate::finding::{Finding, Findings, did_you_mean, quoted};
use crate::parse::PackEntry;
use crate::{Catalog, CatalogOperation, CheckedPack, Span};

/// The packs of a plan by alias.
pub(super) struct Packs<'a> {
    catalog: &'a dyn Catalog,
    /// None if the entry is wrong and was reported.
    by_alias: BTreeMap<String, Option<CheckedPack>>,
}

/// An operation that a step calls.
pub(super) struct Called {
    pub(super) name: OperationName,
    pub(super) operation: CatalogOperation,
    pub(super) pack: CheckedPack,
}

impl<'a> Packs<'a> {
    pub(super) fn resolve(entries: &[PackEntry], catalog: &'a dyn Catalog, findings: &mut Findings) -> Self {
        let by_alias = entries
            .iter()
            .map(|entry| {
                let wanted = entry.wanted.as_ref();
                let pack = wanted.and_then(|(id, range)| installed(id, range, entry.span, catalog, findings));
                (entry.alias.text.clone(), pack)
            })
            .collect();
        Self { catalog, by_alias }
    }

    /// Every pack, if none was reported.
    pub(super) fn into_checked(self) -> Option<BTreeMap<String, CheckedPack>> {
        self.by_alias.into_iter().map(|(alias, pack)| Some((alias, pack?))).collect()
    }

    /// The operation that `text` names: `alias/interface.function`, or with the pack's name in place of the
    /// alias, or in WIT's form.
    pub(super) fn operation(&self, text: &str, span: Span, findings: &mut Findings) -> Option<Called> {
        let finding = match self.look_up(text, span) {
            Ok(called) => return called,
            Err(finding) => finding,
        };
        findings.push(*finding);
        None
    }

    fn look_up(&self, text: &str, span: Span) -> Result<Option<Called>, Box<Finding>> {
        let Some((head, local)) = text.split_once('/') else {
            return Err(Box::new(self.no_slash(text, span)));
        };
        let pack = match self.by_alias.get(head) {
            Some(pack) => pack.as_ref(),
            None => self.by_name(head, span)?,
        };
        // The pack was reported where it is declared.
        let Some(pack) = pack else { return Ok(None) };
        let start = span.end.saturating_sub(local.len()).max(span.start);
        let local_span = Span::new(start, span.end);
        let name: OperationName = format!("{}/{local}", pack.id).parse().map_err(|_| {
            let finding =
                Finding::new(Code::PlanOperation, local_span, format!("{} is no operation", quoted(text)));
            let finding = finding.expected("`alias/interface.function`");
            finding.maybe_fix(self.suggest(&pack.id, local))
        })?;
        check_version(local, pack, local_span)?;
        let Some(operation) = self.catalog.operation(&name) else {
            let message = format!("the pack `{}` has no operation {}", pack.id, quoted(&name.local()));
            let finding = Finding::new(Code::PlanOperation, local_span, message);
            let operations = self.catalog.operations(&pack.id);
            let some = operations
                .iter()
                .take(12)
                .map(|name| format!("`{}`", name.local()))
                .collect::<Vec<_>>()
                .join(", ");
            let finding = if some.is_empty() {
                finding.fix("call another pack")
            } else {
                finding.expected(format!("one of {some}"))
            };
            return Err(Box::new(finding.maybe_fix(self.suggest(&pack.id, &name.local()))));
        };
        Ok(Some(Called { name, operation, pack: pack.clone() }))
    }

    fn by_name(&self, head: &str, span: Span) -> Result<Option<&CheckedPack>, Box<Finding>> {
        let head_span = Span::new(span.start, (span.start + head.len()).min(span.end));
        if let Ok(id) = head.parse::<PackId>() {
            if let Some(pack) = self.by_alias.values().flatten().find(|pack| pack.id == id) {
                return Ok(Some(pack));
            }
            let message = format!("the pack `{id}` is not listed in `packs`");
            let finding = Finding::new(Code::PlanPack, head_span, message).fix("add it to `packs`");
            let version = self.catalog.pack(&id).map(|pack| pack.version);
            let fix = version.map(|version| format!("add `{}: {id} ^{version}` to `packs`", id.name));
            return Err(Box::new(finding.maybe_fix(fix)));
        }
        let aliases = || self.by_alias.keys().map(String::as_str);
        let finding =
            Finding::new(Code::PlanPack, head_span, format!("there is no alias {} in `packs`", quoted(head)));
        let finding = finding.fix(format!("add `{head}: publisher:name ^version` to `packs`"));
        Err(Box::new(finding.maybe_fix(did_you_mean(head, aliases()))))
    }

    fn no_slash(&self, text: &str, span: Span) -> Finding {
        let finding = Finding::new(Code::PlanOperation, span, format!("{} is no operation", quoted(text)));
        let alias = self.by_alias.iter().find(|(_, pack)| {
            let known = |pack: &CheckedPack| {
                self.catalog.operations(&pack.id).iter().any(|name| name.local() == text)
            };
            pack.as_ref().is_some_and(known)
        });
        let fix = alias.map(|(alias, _)| format!("write `{alias}/{text}`"));
        finding.expected("`alias/interface.function`").maybe_fix(fix)
    }

    fn suggest(&self, pack: &PackId, local: &str) -> Option<String> {
        let names: Vec<String> = self.catalog.operations(pack).iter().map(OperationName::local).collect();
        let same_function = || {
            let function = local.rsplit_once('.').map_or(local, |(_, function)| function);
            let mut same =
                names.iter().filter(|name| name.rsplit_once('.').is_some_and(|(_, f)| f == function));
            same.next().filter(|_| same.next().is_none()).map(|name| format!("did you mean `{name}`?"))
        };
        did_you_mean(local, names.iter().map(String::as_str)).or_else(same_function)
    }
}

/// WIT's form may name a version; it must be the installed one.
fn check_version(local: &str, pack: &CheckedPack, span: Span) -> Result<(), Box<Finding>> {
    let named = local.split_once('#').and_then(|(interface, _)| interface.split_once('@'));
    match named {
        Some((_, version)) if version != pack.version.to_string() => {
            let message = format!("version {} of `{}` is not the installed one", quoted(version), pack.id);
            let finding = Finding::new(Code::PlanPack, span, message).expected(format!("`{}`", pack.version));
            Err(Box::new(finding.fix("leave the version to `packs`: write `alias/interface.function`")))
        }
        _ => Ok(()),
    }
}

fn installed(
    id: &PackId,
    range: &VersionReq,
    span: Span,
    catalog: &dyn Catalog,
    findings: &mut Findings,
) -> Option<CheckedPack> {
    let Some(pack) = catalog.pack(id) else {
        let names: Vec<String> = catalog.packs().iter().map(PackId::to_string).collect();
        let fix = did_you_mean(&id.to_string(), names.iter().map(String::as_str));
        let finding = Finding::new(Code::PlanPack, span, format!("the pack `{id}` is not installed"));
        findings.push(finding.fix("install it; `capstan pack list` shows what is installed").maybe_fix(fix));
        return None;
    };
    if !range.matches(&pack.version) {
        let message = format!("version {} of `{id}` is installed, which is not in `{range}`", pack.version);
        let finding = Finding::new(Code::PlanPack, span, message).expected(format!("a version in `{range}`"));
        findings
            .push(finding.fix(format!("install another version, or write `{id} {}`", caret(&pack.version))));
        return None;
    }
    Some(CheckedPack { id: id.clone(), version: pack.version, statement: pack.statement })
}

/// The usual range that a version is in.
fn caret(version: &Version) -> String {
    format!("^{version}")
}
