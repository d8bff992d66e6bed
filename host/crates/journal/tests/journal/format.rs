//! The on-disk form of every event. A difference here is a new row version, never an edit.

use base::{Attempt, Change, ChangeKind, ChangeSet, Reached, Timestamp, Usage, Uses};
use journal::{
    BudgetRecord, CallRecord, Conflict, DeniedCall, Event, Failure, FailureClass, HeldRecord, HowApplied,
    Mode, PackRecord, Payload, Receipt, RootRecord, RunCreated, StaleCause, Staleness, StepRecord,
};

use crate::support::{digest, open, requested, run};

fn every_event() -> Vec<Event> {
    let (step, path, attempt) = ("save".parse().unwrap(), "save[2]".parse().unwrap(), Attempt(2));
    let call = CallRecord {
        operation: "acme:notes/notes.draft".parse().unwrap(),
        input: digest(1),
        output: Some(Payload::Inline(serde_json::json!({"a": [1, 0.5, null]}))),
        usage: Usage {
            fuel: 1,
            wall_us: 2,
            memory_bytes: 3,
            host_call_bytes: 4,
            host_calls: 5,
            stdio_bytes: 6,
            files: 7,
            file_bytes: 8,
            model_tokens: 9,
            model_cost: 10,
        },
        denied: vec![DeniedCall {
            capability: base::Capability::FilesRead,
            what: "workspace:a".into(),
            reason: "not granted".into(),
            grant: Some("files-read=workspace:a".into()),
        }],
        reached: Some(Reached(
            [(
                base::Capability::FilesRead,
                Uses { places: ["workspace:b".into()].into(), ..Uses::default() },
            )]
            .into(),
        )),
        log: Some(digest(2)),
    };
    // As rows were written before there was such a record.
    let old_call = CallRecord { output: None, reached: None, ..call.clone() };
    let change = Change {
        root: "workspace".parse().unwrap(),
        path: "a".into(),
        kind: ChangeKind::Create,
        pre: None,
        post: Some(digest(3)),
        mode: Some(0o755),
    };
    let receipt = vec![Receipt { root: change.root.clone(), path: "a".into(), how: HowApplied::Exchanged }];
    let conflict =
        Conflict { root: change.root.clone(), path: "a".into(), found: Some(digest(4)), message: "m".into() };
    let created = RunCreated {
        plan: "p".into(),
        plan_digest: digest(1),
        planfile: digest(2),
        planfile_name: "p.plan.md".into(),
        inputs: Payload::Artifact { digest: digest(3), bytes: 20_000 },
        roots: vec![RootRecord { name: change.root.clone(), path: "/w".into(), inode: 1, device: 2 }],
        packs: vec![PackRecord {
            id: "acme:notes".parse().unwrap(),
            version: "1.0.0".into(),
            statement: digest(4),
        }],
        steps: vec![StepRecord {
            id: "save".parse().unwrap(),
            operation: "acme:notes/notes.draft".parse().unwrap(),
            effect: base::Effect::Write,
            depends_on: vec!["page".parse().unwrap()],
            fan_out: Some(4),
            gate: true,
            expires_ms: Some(1),
            idempotent: true,
            discloses: true,
        }],
        budget: BudgetRecord {
            calls: 1,
            fuel: 2,
            wall_ms: 3,
            files: 4,
            file_bytes: 5,
            model_tokens: 6,
            model_cost: 7,
        },
        policy: digest(5),
        mode: Mode::Solo,
        started_by: "s".into(),
    };
    let failure = Failure {
        class: FailureClass::Trapped,
        code: "E-CALL-TRAPPED".into(),
        message: "m".into(),
        trap: Some("fuel".into()),
    };
    let stale = vec![Staleness { cause: StaleCause::Target, detail: "d".into() }];
    let changes = ChangeSet::new([change]);
    let denied = Vec::new();
    vec![
        Event::RunCreated(Box::new(created)),
        Event::RunClaimed { epoch: 1, pid: 2 },
        Event::FanOutExpanded { step, items: 3 },
        Event::StepCompleted { path, attempt, call },
        Event::StepFailed {
            path: "save".parse().unwrap(),
            attempt,
            failure,
            usage: Usage::default(),
            denied,
            log: None,
        },
        Event::EffectsStaged { path: "save".parse().unwrap(), attempt, call: old_call, changes },
        Event::CallHeld {
            path: "save".parse().unwrap(),
            attempt,
            held: HeldRecord {
                operation: "acme:notes/notes.draft".parse().unwrap(),
                input: digest(1),
                capability: base::Capability::HttpSend,
                target: "POST https://example.com/a".into(),
                request: digest(2),
                tape: digest(3),
                number: 0,
            },
            usage: Usage::default(),
            denied: Vec::new(),
            log: None,
        },
        Event::CallAnswered {
            path: "save".parse().unwrap(),
            attempt,
            tape: digest(4),
            summary: "201, 4 bytes".into(),
        },
        Event::CallRehearsed {
            path: "save".parse().unwrap(),
            attempt,
            usage: Usage { fuel: 1, wall_us: 2, ..Usage::default() },
        },
        requested(1).0,
        Event::ApprovalGranted { digest: digest(1), statement: digest(2), approver: "k".into() },
        Event::ApprovalRejected { digest: digest(1), by: "b".into(), reason: None },
        Event::ApprovalConsumed { digest: digest(1) },
        Event::EffectsIntended { step: "save".parse().unwrap(), attempt },
        Event::EffectsApplied { step: "save".parse().unwrap(), attempt, receipt: receipt.clone() },
        Event::EffectsConflicted {
            step: "save".parse().unwrap(),
            attempt,
            receipt: receipt.clone(),
            conflicts: vec![conflict],
        },
        Event::EffectsStale { step: "save".parse().unwrap(), attempt, changed: stale },
        Event::RunYielded { code: "E-X".into(), message: "m".into(), step: None },
        Event::RunCompleted { outputs: Payload::Inline(serde_json::json!({})) },
        Event::RunFailed { code: "E-X".into(), message: "m".into() },
        Event::RunCancelled { by: "b".into(), reason: Some("r".into()) },
        Event::UndoIntended { step: "save".parse().unwrap(), attempt },
        Event::EffectsUndone { step: "save".parse().unwrap(), attempt, receipt },
    ]
}

#[test]
fn every_event_has_its_recorded_form() {
    let lines: Vec<String> =
        every_event().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let recorded: Vec<&str> = include_str!("format.ndjson").lines().collect();
    for (line, recorded) in lines.iter().zip(&recorded) {
        assert_eq!(line, recorded);
    }
    assert_eq!(lines.len(), recorded.len());
}

/// What was recorded before files had a budget and changes had permission bits: no budget of files
/// ends such a run.
#[test]
fn what_was_recorded_before_is_read() {
    let is_new = |event: &Event| {
        matches!(event, Event::CallHeld { .. } | Event::CallAnswered { .. } | Event::CallRehearsed { .. })
    };
    let known = every_event().into_iter().filter(|event| !is_new(event));
    for (line, event) in include_str!("format-without-files.ndjson").lines().zip(known) {
        let read: Event = serde_json::from_str(line).unwrap();
        match (&read, &event) {
            (Event::RunCreated(read), Event::RunCreated(_)) => {
                assert_eq!((read.budget.files, read.budget.file_bytes), (u64::MAX, u64::MAX));
                assert_eq!((read.budget.model_tokens, read.budget.model_cost), (u64::MAX, u64::MAX));
                assert!(!read.steps[0].discloses);
            }
            (Event::StepCompleted { call, .. }, _) => {
                assert_eq!((call.usage.stdio_bytes, call.usage.files, call.usage.file_bytes), (6, 0, 0));
                assert_eq!((call.usage.model_tokens, call.usage.model_cost), (0, 0));
            }
            (Event::EffectsStaged { changes, .. }, _) => assert_eq!(changes.changes()[0].mode, None),
            _ => assert_eq!(read.kind(), event.kind()),
        }
    }
}

#[test]
fn every_event_comes_back_from_the_file() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let append = journal::Append {
        run: run(1),
        expected: 0,
        at: Timestamp(1),
        events: every_event(),
        artifacts: Vec::new(),
    };
    let written = journal.append(append).unwrap();
    let read = journal.events(&run(1)).unwrap();
    assert_eq!(written, read);
    let kinds: std::collections::BTreeSet<_> = read.iter().map(|record| record.event.kind()).collect();
    assert_eq!(kinds.len(), read.len(), "each kind once");
    for record in &read {
        let json = serde_json::to_value(&record.event).unwrap();
        assert_eq!(json["event"], record.event.kind(), "the index column and the body say the same");
    }
}

#[test]
fn the_leaf_is_rfc_6962_over_the_rows_columns() {
    let home = tempfile::tempdir().unwrap();
    let journal = open(&home);
    let event = Event::RunClaimed { epoch: 1, pid: 2 };
    let append = journal::Append {
        run: run(1),
        expected: 0,
        at: Timestamp(0x0102),
        events: vec![event.clone()],
        artifacts: Vec::new(),
    };
    let leaf = journal.append(append).unwrap()[0].leaf;
    let mut entry = vec![0];
    entry.extend(24_u64.to_le_bytes());
    entry.extend(b"010101010101010101010101");
    entry.extend(0_u64.to_le_bytes());
    entry.extend(0x0102_u64.to_le_bytes());
    entry.extend(1_u32.to_le_bytes());
    entry.extend(serde_json::to_vec(&event).unwrap());
    assert_eq!(leaf, base::Digest::of(&entry));
}

/// The very same call made twice is two calls, and the first has the digest that it always had.
#[test]
fn a_held_call_is_told_from_the_same_one_before_it() {
    let held = every_event().into_iter().find_map(|event| match event {
        Event::CallHeld { held, .. } => Some(held),
        _ => None,
    });
    let first = held.unwrap();
    let old = base::FramedHasher::new("capstan/held-call/v1").field("http-send").digest(&digest(2));
    assert_eq!(first.digest(), old.finish());
    let second = HeldRecord { number: 1, ..first.clone() };
    let third = HeldRecord { number: 2, ..first.clone() };
    assert_eq!(std::collections::BTreeSet::from([&first, &second, &third].map(HeldRecord::digest)).len(), 3);
    let json = serde_json::to_string(&second).unwrap();
    assert_eq!(serde_json::from_str::<HeldRecord>(&json).unwrap(), second);
}

#[test]
fn each_field_of_a_binding_changes_the_approvals_digest() {
    let (Event::ApprovalRequested { digest: whole, binding, .. }, _) = requested(1) else { panic!() };
    let mut seen = std::collections::BTreeSet::from([whole]);
    let other = digest(200);
    let variants = [
        journal::ApprovalBinding { run: crate::support::run(9), ..binding.clone() },
        journal::ApprovalBinding { plan: other, ..binding.clone() },
        journal::ApprovalBinding { path: "save[0]".parse().unwrap(), ..binding.clone() },
        journal::ApprovalBinding { attempt: Attempt(2), ..binding.clone() },
        journal::ApprovalBinding { statement: other, ..binding.clone() },
        journal::ApprovalBinding { operation: "acme:notes/notes.send".parse().unwrap(), ..binding.clone() },
        journal::ApprovalBinding { input: other, ..binding.clone() },
        journal::ApprovalBinding { authority: other, ..binding.clone() },
        journal::ApprovalBinding { effects: other, ..binding.clone() },
        journal::ApprovalBinding { policy: other, ..binding.clone() },
    ];
    for variant in variants {
        assert!(seen.insert(variant.digest()), "{variant:?}");
    }
    // The definition, written out: domain, NUL, then each field with its length.
    let mut bytes = b"capstan/approval/v1\0".to_vec();
    let zero = digest(0);
    let one = 1_u64.to_le_bytes();
    let run = run(1);
    let zero = zero.as_bytes().as_slice();
    let operation = b"acme:notes/notes.draft".as_slice();
    let fields = [run.as_str().as_bytes(), zero, b"save", &one, zero, operation, zero, zero, zero, zero];
    for field in fields {
        bytes.extend((field.len() as u64).to_le_bytes());
        bytes.extend(field);
    }
    assert_eq!(whole, base::Digest::of(&bytes));
}
