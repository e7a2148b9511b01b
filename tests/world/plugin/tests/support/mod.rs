//! A signer for database tokens, written apart from the code that checks them: it builds the canonical request from
//! the parameters it is given and takes none of it from the token.

#![expect(clippy::expect_used, reason = "a test may panic")]

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What goes into a token. Every part can be made wrong, and is signed as it is.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) host: String,
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    pub(crate) service: String,
    /// `20240826T220000Z`
    pub(crate) date: String,
    /// The day in the credential scope.
    pub(crate) day: String,
    /// Decoded names and values, without the signature and, unless it is to be a wrong one, the credential.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Signer {
    pub(crate) fn new(host: &str, user: &str, access_key: &str, secret: &str, region: &str, date: &str) -> Self {
        let day = &date[..8];
        let mut signer = Self {
            host: host.to_owned(),
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            region: region.to_owned(),
            service: "rds-db".to_owned(),
            date: date.to_owned(),
            day: day.to_owned(),
            parameters: Vec::new(),
        };
        for (name, value) in [
            ("Action", "connect"),
            ("DBUser", user),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Date", date),
            ("X-Amz-Expires", "900"),
            ("X-Amz-SignedHeaders", "host"),
        ] {
            signer.parameters.push((name.to_owned(), value.to_owned()));
        }
        signer
    }

    /// Sets a parameter, new or in place of another value.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match self.parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.parameters.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// The token.
    pub(crate) fn sign(&self) -> String {
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let mut parameters = self.parameters.clone();
        if !parameters.iter().any(|(name, _)| name == "X-Amz-Credential") {
            parameters.push(("X-Amz-Credential".to_owned(), format!("{}/{scope}", self.access_key)));
        }
        parameters.sort();
        let pairs = parameters.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let canonical = format!("GET\n/\n{query}\nhost:{}\n\nhost\n{empty}", self.host);
        let digest = hex(&Sha256::digest(canonical));
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", self.date);
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [&self.day, &self.region, &self.service, "aws4_request", &to_sign] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length will do");
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        format!("{}/?{query}&X-Amz-Signature={}", self.host, hex(&key))
    }
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes everything");
        }
        escaped
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}
