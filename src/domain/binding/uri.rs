//! Connection URIs: the one of the service binding, and `database.url`, which also says how TLS is verified.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Binding;
use crate::domain::token::Token;

/// Everything but the characters that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Scheme, user, token, endpoint and database.
pub(super) fn plain(binding: &Binding, token: &Token) -> String {
    let (host, port) = binding.dialled();
    format!(
        "{}://{}:{}@{host}:{port}/{}",
        binding.engine.uri_scheme(),
        encode(&binding.connect.username),
        encode(token.text.expose()),
        encode(binding.database.as_deref().unwrap_or_default()),
    )
}

/// The same with the parameters by which MySQL's own tools, and drivers that follow them, verify the server.
pub(super) fn with_tls(binding: &Binding, token: &Token) -> String {
    let mode = if binding.checks_name() { "VERIFY_IDENTITY" } else { "VERIFY_CA" };
    let ca = binding.ca_path().map(|path| format!("&ssl-ca={}", encode(&path))).unwrap_or_default();
    format!("{}?ssl-mode={mode}{ca}", plain(binding, token))
}
