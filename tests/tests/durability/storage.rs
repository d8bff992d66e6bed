//! A full disk and a home that cannot be written: a clear error, and nothing is lost.

use std::process::{Command, Stdio};

use tests::Outcome;
use tests::env::finish;

use crate::scene::{BASE, Scene};

/// Runs a shell script with the program's environment; `$CAPSTAN` is the program.
fn script(scene: &Scene, shell: &[&str], text: &str) -> Outcome {
    let prototype = scene.env.command::<&str>([]);
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(text).current_dir(scene.env.work());
    command.stdin(Stdio::null()).env_clear().env("CAPSTAN", tests::program());
    for (name, value) in prototype.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    finish(&mut command)
}

/// Whether a mount namespace can be had; says loudly if not.
fn can_mount(scene: &Scene) -> bool {
    let made = script(scene, &["unshare", "-m", "sh"], "mount -t tmpfs none /mnt").code == Some(0);
    if !made {
        eprintln!("SKIP: no mount namespace here, so a full disk and a read-only one are not tested");
    }
    made
}

/// Asserts that an outcome is one clear error of the journal, not a panic.
#[track_caller]
fn assert_refused(outcome: Outcome) -> Outcome {
    let outcome = outcome.exits(1).says("E-JOURNAL-UNAVAILABLE");
    assert!(!outcome.said().contains("panicked"), "{}", outcome.said());
    outcome
}

/// With the files' sizes limited, whatever is run cannot write its commit.
fn limited(scene: &Scene, words: &str) -> Outcome {
    script(scene, &["sh"], &format!("trap '' XFSZ; ulimit -f 8; exec \"$CAPSTAN\" {words}"))
}

#[test]
fn a_file_size_limit_is_an_error_and_the_run_resumes() {
    let scene = Scene::new();
    let runs = scene.runs();
    drop(assert_refused(limited(&scene, "plan run witness.plan.yaml")));
    assert_eq!(scene.runs(), runs, "what was not recorded did not begin");
    let id = scene.stage(&[]);
    drop(assert_refused(limited(&scene, &format!("approve {id}"))));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
    drop(scene.run(&["approve", &id]).exits(0));
    scene.assert_done_once(BASE);
    drop(assert_refused(limited(&scene, "run undo last")));
    scene.assert_done_once(BASE);
    drop(scene.run(&["run", "undo", "last"]).exits(0));
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
}

/// Everything happens in one mount namespace, which ends with the script.
const FULL: &str = r#"
set -eu
mv "$CAPSTAN_HOME" "$CAPSTAN_HOME.kept" && mkdir "$CAPSTAN_HOME"
mount -t tmpfs -o size=8m,mode=700 none "$CAPSTAN_HOME"
cp -a "$CAPSTAN_HOME.kept/." "$CAPSTAN_HOME"
code() { set +e; "$CAPSTAN" "$@" >out 2>&1; echo "exit $?"; set -e; cat out; rm out; }
code plan run witness.plan.yaml
dd if=/dev/zero of="$CAPSTAN_HOME/filler" bs=4k 2>/dev/null || true
echo "== full"
code approve last
echo "== start"
code plan run witness.plan.yaml
cmp note.txt before.txt
rm "$CAPSTAN_HOME/filler"
echo "== space"
code run list
code approve last || true
code run show last
"#;

#[test]
fn a_full_disk_is_an_error_and_the_run_resumes() {
    let scene = Scene::new();
    if !can_mount(&scene) {
        return;
    }
    scene.env.write("before.txt", BASE);
    let outcome = script(&scene, &["unshare", "-m", "sh"], FULL).exits(0);
    let part = |from: &str, to: &str| {
        let tail = outcome.stdout.split(from).nth(1).expect("the script got there");
        tail.split(to).next().unwrap_or_default().to_owned()
    };
    for full in [part("== full", "== start"), part("== start", "== space")] {
        assert!(full.contains("exit 1") && full.contains("E-JOURNAL-UNAVAILABLE"), "{full}");
        assert!(full.contains("is full") && !full.contains("panicked"), "{full}");
    }
    let space = part("== space", "== never");
    assert!(space.contains("completed"), "{}", outcome.said());
    assert_eq!(scene.env.read("note.txt"), Some(format!("{BASE}effect\n")), "{}", outcome.said());
}

const READ_ONLY: &str = r#"
set -eu
mount --bind "$CAPSTAN_HOME" "$CAPSTAN_HOME" && mount -o remount,ro,bind "$CAPSTAN_HOME"
set +e
for words in "approve last" "run resume last" "plan run witness.plan.yaml"; do
  echo "== $words"; "$CAPSTAN" $words 2>&1; echo "exit $?"
done
"#;

#[test]
fn a_read_only_home_is_an_error_and_the_run_resumes() {
    let scene = Scene::new();
    if !can_mount(&scene) {
        return;
    }
    let id = scene.stage(&[]);
    let outcome = script(&scene, &["unshare", "-m", "sh"], READ_ONLY).exits(0);
    let parts: Vec<_> = outcome.stdout.split("== ").skip(1).collect();
    assert_eq!(parts.len(), 3, "{}", outcome.said());
    for part in parts {
        assert!(part.contains("exit 1") && !part.contains("panicked"), "{part}");
        assert!(part.contains("cannot be written") || part.contains("E-JOURNAL-UNAVAILABLE"), "{part}");
    }
    assert_eq!(scene.env.read("note.txt").as_deref(), Some(BASE));
    drop(scene.run(&["approve", &id]).exits(0));
    scene.assert_done_once(BASE);
}
