//! `go.dsn`, for go-sql-driver/mysql.

use super::Binding;
use super::uri::encode;
use crate::domain::token::Token;

/// The driver looks for the last slash, the last `@` before it and the first colon, so a token needs no encoding. A DSN cannot name a CA file:
/// `tls=true` takes the roots of the process, which `SSL_CERT_DIR` adds the mounted folder to. A name that is not in the certificate, an alias's,
/// needs a TLS configuration that the program registers as `iamdb`.
pub(super) fn text(binding: &Binding, token: &Token) -> String {
    let (host, port) = binding.dialled();
    let tls = if binding.checks_name() { "true" } else { "iamdb" };
    format!(
        "{}:{}@tcp({host}:{port})/{}?allowCleartextPasswords=true&tls={tls}",
        binding.connect.username,
        token.text.expose(),
        encode(binding.database.as_deref().unwrap_or_default()),
    )
}
