//! `grant tighten`: the recorded use of a pack, and the smallest grants that cover it.

use std::collections::{BTreeMap, BTreeSet};

use authority::{Given, Grant, Grants, Kept, Signer, Standing, Terms, Tightening};
use base::{Capability, OperationName, PackId, Refusal, Uses};
use journal::Event;
use pack::VerifiedPack;

use crate::Error;
use crate::app::App;
use crate::packs::parse_id;
use crate::time::rfc3339;
use crate::view::{TightenView, TightenedView};

/// What the journal holds of a pack's calls.
#[derive(Default)]
struct Record {
    calls: u64,
    runs: u64,
    /// Calls of which it is not recorded what they reached.
    unrecorded: u64,
    /// Runs whose rows cannot be read.
    damaged: u64,
    operations: BTreeSet<OperationName>,
    used: BTreeMap<Capability, Uses>,
}

impl App {
    /// The smallest grants that cover what an installed pack used in the journal's runs, in place of
    /// those in force. With `apply` they are written.
    ///
    /// # Errors
    /// If the pack is not installed, or the journal cannot be read.
    pub fn grant_tighten(&self, pack: &str, apply: bool) -> Result<TightenView, Error> {
        let id = parse_id(pack)?;
        let installed = self.load_pack(&id)?;
        let record = self.record(&id)?;
        let rows = |grants: &Grants| {
            if record.calls == 0 { Vec::new() } else { self.tightened(&installed, grants, &record) }
        };
        let tightened = if apply && record.calls > 0 {
            self.edit_grants(|grants| {
                let tightened = rows(grants);
                write(grants, &id, &tightened);
                Ok(tightened)
            })?
        } else {
            rows(&self.consent()?.grants)
        };
        let changed = tightened.iter().any(|row| row.before != row.after);
        Ok(TightenView {
            calls: record.calls,
            runs: record.runs,
            unrecorded_calls: record.unrecorded,
            damaged_runs: record.damaged,
            commands: tightened.iter().flat_map(|row| commands(&id, row)).collect(),
            capabilities: tightened.iter().map(row_view).collect(),
            applied: apply && changed,
            pack: id,
        })
    }

    fn tightened(&self, pack: &VerifiedPack, grants: &Grants, record: &Record) -> Vec<Tightening> {
        let manifest = pack.manifest();
        let signer = Signer::of_fingerprint(&pack.signer());
        let standing: Standing = grants.in_force(&manifest.id, &signer, self.clock.now());
        // What a plan wants a grant of when it is checked, whether or not the call will use it.
        let called = record.operations.iter().filter_map(|name| manifest.operations.get(&name.local()));
        let effects: BTreeSet<_> = called.map(|operation| operation.effect).collect();
        let wanted = |capability: &Capability| effects.iter().any(|effect| capability.permitted_by(*effect));
        let needed = manifest.request.iter().map(|(capability, _)| capability).filter(wanted).collect();
        authority::tighten(&manifest.request, &standing, &record.used, &needed)
    }

    fn record(&self, id: &PackId) -> Result<Record, Error> {
        let journal = self.journal()?;
        let mut record = Record::default();
        for entry in journal.runs(usize::MAX).map_err(Refusal::from)? {
            // A damaged run hides no other, and is no proof of what was used.
            let Ok(events) = journal.events(&entry.run) else {
                record.damaged += 1;
                continue;
            };
            let calls = events.iter().filter_map(|row| match &row.event {
                Event::StepCompleted { call, .. } | Event::EffectsStaged { call, .. } => Some(call),
                _ => None,
            });
            let before = record.calls;
            for call in calls.filter(|call| call.operation.pack == *id) {
                let Some(reached) = &call.reached else {
                    record.unrecorded += 1;
                    continue;
                };
                record.calls += 1;
                record.operations.insert(call.operation.clone());
                for (capability, uses) in &reached.0 {
                    record.used.entry(*capability).or_default().join(uses);
                }
            }
            record.runs += u64::from(record.calls > before);
        }
        Ok(record)
    }
}

/// Puts what covers the use in the place of what is in force. What lapsed stays as it is.
fn write(grants: &mut Grants, id: &PackId, tightened: &[Tightening]) {
    for row in tightened {
        let grant = |(scope, terms): &Given| Grant {
            pack: id.clone(),
            capability: row.capability,
            scopes: scope.iter().cloned().collect(),
            terms: terms.clone(),
        };
        for gone in row.before.iter().filter(|given| !row.after.contains(given)) {
            grants.remove(&grant(gone));
        }
        for given in &row.after {
            grants.add(grant(given));
        }
    }
}

/// The commands that do the same by hand.
fn commands(id: &PackId, row: &Tightening) -> Vec<String> {
    let argument = |scope: &Given| {
        let scopes: Vec<_> = scope.0.iter().cloned().collect();
        authority::grant_arguments(row.capability, &scopes).concat()
    };
    let new = row.after.iter().filter(|given| !row.before.contains(given));
    let add = new.map(|given| authority::grant_command(id, &argument(given)) + &options(&given.1));
    let kept: BTreeSet<String> = row.after.iter().map(argument).collect();
    let gone = row.before.iter().map(argument).filter(|text| !kept.contains(text));
    let remove =
        gone.map(|text| authority::grant_command(id, &text).replacen("grant add", "grant remove", 1));
    add.chain(remove).collect()
}

/// Terms as `grant add` takes them.
fn options(terms: &Terms) -> String {
    let mut text = String::new();
    if let Some(expires) = terms.expires {
        text += &format!(" --expires {}", rfc3339(expires));
    }
    if terms.may_disclose {
        text += " --may-disclose";
    }
    for (kind, amount) in terms.limits.iter() {
        text += &format!(" --limit {kind}={}", kind.show(amount));
    }
    text
}

fn row_view(row: &Tightening) -> TightenedView {
    let texts = |given: &[Given]| -> Vec<String> {
        given.iter().map(|(scope, _)| scope.as_ref().map_or("*".into(), ToString::to_string)).collect()
    };
    TightenedView {
        capability: row.capability.to_string(),
        before: texts(&row.before),
        after: texts(&row.after),
        kept: row.kept.map(Kept::as_str),
    }
}
