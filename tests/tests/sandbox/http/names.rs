//! What names answer, and what a request for them comes to.

use std::net::IpAddr;

use super::world::{Answers, PUBLIC_V4, PUBLIC_V6};

fn addresses(texts: &[&str]) -> Answers {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Names that always answer the same.
pub(crate) fn fixed() -> Vec<(String, Answers, &'static str)> {
    let (good4, good6) = (PUBLIC_V4, PUBLIC_V6);
    let rows: &[(&str, &[&str], &'static str)] = &[
        ("good.example", &[good4], "returned"),
        ("both.example", &[good4, good6], "returned"),
        ("six.example", &[good6], "returned"),
        ("nothing.example", &[], "resolve"),
        ("loop.example", &["127.0.0.1"], "refused-address"),
        ("metadata.example", &["169.254.169.254"], "refused-address"),
        ("metadata.google.internal", &["169.254.169.254"], "refused-address"),
        ("private.example", &["10.1.2.3"], "refused-address"),
        ("here.example", &["0.0.0.0"], "refused-address"),
        ("six-loop.example", &["::1"], "refused-address"),
        ("six-private.example", &["fd00:ec2::254"], "refused-address"),
        ("mapped.example", &["::ffff:127.0.0.1"], "refused-address"),
        ("nat64.example", &["64:ff9b::7f00:1"], "refused-address"),
        ("sixtofour.example", &["2002:7f00:1::1"], "refused-address"),
        ("good-then-bad.example", &[good4, "10.0.0.1"], "refused-address"),
        ("bad-then-good.example", &["10.0.0.1", good4], "refused-address"),
        ("good-four-bad-six.example", &[good4, "::1"], "refused-address"),
        ("bad-four-good-six.example", &["127.0.0.1", good6], "refused-address"),
        ("127.0.0.1.nip.example", &["127.0.0.1"], "refused-address"),
        ("a.b.c.d.e.f.g.example", &["192.168.1.1"], "refused-address"),
    ];
    let mut all: Vec<_> = rows
        .iter()
        .map(|(name, answers, expected)| ((*name).to_owned(), addresses(answers), *expected))
        .collect();
    // One bad address at each place of a long answer.
    for bad in 0..20 {
        let good = (1..=20).map(|last| format!("11.22.33.{last}").parse::<IpAddr>().unwrap());
        let mut answers: Answers = good.collect();
        answers[bad] = "172.16.0.1".parse().unwrap();
        all.push((format!("long-{bad}.example"), answers, "refused-address"));
    }
    all
}

/// What a lookup answers, and what the call comes to.
type Step = (Answers, &'static str);

/// Twenty names, each with four lookups, of which at least one is public and one is not.
pub(crate) fn schedules() -> Vec<(String, Vec<Step>)> {
    let special = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "100.64.0.1", "::1", "fd00::1"];
    let step = |number: usize, place: usize| -> Step {
        let bad = special[(number + place) % special.len()];
        // Bits of the number choose; every fifth schedule mixes both into one answer.
        match (number + 1) >> place & 1 {
            0 => (addresses(&[PUBLIC_V4]), "returned"),
            _ if number.is_multiple_of(5) => (addresses(&[PUBLIC_V4, bad]), "refused-address"),
            _ => (addresses(&[bad]), "refused-address"),
        }
    };
    let numbers = (0..32).filter(|number| !matches!((number + 1) % 16, 0 | 15));
    numbers
        .take(20)
        .map(|number| (format!("turns-{number}.example"), (0..4).map(|place| step(number, place)).collect()))
        .collect()
}
