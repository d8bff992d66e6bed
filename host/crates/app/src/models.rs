//! Language models: those of `config.toml`, and which of them a call may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, ModelName, Scope, SecretName};
use base::Limits;
use engine::{HttpClient, HttpSettings, Model, ModelEndpoint, Models};

use crate::app::App;
use crate::secrets::Secrets;
use crate::{Error, Home, config};

/// The models of the settings, with what they are asked by. Shared by every call of a run.
pub(crate) struct ModelTable {
    client: HttpClient,
    endpoints: BTreeMap<ModelName, Arc<ModelEndpoint>>,
    secrets: Arc<Secrets>,
}

impl App {
    /// What somebody should know who grants a model.
    pub(crate) fn model_note(&self, name: &ModelName) -> Result<String, Error> {
        Ok(match config::load(&self.home)?.models.get(name) {
            Some(endpoint) => format!("what its operations read may be told to `{}`", endpoint.url),
            None => format!("`{}` names no model `{name}` yet", config::FILE),
        })
    }

    /// Reads the settings.
    pub(crate) fn model_table(&self) -> Result<ModelTable, Error> {
        let endpoints = config::load(&self.home)?.models;
        // A model thinks for longer than a web server; the call's own time ends it.
        let request = Duration::from_millis(Limits::CEILING.wall_ms);
        let extra_roots = self.http_roots()?.into_iter().flat_map(|roots| roots.certificates).collect();
        let client = HttpClient::new(HttpSettings { request, extra_roots, ..HttpSettings::default() });
        let client = client.map_err(|error| Error::Bug(error.to_string()))?;
        Ok(ModelTable { client, endpoints, secrets: Arc::clone(&self.secrets) })
    }
}

impl ModelTable {
    /// The models that calls with this authority may ask, each with its key.
    ///
    /// # Errors
    /// If a key cannot be read.
    pub(crate) fn of(&self, authority: &Authority) -> Result<Models, Error> {
        let mut by_name = BTreeMap::new();
        for name in authority.models() {
            let Some(endpoint) = self.endpoints.get(name) else { continue };
            let key = endpoint.key.as_ref().map(|key| self.secrets.value(key)).transpose()?.flatten();
            by_name.insert(name.clone(), Model { endpoint: Arc::clone(endpoint), key });
        }
        Ok(Models { client: self.client.clone(), by_name })
    }

    /// None at all.
    pub(crate) fn none(&self) -> Models {
        Models { client: self.client.clone(), by_name: BTreeMap::new() }
    }
}

/// The secrets that are keys of models which some grant names.
pub(crate) fn granted_keys(home: &Home) -> Result<BTreeSet<SecretName>, Error> {
    let endpoints = config::load(home)?.models;
    let grants = crate::grants::load(home)?;
    let mut keys = BTreeSet::new();
    for grant in grants.iter() {
        let names = grant.scopes.iter().filter_map(Scope::as_model);
        keys.extend(names.filter_map(|name| endpoints.get(name)?.key.clone()));
    }
    Ok(keys)
}
