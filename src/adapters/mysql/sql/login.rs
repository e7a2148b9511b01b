//! What is asked in a session that only proves that the login is possible.

use super::Statement;
use crate::domain::engine::Engine;

/// The account that the login was taken for, and the cipher of its TLS. Both tables can be read by everybody.
pub(in crate::adapters::mysql) fn who_am_i(engine: Engine) -> Statement {
    let status = match engine {
        Engine::MySql => "performance_schema.session_status",
        Engine::MariaDb => "information_schema.SESSION_STATUS",
    };
    Statement::new(
        "ask who it is",
        format!(
            "SELECT CAST(CURRENT_USER() AS CHAR) AS account, \
             (SELECT CAST(VARIABLE_VALUE AS CHAR) FROM {status} WHERE VARIABLE_NAME = 'Ssl_cipher') AS cipher"
        ),
    )
}
