//! Installing packages of Debian's.

use std::process::Command;

use crate::failure::Failure;
use crate::phase;

/// Whether this is Debian or the like, and this user may install something.
pub(crate) fn can_install() -> bool {
    phase::succeeds(Command::new("apt-get").arg("--version"))
        && phase::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs them, and what they need.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    // An old index names versions that the mirrors no longer have; a failed update may still do.
    if let Err(failure) = phase::run("apt-get update", Command::new("apt-get").arg("update")) {
        phase::say(&format!("xtask: going on with the old package index: {failure}"));
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    let install = install.env("DEBIAN_FRONTEND", "noninteractive");
    phase::run(&format!("apt-get install {}", packages.join(" ")), install)
}
