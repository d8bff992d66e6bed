//! From the host of a URL to addresses that may be dialled.
//!
//! Names are looked up by the system's resolver, so that a pack sees the same names as the operator:
//! hosts file, search rules, local caches. It cannot be interrupted, so each lookup has a thread of
//! its own that ends by the resolver's own timeouts, and only a few run at a time: a call that is
//! over stops waiting, and its lookup still counts.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use authority::HttpUrl;
use ipnet::IpNet;
use tokio::sync::{Semaphore, oneshot};
use url::Host;

use super::HttpError;
use super::address::vet;

/// Lookups at the same time, abandoned ones included.
const LOOKUPS_MAX: usize = 16;
/// Most addresses of a name. Every one is vetted, so a longer answer is refused instead of cut.
const ADDRESSES_MAX: usize = 64;
/// Stack of a lookup's thread: enough for what a system's resolver loads and calls.
const STACK_BYTES: usize = 1 << 20;

/// Looks names up and vets what it is told.
pub(super) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl Resolver {
    /// The addresses of `url`'s host. All of them may be dialled: one that may not refuses the name,
    /// since who answers a lookup with both may answer the next with the other.
    pub(super) async fn resolve(
        &self,
        url: &HttpUrl,
        granted: &[IpNet],
    ) -> Result<Vec<SocketAddr>, HttpError> {
        let found = match url.host() {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self.look_up(name.clone()).await?,
        };
        let vetted = found.into_iter().map(|address| vet(address, granted));
        let vetted = vetted.collect::<Result<Vec<_>, _>>().map_err(HttpError::RefusedAddress)?;
        Ok(vetted.into_iter().map(|address| SocketAddr::new(address, url.port())).collect())
    }

    async fn look_up(&self, name: String) -> Result<Vec<IpAddr>, HttpError> {
        let fail = |error: &dyn std::fmt::Display| HttpError::Resolve(error.to_string());
        let place = Arc::clone(&self.lookups).acquire_owned().await.map_err(|error| fail(&error))?;
        let (answer, answered) = oneshot::channel();
        let look_up = move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            let found = found.map(|found| found.take(ADDRESSES_MAX + 1).map(|a| a.ip()).collect::<Vec<_>>());
            drop(place);
            // Nobody may be waiting any more.
            drop(answer.send(found));
        };
        let thread = std::thread::Builder::new().name("http-lookup".to_owned()).stack_size(STACK_BYTES);
        drop(thread.spawn(look_up).map_err(|error| fail(&error))?);
        let found = answered.await.map_err(|_| fail(&"the lookup failed"))?;
        match found.map_err(|error| fail(&error))? {
            found if found.is_empty() => Err(fail(&"the name has no address")),
            found if found.len() > ADDRESSES_MAX => {
                Err(fail(&format!("the name has more than {ADDRESSES_MAX} addresses")))
            }
            found => Ok(found),
        }
    }
}
