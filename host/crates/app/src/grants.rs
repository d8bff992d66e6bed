//! What packs may reach: `grants.toml`.

use authority::{Authority, DeniedReason, Explanation, Grant, Grants, Request, Scope};
use base::{Capability, Code, PackId, Refusal};

use crate::app::App;
use crate::view::{ExplainView, GrantView, ReachView};
use crate::{Error, Home};

const FILE: &str = "grants.toml";

pub(crate) fn load(home: &Home) -> Result<Grants, Error> {
    let text = home.read_text(FILE)?;
    Ok(Grants::parse_toml(&text).map_err(Refusal::from)?)
}

/// Parses what the user typed and holds it against what the pack requests; `see` says where that
/// can be read.
pub(crate) fn parse(pack: &PackId, text: &str, request: &Request, see: &str) -> Result<Grant, Error> {
    let grant = Grant::parse(pack, text).map_err(Refusal::from)?;
    grant.check_requested(request).map_err(|error| {
        Error::Refused(Refusal::new(Code::GrantExceedsRequest, error.to_string()).hint(see))
    })?;
    Ok(grant)
}

/// One line for each scope, as `grant add` takes it.
pub(crate) fn views(grant: &Grant) -> Vec<GrantView> {
    grant.arguments().into_iter().map(|text| GrantView { pack: grant.pack.clone(), grant: text }).collect()
}

fn texts(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

/// What stands between a capability and its use.
fn cut_by(reason: DeniedReason) -> &'static str {
    match reason {
        DeniedReason::NotRequested => "request",
        DeniedReason::AboveEffect => "effect",
        DeniedReason::NotGranted => "grant",
        DeniedReason::Disclosure => "disclosure",
        // Of single places, never of a capability as a whole.
        DeniedReason::OutOfScope | DeniedReason::Reserved | DeniedReason::SpecialAddress => "scope",
    }
}

impl App {
    /// Grants a capability to an installed pack.
    ///
    /// # Errors
    /// If the pack is not installed or does not request it.
    pub fn grant_add(&self, pack: &str, grant: &str) -> Result<Vec<GrantView>, Error> {
        let id = crate::packs::parse_id(pack)?;
        let installed = self.load_pack(&id)?;
        let grant = parse(&id, grant, &installed.manifest().request, &format!("capstan pack audit {id}"))?;
        self.edit_grants(|grants| {
            grants.add(grant.clone());
            Ok(())
        })?;
        Ok(views(&grant))
    }

    /// The grants of every pack, or of one.
    ///
    /// # Errors
    /// If `grants.toml` is malformed.
    pub fn grant_list(&self, pack: Option<&str>) -> Result<Vec<GrantView>, Error> {
        let only = pack.map(crate::packs::parse_id).transpose()?;
        let grants = load(&self.home)?;
        Ok(grants
            .iter()
            .filter(|grant| only.as_ref().is_none_or(|id| *id == grant.pack))
            .flat_map(|grant| views(&grant))
            .collect())
    }

    /// What calls of one operation of an installed pack may reach, and what cut the rest.
    ///
    /// # Errors
    /// If there is no such pack or operation.
    pub fn grant_explain(&self, pack: &str, operation: &str) -> Result<ExplainView, Error> {
        let id = crate::packs::parse_id(pack)?;
        let installed = self.load_pack(&id)?;
        let declared = crate::operations::declared(&installed, operation)?;
        let authority =
            Authority::of(&installed.manifest().request, &load(&self.home)?, &id, declared.effect);
        let missing = authority.missing();
        let row = |row: Explanation<'_>| ReachView {
            capability: row.capability.to_string(),
            requested: row.requested.map(texts),
            granted: row.granted.map(texts),
            live: row.blocked.is_none(),
            cut_by: row.blocked.map(cut_by),
            grants: missing
                .iter()
                .filter(|missing| missing.capability == row.capability)
                .map(|missing| authority::grant_command(&id, &missing.grant))
                .collect(),
        };
        Ok(ExplainView {
            operation: format!("{id}/{operation}"),
            effect: declared.effect,
            capabilities: authority.explain().map(row).collect(),
        })
    }

    /// Takes a grant back; a capability alone takes back all its scopes.
    ///
    /// # Errors
    /// If there is no such grant.
    pub fn grant_remove(&self, pack: &str, text: &str) -> Result<Vec<GrantView>, Error> {
        let id = crate::packs::parse_id(pack)?;
        let grant = match text.parse::<Capability>() {
            Ok(capability) => Grant { pack: id.clone(), capability, scopes: Vec::new() },
            Err(_) => Grant::parse(&id, text).map_err(Refusal::from)?,
        };
        self.edit_grants(|grants| {
            let before: Vec<Grant> = grants.of_pack(&id);
            if !grants.remove(&grant) {
                let hint = format!("capstan grant list {id}");
                return Err(Error::usage(format!("`{id}` has no grant `{text}`"), &[hint.as_str()]));
            }
            let left: Vec<String> = grants.of_pack(&id).iter().flat_map(Grant::arguments).collect();
            Ok(before.iter().flat_map(views).filter(|view| !left.contains(&view.grant)).collect())
        })
    }

    pub(crate) fn edit_grants<T>(
        &self,
        edit: impl FnOnce(&mut Grants) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.home.create()?;
        let _lock = self.home.lock()?;
        let mut grants = load(&self.home)?;
        let result = edit(&mut grants)?;
        self.home.write(FILE, grants.to_toml().as_bytes())?;
        Ok(result)
    }
}
