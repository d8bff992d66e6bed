//! x
#[cfg(test)]
mod t {
#[test]
#[ignore]
fn bench() {
    use std::time::Instant;
    let home = tempfile::tempdir_in("/work/target-r").unwrap();
    let journal = crate::support::open(&home);
    journal.append(crate::support::append(&crate::support::run(1), 0, vec![crate::support::created()])).unwrap();
    let raw = rusqlite::Connection::open(home.path().join("raw.sqlite")).unwrap();
    raw.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; create table t(a integer primary key, b blob)").unwrap();
    let (mut ours, mut bare) = (vec![], vec![]);
    for n in 0..2000u64 {
        let t = Instant::now();
        journal.append(crate::support::append(&crate::support::run(1), n + 1, vec![crate::support::note(&"x".repeat(300))])).unwrap();
        ours.push(t.elapsed());
        let t = Instant::now();
        raw.execute("insert into t(b) values (?1)", [vec![0u8; 300]]).unwrap();
        bare.push(t.elapsed());
    }
    ours.sort(); bare.sort();
    println!("ours p50 {:?} p99 {:?}  bare p50 {:?} p99 {:?}", ours[1000], ours[1980], bare[1000], bare[1980]);
}
}
