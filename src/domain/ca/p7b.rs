//! `ca.p7b`: the CA bundle as PKCS#7, a signed message with certificates and nothing that is signed (RFC 5652, section 5.1).

use super::der::{explicit, integer, oid, sequence, value};

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.7.1
pub(super) const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

const EMPTY_SET: &[u8] = &[0x31, 0x00];

/// The bundle, as DER.
pub(super) fn bundle(certificates: &[Vec<u8>]) -> Vec<u8> {
    let content = sequence(&[&oid(DATA)]);
    let all = value(0xa0, &certificates.concat());
    let signed = sequence(&[&integer(1), EMPTY_SET, &content, &all, EMPTY_SET]);
    sequence(&[&oid(SIGNED_DATA), &explicit(0, &signed)])
}
