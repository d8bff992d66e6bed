//! Finding, or installing, a compiler for guests: `wasm32-unknown-unknown`.
//!
//! A [`GuestCompiler`] is an environment and some arguments for `cargo build`. `capstan pack build`
//! starts cargo itself: it inherits the one, and takes the other from a variable of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::{debian, phase};

/// What guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Where `capstan pack build` finds arguments for cargo.
const CAPSTAN_CARGO_ARGUMENTS: &str = "CAPSTAN_GUEST_CARGO_ARGS";

const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_STD_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";

/// Which compiler to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The toolchain in use, else rustup's download, else Debian's package.
    FirstFound,
    /// Debian's package.
    Debian,
}

/// A compiler for guests, ready to use.
#[derive(Default)]
pub(crate) struct GuestCompiler {
    environment: Vec<(&'static str, String)>,
    cargo_arguments: &'static [&'static str],
}

impl GuestCompiler {
    /// Finds one, installing it if need be, and says which it took.
    pub(crate) fn find(choice: Choice) -> Result<Self, Failure> {
        let (taken, compiler) = match choice {
            Choice::FirstFound if toolchain_has_target() => ("the toolchain in use", Self::default()),
            Choice::FirstFound if rustup_adds_target() => {
                ("the toolchain in use, with the target that rustup just added", Self::default())
            }
            Choice::FirstFound | Choice::Debian => ("Debian's compiler, building std from source", debian()?),
        };
        phase::say(&format!("xtask: guests are compiled by {taken}"));
        Ok(compiler)
    }

    /// Makes the cargo that `capstan pack build` starts use this compiler.
    pub(crate) fn prepare_capstan(&self, command: &mut Command) {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if !self.cargo_arguments.is_empty() {
            command.env(CAPSTAN_CARGO_ARGUMENTS, self.cargo_arguments.join(" "));
        }
    }
}

fn toolchain_has_target() -> bool {
    let folder = phase::output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    // The folder's name is printed whether or not the target is installed.
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn rustup_adds_target() -> bool {
    phase::succeeds(Command::new("rustup").arg("--version"))
        && phase::run("rustup target add", Command::new("rustup").args(["target", "add", TARGET])).is_ok()
        && toolchain_has_target()
}

fn debian() -> Result<GuestCompiler, Failure> {
    if !debian_is_installed() {
        install_debian()?;
    }
    let linker = bundled_linker()?;
    Ok(GuestCompiler {
        environment: vec![
            ("RUSTC", DEBIAN_RUSTC.to_owned()),
            // `-Z` is an option that a released cargo accepts under this variable alone.
            ("RUSTC_BOOTSTRAP", "1".to_owned()),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker.display().to_string()),
        ],
        // The package has std for this target as sources only.
        cargo_arguments: &["-Z", "build-std=std,panic_abort"],
    })
}

fn debian_is_installed() -> bool {
    Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_STD_SOURCES).is_file()
}

fn install_debian() -> Result<(), Failure> {
    let packages = DEBIAN_PACKAGES.join(" ");
    if !debian::can_install() {
        return Err(Failure::new(format!(
            "no compiler for `{TARGET}` was found; run `rustup target add {TARGET}`, \
             or on Debian, as root, `apt-get install --no-install-recommends {packages}`"
        )));
    }
    debian::install(&DEBIAN_PACKAGES)?;
    if debian_is_installed() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{packages}` are installed, but not where they are expected")))
    }
}

/// The `rust-lld` that comes with the toolchain in use: Debian's package has no linker for wasm.
fn bundled_linker() -> Result<PathBuf, Failure> {
    // The folder of the host's libraries is `<sysroot>/lib/rustlib/<host>/lib`.
    let libraries = phase::output(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let linker = Path::new(libraries.trim()).with_file_name("bin").join("rust-lld");
    if linker.is_file() {
        Ok(linker)
    } else {
        Err(Failure::new(format!("the toolchain in use has no `{}`", linker.display())))
    }
}
