//! What stands in the Secret: the keys of a service binding, and files that clients read. One file a format.

mod go_dsn;
mod jdbc;
mod my_cnf;
mod uri;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ca::{self, Bundle};
use super::digest::Digest;
use super::engine::Engine;
use super::token::{Connect, Token};

/// Changes when the text of a file changes for the same inputs, so that an upgrade rewrites the Secrets.
const LAYOUT: &str = "2";

const PKCS12_KEY: &str = "truststore.p12";

/// Files beside the binding's own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `my.cnf`, for the clients of MySQL and MariaDB.
    MyCnf,
    /// `database.url`, a URI that says how TLS is verified.
    Uri,
    /// `jdbc.properties`, for Connector/J and MariaDB's driver, with the trust store that the former needs.
    Jdbc,
    /// `go.dsn`, for go-sql-driver/mysql.
    GoDsn,
    /// `truststore.p12`, and its password in `truststore.password`.
    Pkcs12,
    /// `ca.p7b`
    P7b,
}

impl Format {
    const fn word(self) -> &'static str {
        match self {
            Self::MyCnf => "MyCnf",
            Self::Uri => "Uri",
            Self::Jdbc => "Jdbc",
            Self::GoDsn => "GoDsn",
            Self::Pkcs12 => "Pkcs12",
            Self::P7b => "P7b",
        }
    }
}

/// What clients dial instead of the endpoint that the token is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The CA bundle in a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ca {
    /// The certificates; one copy for all Secrets that hold them.
    pub bundle: Bundle,
    /// Key of the Secret that holds them, as PEM.
    pub key: Cow<'static, str>,
}

/// Everything but the token that goes into a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What the token is signed for; one copy for all Secrets that share it.
    pub connect: Arc<Connect>,
    /// What clients dial, where that is something else.
    pub alias: Option<Alias>,
    /// The server's family.
    pub engine: Engine,
    /// The database that clients select.
    pub database: Option<String>,
    /// The CA bundle; none where clients bring their own.
    pub ca: Option<Ca>,
    /// Files to add.
    pub formats: BTreeSet<Format>,
    /// Where pods mount the Secret.
    pub mount_path: String,
}

impl Binding {
    /// The keys of the Secret: host, port, user, token and expiry all from one signing.
    #[must_use]
    pub fn contents(&self, token: &Token) -> BTreeMap<String, Vec<u8>> {
        let (host, port) = self.dialled();
        let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut put = |key: &str, value: Vec<u8>| contents.insert(key.to_owned(), value);
        put("type", "mysql".into());
        put("provider", self.engine.provider().into());
        put("host", host.into());
        put("port", port.to_string().into());
        put("username", self.connect.username.clone().into());
        put("password", token.text.expose().into());
        put("uri", uri::plain(self, token).into());
        put("token-expires-at", token.usable_until.to_string().into());
        if let Some(ca) = &self.ca {
            put(&ca.key, ca.bundle.pem().as_bytes().to_vec());
        }
        if let Some(database) = &self.database {
            put("database", database.clone().into());
        }
        for format in &self.formats {
            match format {
                Format::MyCnf if self.omits_my_cnf(token) => {}
                Format::MyCnf => _ = put("my.cnf", my_cnf::text(self, token).into()),
                Format::Uri => _ = put("database.url", uri::with_tls(self, token).into()),
                Format::Jdbc => _ = put("jdbc.properties", jdbc::properties(self, token).into()),
                Format::GoDsn => _ = put("go.dsn", go_dsn::text(self, token).into()),
                Format::Pkcs12 | Format::P7b => {}
            }
        }
        if let Some(Ca { bundle, .. }) = &self.ca {
            if self.formats.contains(&Format::Jdbc) || self.formats.contains(&Format::Pkcs12) {
                put(PKCS12_KEY, bundle.trust_store().to_vec());
                put("truststore.password", ca::TRUST_STORE_PASSWORD.into());
            }
            if self.formats.contains(&Format::P7b) {
                put("ca.p7b", bundle.p7b().to_vec());
            }
        }
        contents
    }

    /// Whether `my.cnf` was asked for and is left out, because MariaDB's client cannot take a token of this length from a file.
    #[must_use]
    pub fn omits_my_cnf(&self, token: &Token) -> bool {
        self.formats.contains(&Format::MyCnf) && my_cnf::is_too_long(self.engine, token)
    }

    /// A digest of everything but the token: when it changes, the Secret is rewritten at once. `more` is what the caller puts on the Secret
    /// besides its contents.
    #[must_use]
    pub fn inputs(&self, more: &[&str]) -> Digest {
        let (host, port) = self.dialled();
        let ports = format!("{} {port}", self.connect.endpoint.port());
        let ca = self.ca.as_ref().map(|ca| ca.bundle.pem()).unwrap_or_default();
        let texts = [
            LAYOUT,
            &self.connect.region,
            self.connect.endpoint.host(),
            host,
            &ports,
            &self.connect.username,
            self.engine.provider(),
            self.database.as_deref().unwrap_or_default(),
            self.ca.as_ref().map_or("", |ca| &ca.key),
            &ca,
            &self.mount_path,
        ];
        let formats = self.formats.iter().map(|format| format.word());
        Digest::of(texts.into_iter().chain(formats).chain(more.iter().copied()))
    }

    /// What clients dial.
    fn dialled(&self) -> (&str, u16) {
        let Some(alias) = &self.alias else {
            return (self.connect.endpoint.host(), self.connect.endpoint.port());
        };
        (&alias.host, alias.port)
    }

    /// Whether clients can check the name in the certificate: it names RDS's endpoints and no alias.
    const fn checks_name(&self) -> bool {
        self.alias.is_none()
    }

    /// Where pods find the CA bundle.
    fn ca_path(&self) -> Option<String> {
        self.ca.as_ref().map(|ca| format!("{}/{}", self.mount_path, ca.key))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::endpoint::Endpoint;
    use crate::domain::secret::Secret;

    fn connect() -> Connect {
        Connect {
            region: "us-east-1".into(),
            endpoint: Endpoint::new("orders.abc.us-east-1.rds.amazonaws.com", 3306).unwrap(),
            username: "app.orders".into(),
        }
    }

    fn binding() -> Binding {
        Binding {
            connect: connect().into(),
            alias: None,
            engine: Engine::MySql,
            database: Some("orders".into()),
            ca: Some(Ca { bundle: bundle(), key: "ca.crt".into() }),
            formats: [Format::MyCnf].into(),
            mount_path: "/var/run/secrets/iamdb.dev/orders".into(),
        }
    }

    fn bundle() -> Bundle {
        Bundle::parse(include_str!("testdata/ca.pem"), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap()
    }

    fn tunnel() -> Alias {
        Alias { host: "db.internal".into(), port: 13306 }
    }

    fn token() -> Token {
        token_of("h:3306/?Action=connect&X=%2F")
    }

    fn token_of(text: &str) -> Token {
        Token {
            text: Secret::new(text),
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
        let other_bundle = Bundle::amazon_trust("2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let elsewhere = || Connect {
            endpoint: Endpoint::new("orders.abc.us-east-1.rds.amazonaws.com", 3307).unwrap(),
            ..connect()
        };
        let by_alias = |connect: Connect| {
            Binding { connect: connect.into(), alias: Some(tunnel()), ..binding() }.inputs(&["a", "b"])
        };
        assert_ne!(by_alias(elsewhere()), by_alias(connect()), "the token is for another place");
        let changed = [
            binding().inputs(&["ab"]),
            binding().inputs(&["a", "c"]),
            Binding { database: None, ..binding() }.inputs(&["a", "b"]),
            Binding { ca: None, ..binding() }.inputs(&["a", "b"]),
            Binding { ca: Some(Ca { bundle: bundle(), key: "other".into() }), ..binding() }.inputs(&["a", "b"]),
            Binding { alias: Some(tunnel()), ..binding() }.inputs(&["a", "b"]),
            Binding { formats: [Format::MyCnf, Format::Uri].into(), ..binding() }.inputs(&["a", "b"]),
            Binding { formats: BTreeSet::new(), ..binding() }.inputs(&["a", "b"]),
            Binding { mount_path: "/x".into(), ..binding() }.inputs(&["a", "b"]),
            Binding { engine: Engine::MariaDb, ..binding() }.inputs(&["a", "b"]),
            Binding { connect: Connect { username: "x".into(), ..connect() }.into(), ..binding() }.inputs(&["a", "b"]),
            Binding { connect: Connect { region: "eu-west-1".into(), ..connect() }.into(), ..binding() }
                .inputs(&["a", "b"]),
            Binding { connect: elsewhere().into(), ..binding() }.inputs(&["a", "b"]),
            Binding { ca: Some(Ca { bundle: other_bundle, ..binding().ca.unwrap() }), ..binding() }.inputs(&["a", "b"]),
        ];
        for (index, other) in changed.iter().enumerate() {
            assert_ne!(other, &base, "case {index}");
        }
    }

    fn all_formats() -> BTreeSet<Format> {
        [Format::MyCnf, Format::Uri, Format::Jdbc, Format::GoDsn, Format::Pkcs12, Format::P7b].into()
    }

    #[test]
    fn each_format_is_a_file() {
        let contents = Binding { formats: all_formats(), ..binding() }.contents(&token());
        assert_eq!(
            text(&contents, "database.url"),
            "mysql://app.orders:h%3A3306%2F%3FAction%3Dconnect%26X%3D%252F@orders.abc.us-east-1.rds.amazonaws.com:3306/orders\
             ?ssl-mode=VERIFY_IDENTITY&ssl-ca=%2Fvar%2Frun%2Fsecrets%2Fiamdb.dev%2Forders%2Fca.crt"
        );
        assert_eq!(
            text(&contents, "jdbc.properties"),
            "url=jdbc:mysql://orders.abc.us-east-1.rds.amazonaws.com:3306/orders\nuser=app.orders\n\
             password=h:3306/?Action=connect&X=%2F\nsslMode=VERIFY_IDENTITY\n\
             trustCertificateKeyStoreUrl=file:/var/run/secrets/iamdb.dev/orders/truststore.p12\n\
             trustCertificateKeyStoreType=PKCS12\ntrustCertificateKeyStorePassword=changeit\n\
             serverSslCert=/var/run/secrets/iamdb.dev/orders/ca.crt\n"
        );
        assert_eq!(
            text(&contents, "go.dsn"),
            "app.orders:h:3306/?Action=connect&X=%2F@tcp(orders.abc.us-east-1.rds.amazonaws.com:3306)/orders\
             ?allowCleartextPasswords=true&tls=true"
        );
        assert_eq!(text(&contents, "truststore.password"), "changeit");
        for key in ["truststore.p12", "ca.p7b"] {
            let certificate = &bundle().certificates()[0].clone();
            assert!(contents[key].windows(certificate.len()).any(|window| window == certificate), "{key}");
        }
    }

    #[test]
    fn a_trust_store_has_the_same_bytes_for_the_same_certificates() {
        let of = |binding: Binding| binding.contents(&token());
        let first = of(Binding { formats: all_formats(), ..binding() });
        let again = of(Binding { formats: [Format::Jdbc].into(), ..binding() });
        assert_eq!(first["truststore.p12"], again["truststore.p12"]);
    }

    #[test]
    fn clients_dial_an_alias_and_verify_the_ca_alone() {
        let contents = Binding { alias: Some(tunnel()), formats: all_formats(), ..binding() }.contents(&token());
        assert_eq!((text(&contents, "host").as_str(), text(&contents, "port").as_str()), ("db.internal", "13306"));
        assert!(text(&contents, "password").starts_with("h:3306/"), "the signature keeps RDS's name");
        for key in ["my.cnf", "database.url", "jdbc.properties", "go.dsn", "uri"] {
            let file = text(&contents, key);
            assert!(file.contains("db.internal") && !file.contains("IDENTITY") && !file.contains("tls=true"), "{file}");
        }
        assert!(text(&contents, "my.cnf").contains("VERIFY_CA\nloose-skip-ssl-verify-server-cert\n"));
    }

    #[test]
    fn without_a_ca_no_file_names_one() {
        let contents = Binding { ca: None, formats: all_formats(), ..binding() }.contents(&token());
        assert!(!contents.contains_key("ca.crt") && !contents.contains_key("truststore.p12"));
        for file in contents.values() {
            let file = String::from_utf8_lossy(file);
            assert!(!file.contains("ca.crt") && !file.contains("truststore"), "{file}");
        }
    }

    #[test]
    fn a_token_that_mariadbs_client_cannot_read_is_not_written_into_its_file() {
        let mariadb = Binding { engine: Engine::MariaDb, ..binding() };
        let (fits, does_not) = (token_of(&"x".repeat(4_083)), token_of(&"x".repeat(4_084)));
        assert!(mariadb.contents(&fits).contains_key("my.cnf") && !mariadb.omits_my_cnf(&fits));
        assert!(!mariadb.contents(&does_not).contains_key("my.cnf") && mariadb.omits_my_cnf(&does_not));
        assert!(binding().contents(&does_not).contains_key("my.cnf"), "MySQL's client takes it");
        let unasked = Binding { formats: BTreeSet::new(), ..mariadb };
        assert!(!unasked.omits_my_cnf(&does_not));
        let line = format!("password=\"{}\"", fits.text.expose());
        assert_eq!(line.len(), 4_094);
    }
}
