//! The text of `grants.toml`.

use std::ops::Range;

use base::{Capability, PackId, Timestamp};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Grants, GrantsError};
use crate::grant::{closest, parse_capability};
use crate::{Grant, LimitCaps, LimitKind, ParseGrantError, Scope, Signer, Terms};

/// What a table `[[grant]]` may hold.
const KEYS: [&str; 7] = ["pack", "capability", "scope", "signer", "expires", "may-disclose", "limits"];

pub(super) fn parse(text: &str) -> Result<Grants, GrantsError> {
    let reader = Reader { text };
    let document = DeTable::parse(text).map_err(|error| {
        reader.fail(error.span().unwrap_or_default(), error.message().replace('\n', ", "))
    })?;
    let [tables] = reader.members(document.get_ref(), ["grant"])?;
    let mut grants = Grants::new();
    let Some(tables) = tables else { return Ok(grants) };
    let span = tables.span();
    let not_tables = || reader.fail(span.clone(), "`grant` must be an array of tables: write `[[grant]]`");
    for table in tables.get_ref().as_array().ok_or_else(not_tables)?.iter() {
        let members = table.get_ref().as_table().ok_or_else(not_tables)?;
        let grant = reader.grant(table.span(), members)?;
        if let Some(place) = grants.place_on_other_terms(&grant) {
            let what = place.map_or_else(String::new, |scope| format!(" of `{scope}`"));
            let message =
                format!("`{}`{what} is granted to `{}` above, on other terms", grant.capability, grant.pack);
            return Err(reader.fail(table.span(), message));
        }
        grants.add(grant);
    }
    Ok(grants)
}

pub(super) fn print(grants: &Grants) -> String {
    let blocks: Vec<_> = grants.iter().map(|grant| block(&grant)).collect();
    blocks.join("\n")
}

fn block(grant: &Grant) -> String {
    let text = |text: &dyn std::fmt::Display| toml::Value::String(text.to_string()).to_string();
    let Terms { signer, expires, may_disclose, limits } = &grant.terms;
    let mut lines = vec![
        "[[grant]]".to_owned(),
        format!("pack = {}", text(&grant.pack)),
        format!("capability = {}", text(&grant.capability)),
    ];
    if grant.capability.has_scope() {
        let scopes: Vec<_> = grant.scopes.iter().map(|scope| text(scope)).collect();
        lines.push(format!("scope = [{}]", scopes.join(", ")));
    }
    lines.extend(signer.iter().map(|signer| format!("signer = {}", text(signer))));
    lines.extend(expires.iter().map(|expires| format!("expires = {}", time_text(*expires))));
    if *may_disclose {
        lines.push("may-disclose = true".to_owned());
    }
    if !limits.is_empty() {
        let limits: Vec<_> =
            limits.iter().map(|(kind, amount)| format!("{kind} = {}", text(&kind.show(amount)))).collect();
        lines.push(format!("limits = {{ {} }}", limits.join(", ")));
    }
    lines.join("\n") + "\n"
}

/// RFC 3339 in UTC, which is also how TOML writes a time. One beyond what that can write is cut to
/// the last that it can.
fn time_text(time: Timestamp) -> String {
    let ms = i64::try_from(time.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Turns spans of the parsed text into lines.
struct Reader<'t> {
    text: &'t str,
}

type Member<'a, 'i> = Option<&'a Spanned<DeValue<'i>>>;

impl Reader<'_> {
    fn fail(&self, span: Range<usize>, message: impl Into<String>) -> GrantsError {
        let before = self.text.bytes().take(span.start);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        GrantsError { line, message: message.into(), hint: None }
    }

    /// The members of a table by name; any other key is an error.
    fn members<'a, 'i, const N: usize>(
        &self,
        table: &'a DeTable<'i>,
        names: [&str; N],
    ) -> Result<[Member<'a, 'i>; N], GrantsError> {
        let is_unknown = |key: &&Spanned<DeString<'_>>| !names.contains(&&**key.get_ref());
        // The first in the text, whatever the map's order.
        if let Some(key) = table.keys().filter(is_unknown).min_by_key(|key| key.span().start) {
            let shown: String = key.get_ref().chars().take(80).collect();
            let error = self.fail(key.span(), format!("unknown key `{shown}`"));
            let hint = closest(&shown, names.into_iter()).map(|name| format!("did you mean `{name}`?"));
            return Err(GrantsError { hint, ..error });
        }
        Ok(names.map(|name| table.get(name)))
    }

    fn grant(&self, span: Range<usize>, table: &DeTable<'_>) -> Result<Grant, GrantsError> {
        let [pack, capability, scope, signer, expires, may_disclose, limits] = self.members(table, KEYS)?;
        let missing = |name: &str| self.fail(span.clone(), format!("a grant needs `{name}`"));
        let pack = pack.ok_or_else(|| missing("pack"))?;
        let pack: PackId = self
            .string(pack)?
            .parse()
            .map_err(|error: base::ParseNameError| self.fail(pack.span(), error.to_string()))?;
        let named = capability.ok_or_else(|| missing("capability"))?;
        let capability =
            parse_capability(self.string(named)?).map_err(|error| self.unknown(named.span(), &error))?;
        let scopes = scope.map(|scope| self.scopes(capability, scope)).transpose()?.unwrap_or_default();
        let terms = Terms {
            signer: signer.map(|value| self.signer(value)).transpose()?,
            expires: expires.map(|value| self.time(value)).transpose()?,
            may_disclose: may_disclose.map(|value| self.flag(value)).transpose()?.unwrap_or_default(),
            limits: limits.map(|value| self.limits(value)).transpose()?.unwrap_or_default(),
        };
        let grant = Grant { pack, capability, scopes, terms };
        grant
            .check_form()
            .map_err(|error| self.fail(scope.map_or(named.span(), Spanned::span), error.to_string()))?;
        Ok(grant)
    }

    fn signer(&self, value: &Spanned<DeValue<'_>>) -> Result<Signer, GrantsError> {
        let signer = self.string(value)?.parse();
        signer.map_err(|error: crate::ParseSignerError| self.fail(value.span(), error.to_string()))
    }

    fn time(&self, value: &Spanned<DeValue<'_>>) -> Result<Timestamp, GrantsError> {
        let fail =
            || self.fail(value.span(), "expected a time with its offset, such as 2030-01-31T12:00:00Z");
        let DeValue::Datetime(time) = value.get_ref() else { return Err(fail()) };
        let time: jiff::Timestamp = time.to_string().parse().map_err(|_| fail())?;
        u64::try_from(time.as_millisecond()).map(Timestamp).map_err(|_| fail())
    }

    fn flag(&self, value: &Spanned<DeValue<'_>>) -> Result<bool, GrantsError> {
        value.get_ref().as_bool().ok_or_else(|| {
            self.fail(value.span(), format!("expected true or false, found {}", value.get_ref().type_str()))
        })
    }

    fn limits(&self, value: &Spanned<DeValue<'_>>) -> Result<LimitCaps, GrantsError> {
        let table = value.get_ref().as_table().ok_or_else(|| {
            self.fail(value.span(), "`limits` must be a table, such as { fuel = \"1G\", wall = \"5s\" }")
        })?;
        let mut limits = LimitCaps::new();
        for (name, amount) in table.iter() {
            let kind: LimitKind =
                name.get_ref().parse().map_err(|error: String| self.fail(name.span(), error))?;
            let amount = kind
                .parse_amount(self.string(amount)?)
                .map_err(|error| self.fail(amount.span(), error.to_string()))?;
            limits.lower(kind, amount);
        }
        Ok(limits)
    }

    fn unknown(&self, span: Range<usize>, error: &ParseGrantError) -> GrantsError {
        let hint = match error {
            ParseGrantError::UnknownCapability { suggestion: Some(name), .. } => {
                Some(format!("did you mean `{name}`?"))
            }
            _ => None,
        };
        GrantsError { hint, ..self.fail(span, error.to_string()) }
    }

    fn string<'a>(&self, value: &'a Spanned<DeValue<'_>>) -> Result<&'a str, GrantsError> {
        value.get_ref().as_str().ok_or_else(|| {
            self.fail(value.span(), format!("expected a string, found {}", value.get_ref().type_str()))
        })
    }

    fn scopes(
        &self,
        capability: Capability,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Scope>, GrantsError> {
        let items = value.get_ref().as_array().ok_or_else(|| {
            self.fail(value.span(), "`scope` must be an array of strings, such as [\"workspace:**\"]")
        })?;
        items
            .iter()
            .map(|item| {
                Scope::parse(capability, self.string(item)?)
                    .map_err(|error| self.fail(item.span(), error.to_string()))
            })
            .collect()
    }
}
