//! CA bundles: what a database's certificate is verified against.

mod built_in;
mod trust_store;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{
    Certificate,
    der::{Decode, EncodePem, pem::LineEnding},
    ext::pkix::BasicConstraints,
};

use super::schedule;

pub use trust_store::TrustStore;

/// The roots of Amazon Trust Services, which sign the certificates of RDS Proxies, as Debian's ca-certificates carries them.
const AMAZON_TRUST: &str = include_str!("ca/amazon_trust.pem");

/// How long before its end a bundle is spoken of.
const NOTICE: Duration = Duration::from_secs(90 * 86_400);

/// A bundle of CA certificates of which at least one is in its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pem: Arc<str>,
    certificates: Arc<[Vec<u8>]>,
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
        let (mut kept, mut certificates) = (String::new(), Vec::new());
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
            certificates.push(der.to_vec());
        }
        let expires_at = last.ok_or(NotABundle::Empty)?;
        if expires_at <= now {
            return Err(NotABundle::Expired);
        }
        Ok(Self { pem: kept.into(), certificates: certificates.into(), expires_at })
    }

    /// The roots of Amazon Trust Services.
    ///
    /// # Errors
    /// When this program is so old that they have all expired.
    pub fn amazon_trust(now: Timestamp) -> Result<Self, NotABundle> {
        static ROOTS: LazyLock<Result<Bundle, NotABundle>> =
            LazyLock::new(|| Bundle::parse(AMAZON_TRUST, Timestamp::MIN));
        let roots = ROOTS.clone()?;
        if roots.expires_at <= now { Err(NotABundle::Expired) } else { Ok(roots) }
    }

    /// The bundle of a trust store as it was when this program was made, if it is known and still good.
    #[must_use]
    pub fn built_in(place: &TrustStore, now: Timestamp) -> Option<Self> {
        Self::parse(built_in::text(place)?, now).ok()
    }

    /// Whether the last of its certificates expires within 90 days.
    #[must_use]
    pub fn expires_soon(&self, now: Timestamp) -> bool {
        self.expires_at < schedule::plus(now, NOTICE)
    }

    /// The certificates, as PEM.
    #[must_use]
    pub fn pem(&self) -> Arc<str> {
        self.pem.clone()
    }

    /// The certificates, each as DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
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
    fn the_roots_of_proxies_are_built_in() {
        let roots = Bundle::amazon_trust(now()).unwrap();
        assert_eq!(roots.certificates().len(), 5);
        assert!(!roots.expires_soon(now()));
        assert!(Arc::ptr_eq(&roots.pem(), &Bundle::amazon_trust(now()).unwrap().pem()), "one text for all");
        assert_eq!(Bundle::amazon_trust(roots.expires_at()), Err(NotABundle::Expired));
    }

    #[test]
    fn the_end_of_a_bundle_is_spoken_of_ninety_days_before() {
        let bundle = Bundle::parse(CA, now()).unwrap();
        let before = |days: u64| schedule::minus(bundle.expires_at(), Duration::from_secs(days * 86_400));
        assert!(!bundle.expires_soon(before(91)));
        assert!(bundle.expires_soon(before(89)));
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
