//! `truststore.p12`: the CA bundle as a PKCS#12 trust store (RFC 7292), for Java.
//!
//! Written here because what there is as a crate draws its salt at random, so that each rotation would change bytes that mean the same, and brings
//! a second set of ciphers along. A trust store needs none: its certificates are public, and stand in it in clear. What is left is a digest over
//! them, keyed by a password that everybody knows; its salt is a digest of the certificates.

use aws_lc_rs::{digest, hmac};

use super::der::{NULL, OCTETS, explicit, integer, oid, sequence, set, value};
use super::p7b::DATA;

/// The password of every trust store: Java wants one, and there is nothing to keep secret.
pub(in crate::domain) const PASSWORD: &str = "changeit";

/// 1.2.840.113549.1.12.10.1.3
const CERT_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
/// 1.2.840.113549.1.9.22.1
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// 1.2.840.113549.1.9.20
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
/// 2.16.840.1.113894.746875.1.1: Java takes for trusted only what carries it.
const TRUSTED_KEY_USAGE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01];
/// 2.5.29.37.0, for any use
const ANY_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// 2.16.840.1.101.3.4.2.1
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// Rounds of the key's derivation. The password is no secret, so they protect nothing; Java refuses none.
const ROUNDS: u16 = 1_000;

/// The trust store, the same bytes for the same certificates.
pub(super) fn trust_store(certificates: &[Vec<u8>]) -> Vec<u8> {
    let bags: Vec<u8> = certificates.iter().enumerate().flat_map(|(index, it)| bag(index, it)).collect();
    let safe = data(&value(super::der::SEQUENCE, &bags));
    let contents = sequence(&[&safe]);
    let salt = digest::digest(&digest::SHA256, &contents);
    let salt = salt.as_ref().get(..20).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &mac_key(PASSWORD, salt));
    let tag = hmac::sign(&key, &contents);
    let algorithm = sequence(&[&oid(SHA_256), NULL]);
    let digest_info = sequence(&[&algorithm, &value(OCTETS, tag.as_ref())]);
    let mac = sequence(&[&digest_info, &value(OCTETS, salt), &integer(ROUNDS)]);
    sequence(&[&integer(3), &data(&contents), &mac])
}

fn data(contents: &[u8]) -> Vec<u8> {
    sequence(&[&oid(DATA), &explicit(0, &value(OCTETS, contents))])
}

fn bag(index: usize, certificate: &[u8]) -> Vec<u8> {
    let certificate = sequence(&[&oid(X509_CERTIFICATE), &explicit(0, &value(OCTETS, certificate))]);
    let name = value(0x1e, &utf16(&format!("ca-{index}")));
    let named = sequence(&[&oid(FRIENDLY_NAME), &set(&name)]);
    let trusted = sequence(&[&oid(TRUSTED_KEY_USAGE), &set(&oid(ANY_EXTENDED_KEY_USAGE))]);
    let attributes = value(super::der::SET, &[named, trusted].concat());
    sequence(&[&oid(CERT_BAG), &explicit(0, &certificate), &attributes])
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// The key of the digest, by RFC 7292, appendix B.2, with purpose 3. One round of it gives the 32 bytes that are wanted.
fn mac_key(password: &str, salt: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut password = utf16(password);
    password.extend([0, 0]);
    let whole_blocks = |bytes: &[u8]| -> Vec<u8> {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.iter().copied().cycle().take(length).collect()
    };
    let start = [vec![3; BLOCK], whole_blocks(salt), whole_blocks(&password)].concat();
    let mut hash = digest::digest(&digest::SHA256, &start);
    for _ in 1..ROUNDS {
        hash = digest::digest(&digest::SHA256, hash.as_ref());
    }
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    key
}
