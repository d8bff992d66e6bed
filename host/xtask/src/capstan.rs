//! The program `capstan` as `xtask` calls it. Every word that `xtask` relies on is named here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::guest_compiler::GuestCompiler;
use crate::phase;
use crate::tree::Tree;

/// The name, in the home that `xtask` keeps, of the key that signs the reference packs.
const KEY: &str = "publisher";

/// The built program, with a home of its own below the target folder: the key that it makes there
/// is this clone's, and no operator's home is touched.
pub(crate) struct Capstan {
    program: PathBuf,
    home: PathBuf,
}

impl Capstan {
    /// Builds the program.
    pub(crate) fn build(tree: &Tree) -> Result<Self, Failure> {
        phase::run("build capstan", tree.cargo("build", ".").arg("--workspace"))?;
        let program = tree.target().join("debug").join(format!("capstan{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { program, home: tree.kept()?.join("home") })
    }

    /// Compiles the project at `project` into its `dist` folder.
    pub(crate) fn build_pack(
        &self,
        project: &Path,
        compiler: &GuestCompiler,
        target: &Path,
    ) -> Result<(), Failure> {
        let mut command = self.command();
        command.args(["pack", "build"]).arg(project).env("CARGO_TARGET_DIR", target);
        compiler.prepare_capstan(&mut command);
        phase::run(&format!("build {}", shown(project)), &mut command)
    }

    /// Makes a pack in the project's `dist` folder of a component that other tools made.
    pub(crate) fn build_component_pack(&self, project: &Path, component: &Path) -> Result<(), Failure> {
        let mut command = self.command();
        command.args(["pack", "build"]).arg(project).arg("--component").arg(component);
        phase::run(&format!("build {}", shown(project)), &mut command)
    }

    /// Signs what `build_pack` wrote, with the publisher's key.
    pub(crate) fn sign_pack(&self, project: &Path) -> Result<(), Failure> {
        let mut command = self.command();
        command.args(["pack", "sign"]).arg(project).args(["--key", KEY]);
        phase::run(&format!("sign {}", shown(project)), &mut command)
    }

    /// Compiles and signs a project whose manifest and component contradict each other, which
    /// `pack build` and `pack sign` refuse: for tests of the refusal.
    pub(crate) fn build_unchecked(
        &self,
        project: &Path,
        compiler: &GuestCompiler,
        target: &Path,
    ) -> Result<(), Failure> {
        let mut command = self.command();
        command.args(["internal", "sign-unchecked"]).arg(project).args(["--key", KEY]);
        command.env("CARGO_TARGET_DIR", target);
        compiler.prepare_capstan(&mut command);
        phase::run(&format!("build and sign {} unchecked", shown(project)), &mut command)
    }

    /// The program's path.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The fingerprint of the publisher's key, which is made if there is none.
    pub(crate) fn publisher(&self) -> Result<String, Failure> {
        let listed = phase::output(self.command().args(["key", "list"]))?;
        // The listing has a line for each key, which starts with its name.
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(KEY));
        let printed = match line {
            Some(line) => line.to_owned(),
            None => phase::output(self.command().args(["key", "new", KEY, "--role", "pack"]))?,
        };
        fingerprint_in(&printed)
            .map(str::to_owned)
            .ok_or_else(|| Failure::new("`capstan key` printed no fingerprint"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home);
        command
    }
}

/// The first fingerprint in `text`: eight groups of four base32 characters, joined by `-`.
fn fingerprint_in(text: &str) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(|c: char| !is_word(c)).find(|word| {
        let groups: Vec<&str> = word.split('-').collect();
        groups.len() == 8
            && groups.iter().all(|group| {
                group.len() == 4
                    && group.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
            })
    })
}

fn shown(project: &Path) -> String {
    let name = project.file_name().unwrap_or(project.as_os_str());
    format!("pack `{}`", name.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567";

    #[test]
    fn a_fingerprint_is_found_in_text_and_in_json() {
        assert_eq!(fingerprint_in(&format!("new key {FINGERPRINT}\n")), Some(FINGERPRINT));
        assert_eq!(fingerprint_in(&format!("{{\"fingerprint\":\"{FINGERPRINT}\"}}")), Some(FINGERPRINT));
    }

    #[test]
    fn what_is_almost_a_fingerprint_is_not_one() {
        for text in [
            "",
            &FINGERPRINT[5..],
            &FINGERPRINT.to_uppercase(),
            &FINGERPRINT.replace('7', "8"),
            &format!("{FINGERPRINT}-abcd"),
        ] {
            assert_eq!(fingerprint_in(text), None, "{text}");
        }
    }
}
