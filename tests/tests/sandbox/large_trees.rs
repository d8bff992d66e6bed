//! A hundred thousand files, in one folder and in many: listed page by page, in little memory, and in
//! processor time that grows with their number: that of a clock grows with whatever else runs.

use std::fs;

use serde_json::{Value, json};
use tests::Env;

use crate::guest::{call, with_writer};
use crate::limits::peak;

const FILES: usize = 100_000;
/// What the process may grow by, beside a listing of one file.
const GROWTH_MAX: u64 = 32 << 20;
/// A listing ten times as long takes as long as ten listings, and not ten times as long as those.
const SLOWER_MAX: u64 = 4;

/// Files in folders of a thousand, `few` of them in all, or all in one folder.
fn fill(env: &Env, name: &str, count: usize, is_flat: bool) {
    for number in 0..count {
        let folder = env.work().join(name).join(if is_flat {
            String::new()
        } else {
            format!("{:03}", number / 1_000)
        });
        if number % 1_000 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(format!("file with a name {number:06}")), "").unwrap();
    }
}

fn count_of(said: &Value) -> &str {
    said["result"].as_str().unwrap_or_else(|| panic!("{said:#}"))
}

#[test]
fn a_hundred_thousand_files_are_listed_in_little_memory_and_linear_time() {
    let env = with_writer();
    env.write("one/file", "");
    let list = |glob: &str| {
        peak(&env, "test:writer/probe.count-pages", &json!({ "root": "workspace", "glob": glob }))
    };
    let small = list("one/**");
    assert_eq!(count_of(&small.said), "1 in 1, in order true, one/file to one/file");
    for (name, is_flat) in [("many", false), ("flat", true)] {
        fill(&env, name, FILES, is_flat);
        let tenth = format!("{name}-tenth");
        fill(&env, &tenth, FILES / 10, is_flat);
        let ten: u64 = (0..10).map(|_| list(&format!("{tenth}/**")).ticks).sum();
        let all = list(&format!("{name}/**"));
        let (first, last) = if is_flat { ("", "") } else { ("000/", "099/") };
        let expected = format!(
            "{FILES} in 100, in order true, {name}/{first}file with a name 000000 to {name}/{last}file with a name 099999"
        );
        assert_eq!(count_of(&all.said), expected);
        all.assert_grew_at_most(&small, GROWTH_MAX);
        eprintln!("{name}: {} ticks for all, {ten} for a tenth ten times", all.ticks);
        assert!(ten > 0, "what took no time was not measured");
        assert!(all.ticks <= SLOWER_MAX * ten, "{name}: {} ticks, for a tenth ten times {ten}", all.ticks);
        // One that comes with the cursor alone goes on where it was.
        let cursor = format!("{name}/{last}file with a name 099899");
        let arguments = json!({ "root": "workspace", "glob": format!("{name}/**"), "cursor": cursor });
        let page = call(&env, "test:writer/probe.page", &arguments);
        assert_eq!(page["result"], json!([100, null]), "{page:#}");
    }
}
