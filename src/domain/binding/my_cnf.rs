//! `my.cnf`, for the clients of MySQL and MariaDB.

use super::Binding;
use crate::domain::engine::Engine;
use crate::domain::token::Token;

/// MariaDB's client cuts the lines of an option file after 4,094 bytes, and prints what it has cut off. `password=""` takes eleven of them.
const LONGEST_TOKEN: usize = 4_083;

/// Whether the file would not do: MariaDB's client could not log in, and would print the end of the token.
pub(super) fn is_too_long(engine: Engine, token: &Token) -> bool {
    engine == Engine::MariaDb && token.text.expose().len() > LONGEST_TOKEN
}

/// One text for both families. `loose-` because MariaDB's client dies on options that it does not know; it also checks no host name unless it is
/// told to, and MySQL's sends no clear text unless it is told to. The password stands in quotes: an unquoted `#` ends a value.
pub(super) fn text(binding: &Binding, token: &Token) -> String {
    let (host, port) = binding.dialled();
    let mut text = format!(
        "[client]\nhost={host}\nport={port}\nuser={}\npassword=\"{}\"\n",
        binding.connect.username,
        token.text.expose(),
    );
    if let Some(path) = binding.ca_path() {
        text.push_str("ssl-ca=");
        text.push_str(&path);
        text.push('\n');
    }
    text.push_str(if binding.checks_name() {
        "loose-ssl-mode=VERIFY_IDENTITY\nloose-ssl-verify-server-cert\n"
    } else {
        // No RDS certificate names an alias. MariaDB's client verifies the chain because `ssl-ca` is there.
        "loose-ssl-mode=VERIFY_CA\nloose-skip-ssl-verify-server-cert\n"
    });
    text.push_str("loose-enable-cleartext-plugin\n");
    text
}
