//! Tokens: a presigned `connect` request that the database checks instead of a password.
//!
//! The signer is our own because the SDK's interpolates the user name without encoding it, panics on names that do not make a URL, guesses a
//! Region, asks for credentials anew for each token, and does not say when its token dies. This one is pure and cannot fail.

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::endpoint::Endpoint;
use super::schedule;
use super::secret::Secret;

/// Everything but the characters that RFC 3986 calls unreserved, as SigV4 wants it.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// SHA-256 of the empty body.
const EMPTY_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// AWS credentials that sign tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Public part of the key.
    pub access_key_id: String,
    /// Secret part of the key.
    pub secret_access_key: Secret,
    /// Present for temporary credentials.
    pub session_token: Option<Secret>,
    /// When temporary credentials end. A token dies with the credentials that signed it.
    pub expires_at: Option<Timestamp>,
}

/// What a token lets its bearer do: connect to this endpoint as this user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connect {
    /// Region of the *database*. A token for another Region looks like a wrong password.
    pub region: String,
    /// The endpoint, as RDS names it.
    pub endpoint: Endpoint,
    /// The account.
    pub username: String,
}

/// A signed token and the time in which it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What goes where a password would.
    pub text: Secret,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// Until when it can be relied on; see [`schedule::usable_until`].
    pub usable_until: Timestamp,
}

/// Signs a token at `now`. Whatever the user name contains ends up encoded in its own parameter.
#[must_use]
pub fn sign(credentials: &Credentials, connect: &Connect, now: Timestamp) -> Token {
    let now = schedule::whole_second(now);
    let (date, instant) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
    let region = &connect.region;
    let scope = format!("{date}/{region}/rds-db/aws4_request");
    let credential = format!("{}/{scope}", credentials.access_key_id);
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();

    // Parameters in the byte order of their names, as the canonical request wants them.
    let mut query = format!(
        "Action=connect&DBUser={}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={instant}&X-Amz-Expires={}",
        encode(&connect.username),
        encode(&credential),
        schedule::TOKEN_LIFE.as_secs(),
    );
    if let Some(session_token) = &credentials.session_token {
        query.push_str("&X-Amz-Security-Token=");
        query.push_str(&encode(session_token.expose()));
    }
    query.push_str("&X-Amz-SignedHeaders=host");

    let endpoint = &connect.endpoint;
    let canonical_request = format!("GET\n/\n{query}\nhost:{endpoint}\n\nhost\n{EMPTY_BODY}");
    let hashed = hex::encode(digest::digest(&digest::SHA256, canonical_request.as_bytes()));
    let string_to_sign = format!("AWS4-HMAC-SHA256\n{instant}\n{scope}\n{hashed}");

    let secret = Secret::new(format!("AWS4{}", credentials.secret_access_key.expose()));
    let day_key = mac(secret.expose().as_bytes(), &date);
    let service_key = mac(mac(day_key.as_ref(), region).as_ref(), "rds-db");
    let signing_key = mac(service_key.as_ref(), "aws4_request");
    let signature = hex::encode(mac(signing_key.as_ref(), &string_to_sign));

    // In one piece: a text that grows is copied about, and takes twice the room in the end.
    let text = [&endpoint.to_string(), "/?", &query, "&X-Amz-Signature=", &signature].concat();
    Token { text: Secret::new(text), signed_at: now, usable_until: schedule::usable_until(now, credentials.expires_at) }
}

fn mac(key: &[u8], data: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials(session_token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "akid".into(),
            secret_access_key: Secret::new("secret"),
            session_token: session_token.map(Secret::new),
            expires_at: None,
        }
    }

    fn connect(username: &str) -> Connect {
        Connect {
            region: "us-east-1".into(),
            endpoint: Endpoint::new("prod-instance.us-east-1.rds.amazonaws.com", 3306).unwrap(),
            username: username.into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The parameters of a token, decoded.
    fn parameters(token: &Token) -> Vec<(String, String)> {
        let (_, query) = token.text.expose().split_once("/?").unwrap();
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        query.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (decode(k), decode(v))).collect()
    }

    #[test]
    fn a_token_equals_the_vector_that_aws_publishes() {
        let token = sign(&credentials(None), &connect("peccy"), at(1_724_709_600));
        assert_eq!(
            token.text.expose(),
            "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%2Faws4_request&X-Amz-Date=20240826T220000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89"
        );
    }

    #[test]
    fn hostile_user_names_stay_inside_their_parameter() {
        for username in
            ["a&b", "a#b", "a b", "a+b", "a%41", "ü", "a=b&DBUser=root", "a/?x", "\n", "a\r\nhost: evil", ""]
        {
            let token = sign(&credentials(Some("st&DBUser=root")), &connect(username), at(1_724_709_600));
            let users: Vec<_> = parameters(&token).into_iter().filter(|(key, _)| key == "DBUser").collect();
            assert_eq!(users, [("DBUser".to_owned(), username.to_owned())]);
            assert_eq!(parameters(&token).len(), 9, "{username:?}");
        }
    }

    #[test]
    fn debug_output_shows_neither_token_nor_keys() {
        let credentials = credentials(Some("session-canary"));
        let token = sign(&credentials, &connect("peccy"), at(1_724_709_600));
        let seen = format!("{credentials:?} {token:?}");
        assert!(!seen.contains("session-canary") && !seen.contains("\"secret\"") && !seen.contains("X-Amz"), "{seen}");
    }

    #[test]
    fn the_life_of_a_token_ends_with_the_credentials() {
        let dying = Credentials { expires_at: Some(at(1_000_300)), ..credentials(Some("s")) };
        assert_eq!(sign(&dying, &connect("u"), at(1_000_000)).usable_until, at(1_000_270));
        assert_eq!(sign(&credentials(None), &connect("u"), at(1_000_000)).usable_until, at(1_000_870));
    }

    proptest! {
        #[test]
        fn any_user_name_signs_without_panic_and_decodes_to_itself(username in any::<String>(), second in 0..4_000_000_000_i64) {
            let token = sign(&credentials(None), &connect(&username), at(second));
            prop_assert_eq!(&parameters(&token)[1].1, &username);
        }
    }
}
