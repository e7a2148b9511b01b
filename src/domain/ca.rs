//! CA bundles: what a database's certificate is verified against.

use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{
    Certificate,
    der::{Decode, EncodePem, pem::LineEnding},
    ext::pkix::BasicConstraints,
};

/// A bundle of CA certificates of which at least one is in its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pem: Arc<str>,
    expires_at: Timestamp,
}

/// Why a text is no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotABundle {
    /// The PEM or a certificate in it cannot be read.
    #[error("a certificate cannot be read")]
    Malformed,
    /// A certificate is not a CA's.
    #[error("a certificate in it is not a CA's")]
    NotACa,
    /// There is no certificate in it.
    #[error("it holds no certificate")]
    Empty,
    /// All certificates have expired.
    #[error("all its certificates have expired")]
    Expired,
}

impl Bundle {
    /// Reads PEM text. Only the certificates are kept: whatever else the text held (comments, a key put there by mistake) goes no further.
    ///
    /// # Errors
    /// [`NotABundle`] says what is wrong with the text.
    pub fn parse(pem: &str, now: Timestamp) -> Result<Self, NotABundle> {
        let mut kept = String::new();
        let mut last: Option<Timestamp> = None;
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|_| NotABundle::Malformed)?;
            let certificate = Certificate::from_der(&der).map_err(|_| NotABundle::Malformed)?;
            let contents = certificate.tbs_certificate();
            let constraints = contents.get_extension::<BasicConstraints>().map_err(|_| NotABundle::Malformed)?;
            if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
                return Err(NotABundle::NotACa);
            }
            let end = contents.validity().not_after.to_unix_duration().as_secs();
            let end = i64::try_from(end)
                .ok()
                .and_then(|end| Timestamp::from_second(end).ok())
                .ok_or(NotABundle::Malformed)?;
            last = last.max(Some(end));
            kept.push_str(&certificate.to_pem(LineEnding::LF).map_err(|_| NotABundle::Malformed)?);
        }
        let expires_at = last.ok_or(NotABundle::Empty)?;
        if expires_at <= now {
            return Err(NotABundle::Expired);
        }
        Ok(Self { pem: kept.into(), expires_at })
    }

    /// The certificates, as PEM.
    #[must_use]
    pub fn pem(&self) -> Arc<str> {
        self.pem.clone()
    }

    /// When the last of them expires.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CA: &str = include_str!("testdata/ca.pem");
    const LEAF: &str = include_str!("testdata/leaf.pem");

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn only_the_certificates_of_a_text_are_kept() {
        let noisy = format!("# a comment\n{CA}\nsomething\n{CA}");
        let bundle = Bundle::parse(&noisy, now()).unwrap();
        assert_eq!(bundle.pem().matches("BEGIN CERTIFICATE").count(), 2);
        assert!(!bundle.pem().contains("comment"));
        assert_eq!(Bundle::parse(&bundle.pem(), now()).unwrap(), bundle, "reading what was kept changes nothing");
    }

    #[test]
    fn what_is_not_a_bundle_is_refused_with_its_reason() {
        assert_eq!(Bundle::parse("", now()), Err(NotABundle::Empty));
        assert_eq!(Bundle::parse("junk", now()), Err(NotABundle::Empty));
        assert_eq!(Bundle::parse(&CA.replace("MII", "MIX"), now()), Err(NotABundle::Malformed));
        assert_eq!(Bundle::parse(LEAF, now()), Err(NotABundle::NotACa));
        assert_eq!(Bundle::parse(CA, "2400-01-01T00:00:00Z".parse().unwrap()), Err(NotABundle::Expired));
    }
}
