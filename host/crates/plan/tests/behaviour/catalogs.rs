//! What comes from the catalog: into the steps, and into what is suggested.

use base::{Capability, Digest, Effect, Limits, OperationName, PackId};
use plan::{Catalog, CatalogOperation, CatalogPack, Checked, MissingGrant, PlanSource, check};
use values::FunctionType;

const GRANT: &str = "files-write=workspace:it's/**";

/// `acme:none` has no operation, every other pack some without parameters.
struct Packs {
    operations: usize,
    granted: bool,
}

impl Catalog for Packs {
    fn pack(&self, id: &PackId) -> Option<CatalogPack> {
        let statement = Digest::of(id.to_string().as_bytes());
        Some(CatalogPack { version: semver::Version::new(0, 1, 0), statement })
    }

    fn operation(&self, name: &OperationName) -> Option<CatalogOperation> {
        let missing = MissingGrant {
            capability: Capability::FilesWrite,
            grant: GRANT.to_owned(),
            flags: String::new(),
            lapsed: None,
        };
        // The eighth only reads, and asks for what it could disclose.
        let discloses = name.function.as_str() == "op7";
        self.operations(&name.pack).contains(name).then(|| CatalogOperation {
            function: FunctionType { params: Vec::new(), result: None },
            effect: if discloses { Effect::Read } else { Effect::Write },
            idempotent: false,
            limits: Limits { fuel: 7, ..Limits::DEFAULT },
            request: vec![Capability::FilesWrite],
            missing: if self.granted { Vec::new() } else { vec![missing] },
            discloses,
            authority: Digest::of(b"authority"),
        })
    }

    fn operations(&self, id: &PackId) -> Vec<OperationName> {
        let count = if id.to_string() == "acme:none" { 0 } else { self.operations };
        (0..count).map(|n| OperationName::in_pack(id.clone(), &format!("one.op{n}")).unwrap()).collect()
    }

    fn packs(&self) -> Vec<PackId> {
        ["acme:many", "acme:more", "acme:none"].map(|id| id.parse().unwrap()).to_vec()
    }
}

fn calling(calls: &[&str], catalog: &Packs) -> Checked {
    let packs = "packs: { many: acme:many ^0.1, more: acme:more ^0.1, none: acme:none ^0.1 }";
    let step = |(index, call): (usize, &&str)| format!("  s{index}: {{ call: {call} }}\n");
    let steps: String = calls.iter().enumerate().map(step).collect();
    let text = format!("schema: capstan.plan/v1\nname: a\n{packs}\nsteps:\n{steps}");
    check(&PlanSource { name: "a.yaml", text: &text }, catalog)
}

/// A step that may have to stop before a request is one with side effects in all but its effect.
#[test]
fn a_step_that_discloses_is_gated_as_external_and_keeps_its_place() {
    let calls = ["many/one.op0", "many/one.op7", "many/one.op1"];
    let checked = calling(&calls, &Packs { operations: 8, granted: true });
    let gates: Vec<_> =
        checked.gates.iter().map(|gate| (gate.effect.as_str(), gate.reason.as_str())).collect();
    assert_eq!(gates, [("write", "effect"), ("external", "disclosure"), ("write", "effect")]);
    let json = checked.to_json();
    assert_eq!(json["gates"][1]["reason"], "disclosure");
    assert_eq!(
        (&json["effects"][1]["effect"], &json["effects"][1]["discloses"]),
        (&"read".into(), &true.into())
    );
    assert_eq!(json["effects"][0]["discloses"], false);
    let plan = checked.plan.unwrap();
    let needs = |step: usize| plan.steps[step].depends_on.iter().map(|id| id.as_str()).collect::<Vec<_>>();
    assert_eq!((needs(1), needs(2)), (vec!["s0"], vec!["s1"]));
    assert!(plan.steps[1].gate && plan.steps[1].discloses);
}

#[test]
fn a_step_holds_what_the_catalog_says() {
    let plan = calling(&["many/one.op0"], &Packs { operations: 1, granted: true }).plan.unwrap();
    let step = &plan.steps[0];
    assert_eq!((step.effect, step.idempotent, step.gate), (Effect::Write, false, true));
    assert_eq!(step.limits, Limits { fuel: 7, ..Limits::DEFAULT });
    assert_eq!(step.capabilities, [Capability::FilesWrite]);
    assert_eq!(step.authority, Digest::of(b"authority"));
    assert_eq!(step.statement, Digest::of(b"acme:many"));
    assert_eq!((step.at.line, step.at.column), (5, 3));
}

#[test]
fn a_grant_is_quoted_for_the_shell() {
    let checked = calling(&["many/one.op0"], &Packs { operations: 1, granted: false });
    let fix = r"capstan grant add acme:many 'files-write=workspace:it'\''s/**'";
    assert_eq!(checked.diagnostics[0].fix.as_deref(), Some(fix));
}

#[test]
fn a_grant_is_missing_once_for_each_pack() {
    let calls = ["many/one.op0", "more/one.op0", "many/one.op0"];
    let found = calling(&calls, &Packs { operations: 1, granted: false }).diagnostics;
    let fixes: Vec<&str> = found.iter().filter_map(|found| found.fix.as_deref()?.split(' ').nth(3)).collect();
    assert_eq!(fixes, ["acme:many", "acme:more"]);
    assert_eq!(found[0].related.len(), 1);
}

#[test]
fn a_few_operations_are_told_if_there_are_any() {
    let catalog = Packs { operations: 20, granted: true };
    let expected = calling(&["many/two.absent"], &catalog).diagnostics.remove(0).expected.unwrap();
    assert_eq!(expected.matches("one.op").count(), 12);
    let found = calling(&["none/one.op0"], &catalog).diagnostics.remove(0);
    assert_eq!((found.expected, found.fix.as_deref()), (None, Some("call another pack")));
}
