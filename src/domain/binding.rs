//! What stands in the Secret: the keys of a service binding, and files that clients read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::engine::Engine;
use super::token::{Connect, Token};

/// Everything that must be encoded in the user and password of a URI.
const USERINFO: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Changes when the text of a file changes for the same inputs, so that an upgrade rewrites the Secrets.
const LAYOUT: &str = "1";

/// Files beside the binding's own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `my.cnf`, for the clients of MySQL and MariaDB.
    MyCnf,
}

/// Everything but the token that goes into a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What the token is signed for.
    pub connect: Connect,
    /// The server's family.
    pub engine: Engine,
    /// The database that clients select.
    pub database: Option<String>,
    /// PEM of the CA bundle; one copy for all Secrets that hold it.
    pub ca: Arc<str>,
    /// Files to add.
    pub formats: BTreeSet<Format>,
    /// Where pods mount the Secret.
    pub mount_path: String,
}

impl Binding {
    /// The keys of the Secret: host, port, user, token and expiry all from one signing.
    #[must_use]
    pub fn contents(&self, token: &Token) -> BTreeMap<String, Vec<u8>> {
        let endpoint = &self.connect.endpoint;
        let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut put = |key: &str, value: String| contents.insert(key.to_owned(), value.into_bytes());
        put("type", "mysql".into());
        put("provider", self.engine.provider().into());
        put("host", endpoint.host().into());
        put("port", endpoint.port().to_string());
        put("username", self.connect.username.clone());
        put("password", token.text.expose().into());
        put("uri", self.uri(token));
        put("ca.crt", self.ca.to_string());
        put("token-expires-at", token.usable_until.to_string());
        if let Some(database) = &self.database {
            put("database", database.clone());
        }
        for format in &self.formats {
            match format {
                Format::MyCnf => put("my.cnf", self.my_cnf(token)),
            };
        }
        contents
    }

    /// A digest of everything but the token: when it changes, the Secret is rewritten at once. `more` is what the caller puts on the Secret
    /// besides its contents.
    #[must_use]
    pub fn inputs(&self, more: &[&str]) -> String {
        let port = self.connect.endpoint.port().to_string();
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut add = |text: &str| {
            // Each part with its length: no two lists of parts run together to the same bytes.
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        add(LAYOUT);
        add(&self.connect.region);
        add(self.connect.endpoint.host());
        add(&port);
        add(&self.connect.username);
        add(self.engine.provider());
        add(self.database.as_deref().unwrap_or_default());
        add(&self.ca);
        add(&self.mount_path);
        for format in &self.formats {
            add(match format {
                Format::MyCnf => "MyCnf",
            });
        }
        for text in more {
            add(text);
        }
        hex::encode(&hash.finish().as_ref()[..16])
    }

    fn uri(&self, token: &Token) -> String {
        let encode = |text: &str| utf8_percent_encode(text, USERINFO).to_string();
        format!(
            "{}://{}:{}@{}/{}",
            self.engine.uri_scheme(),
            encode(&self.connect.username),
            encode(token.text.expose()),
            self.connect.endpoint,
            encode(self.database.as_deref().unwrap_or_default()),
        )
    }

    /// One text for both families. `loose-` because MariaDB's client dies on options that it does not know; it also checks no host name
    /// unless it is told to, and MySQL's sends no clear text unless it is told to. The password stands in quotes: an unquoted `#` ends a value.
    fn my_cnf(&self, token: &Token) -> String {
        let endpoint = &self.connect.endpoint;
        format!(
            "[client]\nhost={}\nport={}\nuser={}\npassword=\"{}\"\nssl-ca={}/ca.crt\n\
             loose-ssl-mode=VERIFY_IDENTITY\nloose-ssl-verify-server-cert\nloose-enable-cleartext-plugin\n",
            endpoint.host(),
            endpoint.port(),
            self.connect.username,
            token.text.expose(),
            self.mount_path,
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::endpoint::Endpoint;
    use crate::domain::secret::Secret;

    fn binding() -> Binding {
        Binding {
            connect: Connect {
                region: "us-east-1".into(),
                endpoint: Endpoint::new("orders.abc.us-east-1.rds.amazonaws.com", 3306).unwrap(),
                username: "app.orders".into(),
            },
            engine: Engine::MySql,
            database: Some("orders".into()),
            ca: "PEM".into(),
            formats: [Format::MyCnf].into(),
            mount_path: "/var/run/secrets/iamdb.dev/orders".into(),
        }
    }

    fn token() -> Token {
        Token {
            text: Secret::new("h:3306/?Action=connect&X=%2F"),
            signed_at: Timestamp::UNIX_EPOCH,
            usable_until: "2026-01-02T03:04:05Z".parse().unwrap(),
        }
    }

    fn text(contents: &BTreeMap<String, Vec<u8>>, key: &str) -> String {
        String::from_utf8(contents[key].clone()).unwrap()
    }

    #[test]
    fn the_keys_are_those_of_a_service_binding() {
        let contents = binding().contents(&token());
        let keys: Vec<_> = contents.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "ca.crt",
                "database",
                "host",
                "my.cnf",
                "password",
                "port",
                "provider",
                "token-expires-at",
                "type",
                "uri",
                "username"
            ]
        );
        assert_eq!(text(&contents, "type"), "mysql");
        assert_eq!(text(&contents, "token-expires-at"), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn the_uri_encodes_the_token() {
        assert_eq!(
            text(&binding().contents(&token()), "uri"),
            "mysql://app.orders:h%3A3306%2F%3FAction%3Dconnect%26X%3D%252F@orders.abc.us-east-1.rds.amazonaws.com:3306/orders"
        );
    }

    #[test]
    fn my_cnf_is_the_text_that_both_clients_take() {
        assert_eq!(
            text(&binding().contents(&token()), "my.cnf"),
            "[client]\nhost=orders.abc.us-east-1.rds.amazonaws.com\nport=3306\nuser=app.orders\n\
             password=\"h:3306/?Action=connect&X=%2F\"\nssl-ca=/var/run/secrets/iamdb.dev/orders/ca.crt\n\
             loose-ssl-mode=VERIFY_IDENTITY\nloose-ssl-verify-server-cert\nloose-enable-cleartext-plugin\n"
        );
    }

    #[test]
    fn every_input_changes_the_digest_and_nothing_else_does() {
        let base = binding().inputs(&["a", "b"]);
        assert_eq!(binding().inputs(&["a", "b"]), base);
        let changed = [
            binding().inputs(&["ab"]),
            binding().inputs(&["a", "c"]),
            Binding { database: None, ..binding() }.inputs(&["a", "b"]),
            Binding { ca: "OTHER".into(), ..binding() }.inputs(&["a", "b"]),
            Binding { formats: BTreeSet::new(), ..binding() }.inputs(&["a", "b"]),
            Binding { mount_path: "/x".into(), ..binding() }.inputs(&["a", "b"]),
            Binding { engine: Engine::MariaDb, ..binding() }.inputs(&["a", "b"]),
            Binding { connect: Connect { username: "x".into(), ..binding().connect }, ..binding() }.inputs(&["a", "b"]),
        ];
        for (index, other) in changed.iter().enumerate() {
            assert_ne!(other, &base, "case {index}");
        }
    }
}
