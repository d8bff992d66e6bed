//! `{{publisher}}:{{name}}`: short notes.

use capstan_sdk::files;
use exports::capstan::pack::health;
use exports::{{publisher_snake}}::{{name_snake}}::{{name_snake}}::{Guest, Heading};

capstan_sdk::pack!(Pack);

impl Guest for Pack {
    fn draft(title: String, points: Vec<String>) -> String {
        let points: String = points.iter().map(|point| format!("- {point}\n")).collect();
        format!("# {title}\n\n{points}")
    }

    fn outline(path: String) -> Result<Vec<Heading>, String> {
        // `?` turns the SDK's error into a text that names the file and, if denied, the grant.
        let text = files::read_text("workspace", &path)?;
        Ok(headings(&text))
    }
}

impl health::Guest for Pack {
    fn check() -> Result<String, String> {
        Ok("ready".to_owned())
    }
}

fn headings(text: &str) -> Vec<Heading> {
    let headings = (1..).zip(text.lines()).filter_map(|(line, content)| {
        let title = content.trim_start_matches('#');
        let level = content.len() - title.len();
        let text = title.strip_prefix(' ')?.trim().to_owned();
        (1..=6).contains(&level).then_some(Heading { line, level: level as u32, text })
    });
    headings.collect()
}

// Run with `cargo test` on your machine: no host is needed where none is called.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_has_a_title_and_its_points() {
        let draft = Pack::draft("Plan".into(), vec!["sign".into(), "install".into()]);
        assert_eq!(draft, "# Plan\n\n- sign\n- install\n");
    }

    #[test]
    fn headings_have_line_and_level() {
        let found = headings("# Title\n\ntext\n## Part\n#no\n");
        let found: Vec<_> = found.iter().map(|h| (h.line, h.level, h.text.as_str())).collect();
        assert_eq!(found, [(1, 1, "Title"), (4, 2, "Part")]);
    }
}
