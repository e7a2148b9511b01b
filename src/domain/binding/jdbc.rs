//! `jdbc.properties`, for MySQL's Connector/J and for MariaDB's driver: each takes the words that it knows and leaves the other's alone.

use super::{Binding, PKCS12_KEY};
use crate::domain::ca;
use crate::domain::engine::Engine;
use crate::domain::token::Token;

/// Everything but the URL is a connection property of that name. The token is a property and never in the URL: URLs get into logs.
pub(super) fn properties(binding: &Binding, token: &Token) -> String {
    let (host, port) = binding.dialled();
    let scheme = match binding.engine {
        Engine::MySql => "mysql",
        Engine::MariaDb => "mariadb",
    };
    let database = binding.database.as_deref().unwrap_or_default();
    // Both drivers know these two words; MariaDB's own for the first is verify-full.
    let mode = if binding.checks_name() { "VERIFY_IDENTITY" } else { "VERIFY_CA" };
    let mut lines = vec![
        ("url", format!("jdbc:{scheme}://{host}:{port}/{database}")),
        ("user", binding.connect.username.clone()),
        ("password", token.text.expose().to_owned()),
        ("sslMode", mode.to_owned()),
    ];
    if let Some(path) = binding.ca_path() {
        // Connector/J takes no PEM, and no trust store without a password.
        lines.push(("trustCertificateKeyStoreUrl", format!("file:{}/{PKCS12_KEY}", binding.mount_path)));
        lines.push(("trustCertificateKeyStoreType", "PKCS12".to_owned()));
        lines.push(("trustCertificateKeyStorePassword", ca::TRUST_STORE_PASSWORD.to_owned()));
        lines.push(("serverSslCert", path));
    }
    lines.iter().fold(String::new(), |text, (key, value)| text + key + "=" + &escape(value) + "\n")
}

/// In a value of a properties file only the backslash has a meaning; a line break would end it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}
