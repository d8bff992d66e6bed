//! `cargo xtask packs`: the reference packs, built and signed.

use std::fs;
use std::path::PathBuf;

use crate::capstan::Capstan;
use crate::failure::Failure;
use crate::guest_compiler::{Choice, GuestCompiler};
use crate::phase;
use crate::tree::Tree;

/// The guests that tests install as packs.
const GUESTS: [&str; 6] = ["asker", "keeper", "limits", "sender", "thinker", "writer"];
/// The guest whose manifest claims less than its component imports.
const LIAR: &str = "liar";

/// What was built, for whoever goes on with it.
pub(crate) struct Built {
    /// The program.
    pub(crate) capstan: Capstan,
    /// The compiler that took the guests.
    pub(crate) compiler: GuestCompiler,
    /// The fingerprint of the key that signed.
    pub(crate) fingerprint: String,
    packs: Vec<PathBuf>,
}

impl Built {
    /// The pack folder of a reference pack.
    pub(crate) fn pack(&self, name: &str) -> Result<PathBuf, Failure> {
        let found = self.packs.iter().find(|pack| pack.file_name().is_some_and(|file| file == name));
        let found = found.ok_or_else(|| Failure::new(format!("there is no pack `{name}`")))?;
        Ok(found.join("dist"))
    }
}

/// Builds `capstan` and the packs, signs them with this clone's key, and writes the key's
/// fingerprint to `packs/.publisher`.
pub(crate) fn build(tree: &Tree, choice: Choice) -> Result<Built, Failure> {
    let capstan = Capstan::build(tree)?;
    let compiler = GuestCompiler::find(choice)?;
    let fingerprint = capstan.publisher()?;
    let packs = tree.packs()?;
    for pack in &packs {
        capstan.build_pack(pack, &compiler, &tree.guest_target())?;
        capstan.sign_pack(pack)?;
    }
    fs::write(tree.path("packs/.publisher"), format!("{fingerprint}\n"))
        .map_err(Failure::cannot("write `packs/.publisher`"))?;
    phase::say("xtask: the packs are signed by this clone's publisher, whose fingerprint is");
    phase::print(&fingerprint);
    Ok(Built { capstan, compiler, fingerprint, packs })
}

/// Builds the guests that only tests call, and signs those that are honest.
pub(crate) fn build_guests(tree: &Tree, built: &Built) -> Result<(), Failure> {
    for name in GUESTS {
        let guest = tree.path("tests/guests").join(name);
        built.capstan.build_pack(&guest, &built.compiler, &tree.guest_target())?;
        built.capstan.sign_pack(&guest)?;
    }
    build_liar(tree, built).map(drop)
}

/// Builds the guest that lies and signs it all the same. Gives its pack folder.
pub(crate) fn build_liar(tree: &Tree, built: &Built) -> Result<PathBuf, Failure> {
    let guest = tree.path("tests/guests").join(LIAR);
    built.capstan.build_unchecked(&guest, &built.compiler, &tree.guest_target())?;
    Ok(guest.join("dist"))
}
