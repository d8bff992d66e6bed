//! SIGKILL from outside, at moments that nobody chose.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::scene::{BASE, Scene};
use crate::sweep::{settle_approved, settle_start};

/// A small generator with a fixed seed: the same moments in each run of the suite.
struct Moments(u64);

impl Moments {
    /// A moment in the first `within`.
    fn next(&mut self, within: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let micros = u64::try_from(within.as_micros()).expect("seconds").max(1);
        Duration::from_micros(self.0 % micros)
    }
}

fn rounds() -> u32 {
    if std::env::var_os("CAPSTAN_TEST_LONG").is_some() { 100 } else { 20 }
}

/// Starts a command and kills it after `moment`, unless it was quicker.
fn kill_after(scene: &Scene, words: &[&str], moment: Duration) {
    let mut command = scene.env.command(words);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    while start.elapsed() < moment && child.try_wait().expect("it is ours").is_none() {
        std::thread::yield_now();
    }
    // It may have ended by itself; then there is nothing to kill.
    drop(child.kill());
    drop(child.wait());
}

#[test]
fn a_run_killed_from_outside_at_any_moment_ends_the_same() {
    let scene = Scene::new();
    let mut moments = Moments(0x5eed_cafe_f00d_0001);
    let clock = Instant::now();
    let id = scene.stage(&[]);
    let start_takes = clock.elapsed();
    let clock = Instant::now();
    drop(scene.run(&["approve", &id]).exits(0));
    let approve_takes = clock.elapsed();
    scene.assert_done_once(BASE);
    for round in 0..rounds() {
        scene.env.write("note.txt", BASE);
        if round % 2 == 0 {
            let runs = scene.runs();
            kill_after(&scene, &["plan", "run", "witness.plan.yaml"], moments.next(start_takes));
            settle_start(&scene, runs, BASE);
        } else {
            let id = scene.stage(&[]);
            kill_after(&scene, &["approve", &id], moments.next(approve_takes));
            settle_approved(&scene, BASE);
        }
    }
}
