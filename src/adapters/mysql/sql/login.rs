//! What a session asks of its own login.

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

/// The account and the active roles of the administrator's session, and whether RDS's procedure that ends sessions can be seen.
pub(in crate::adapters::mysql) fn own_login() -> Statement {
    let text = "SELECT CAST(CURRENT_USER() AS CHAR) AS account, CAST(CURRENT_ROLE() AS CHAR) AS active_roles, \
         (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = 'rds_kill') AS kills";
    Statement::new("ask who it is", text)
}
