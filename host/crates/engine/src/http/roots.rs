//! Authorities for TLS that the operator names beside those of the web: read from PEM, and checked.

use std::time::Duration;

use base::Timestamp;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

/// Most certificates of one file: over three times those of the web.
pub const TLS_ROOTS_MAX: usize = 512;

/// A text that does not hold certificates of authorities, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsRootsError {
    /// Something in it is not PEM.
    #[error("it is not PEM: {0}")]
    Pem(String),
    /// There is no certificate.
    #[error("it holds no certificate in PEM")]
    Empty,
    /// There is something else beside certificates, such as a private key, which has no business here.
    #[error("it holds something else than certificates")]
    Other,
    /// More than [`TLS_ROOTS_MAX`].
    #[error("it holds more than {TLS_ROOTS_MAX} certificates")]
    TooMany,
    /// One is garbled.
    #[error("its certificate {number} is not one: {why}")]
    Certificate {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// One does not say of itself that it is an authority's. A server's own is none: who has its key
    /// could otherwise speak for every host.
    #[error("its certificate {number} is not an authority's (a CA's)")]
    NotAuthority {
        /// Which, from 1.
        number: usize,
    },
    /// One is of another time.
    #[error("its certificate {number} is not valid now")]
    NotNow {
        /// Which, from 1.
        number: usize,
    },
}

/// The certificates (DER) that `pem` holds, for [`HttpSettings::extra_roots`](super::HttpSettings).
///
/// # Errors
/// If it holds none, or something else than certificates of authorities that are valid at `now`.
pub fn tls_roots(pem: &[u8], now: Timestamp) -> Result<Vec<Vec<u8>>, TlsRootsError> {
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now.0));
    let mut roots = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let number = roots.len().saturating_add(1);
        match section.map_err(|error| TlsRootsError::Pem(error.to_string()))? {
            _ if number > TLS_ROOTS_MAX => return Err(TlsRootsError::TooMany),
            (SectionKind::Certificate, der) => roots.push(authority(der, number, now)?),
            _ => return Err(TlsRootsError::Other),
        }
    }
    if roots.is_empty() { Err(TlsRootsError::Empty) } else { Ok(roots) }
}

/// A certificate that its own basic constraints call an authority's. `webpki` reads those of what a
/// server presents and not those of a root, so it is asked what it thinks of this one as a server's.
fn authority(der: Vec<u8>, number: usize, now: UnixTime) -> Result<Vec<u8>, TlsRootsError> {
    let certificate = CertificateDer::from(der);
    let garbled = |error: webpki::Error| match error {
        // Of a time before there were constraints.
        webpki::Error::UnsupportedCertVersion => TlsRootsError::NotAuthority { number },
        error => TlsRootsError::Certificate { number, why: error.to_string() },
    };
    let as_server = EndEntityCert::try_from(&certificate).map_err(garbled)?;
    match as_server.verify_for_usage(&[], &[], &[], now, KeyUsage::server_auth(), None, None) {
        Err(webpki::Error::CaUsedAsEndEntity) => Ok(certificate.to_vec()),
        Err(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => {
            Err(TlsRootsError::NotNow { number })
        }
        _ => Err(TlsRootsError::NotAuthority { number }),
    }
}
