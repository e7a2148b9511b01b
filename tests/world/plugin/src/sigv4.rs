//! The signature of a presigned URL: AWS Signature Version 4 with `host` as the only signed header and no body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::percent;
use crate::presigned::Presigned;

type HmacSha256 = Hmac<Sha256>;

/// The service's name in the credential scope of a database token.
pub(crate) const SERVICE: &str = "rds-db";
/// The only signing algorithm.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of every credential scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// Whether `secret` made the signature. The comparison takes the same time wherever the difference is.
pub(crate) fn is_signed_by(request: &Presigned<'_>, secret: &str) -> bool {
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), request.day.as_bytes());
    for part in [&request.region, &request.service, TERMINATOR] {
        key = hmac(&key, part.as_bytes());
    }
    keyed(&key).chain_update(string_to_sign(request)).verify_slice(&request.signature).is_ok()
}

fn string_to_sign(request: &Presigned<'_>) -> String {
    let Presigned { date, day, region, service, .. } = request;
    let digest = hex(&Sha256::digest(canonical_request(request)));
    format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/{TERMINATOR}\n{digest}")
}

/// The parameters are encoded anew and sorted, so that the spelling of an escape in the token does not matter.
fn canonical_request(request: &Presigned<'_>) -> String {
    let mut signed: Vec<(String, String)> =
        request.signed_parameters().map(|(name, value)| (percent::encode(name), percent::encode(value))).collect();
    signed.sort();
    let query: Vec<String> = signed.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let no_body = hex(&Sha256::digest(b""));
    format!("GET\n/\n{}\nhost:{}\n\nhost\n{no_body}", query.join("&"), request.endpoint)
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(data).finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length, only the trait's signature says otherwise")]
fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
        text
    })
}
