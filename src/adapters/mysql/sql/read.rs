//! The statements of the bulk read. Each is the same for one user as for a thousand, but for the number of its question marks.

use std::collections::BTreeSet;

use super::ledger::{LEDGER_SCHEMA, LEDGER_TABLE};
use super::{MARK, Statement};
use crate::domain::account::PLUGIN_STRING;
use crate::domain::engine::Engine;
use crate::domain::names::Username;
use crate::domain::privilege::Privilege;

/// Static privileges beyond those of a schema: the column of MySQL's `mysql.user`, the bit in MariaDB's `access`, the words of a REVOKE.
const GLOBAL: &[(&str, u32, &str)] = &[
    ("Reload_priv", 6, "RELOAD"),
    ("Shutdown_priv", 7, "SHUTDOWN"),
    ("Process_priv", 8, "PROCESS"),
    ("File_priv", 9, "FILE"),
    ("Grant_priv", 10, "GRANT OPTION"),
    ("Show_db_priv", 14, "SHOW DATABASES"),
    ("Super_priv", 15, "SUPER"),
    ("Repl_slave_priv", 19, "REPLICATION SLAVE"),
    ("Repl_client_priv", 20, "REPLICATION CLIENT"),
    ("Create_user_priv", 25, "CREATE USER"),
    ("Create_tablespace_priv", 28, "CREATE TABLESPACE"),
];

/// Those that only one family has.
const MYSQL_ONLY: &[(&str, &str)] = &[("Create_role_priv", "CREATE ROLE"), ("Drop_role_priv", "DROP ROLE")];
const MARIADB_ONLY: &[(u32, &str)] = &[
    (29, "DELETE HISTORY"),
    (30, "SET USER"),
    (31, "FEDERATED ADMIN"),
    (32, "CONNECTION ADMIN"),
    (33, "READ_ONLY ADMIN"),
    (34, "REPLICATION SLAVE ADMIN"),
    (35, "REPLICATION MASTER ADMIN"),
    (36, "BINLOG ADMIN"),
    (37, "BINLOG REPLAY"),
    (38, "REPLICA MONITOR"),
    (39, "SHOW CREATE ROUTINE"),
];

/// The bits of MariaDB's `access` that are privileges of a schema too, in the order of [`Privilege::ALL`].
const SCHEMA_BITS: [u32; 18] = [0, 1, 2, 3, 4, 5, 11, 12, 13, 16, 17, 18, 21, 22, 23, 24, 26, 27];

/// The bit of SUPER.
const SUPER: u32 = 15;

/// Every account of these users, and every account without a name; with `roles` every role too. One row for each schema that it has a grant on, or
/// one without.
pub(in super::super) fn accounts(engine: Engine, users: &[&str], roles: bool) -> Statement {
    let text = match engine {
        Engine::MySql => mysql_accounts(users.len() + 1, roles),
        Engine::MariaDb => mariadb_accounts(users.len() + 1, roles),
    };
    let values = [PLUGIN_STRING, ""].iter().chain(users).map(|value| (*value).to_owned()).collect();
    Statement { values, ..Statement::new("read accounts", text) }
}

/// The password hash of a foreign account never leaves the server: it is compared there.
///
/// A role is what CREATE ROLE leaves (locked, expired, nothing to log in with) and whatever has been granted to somebody as
/// a role, which on MySQL can be any account.
fn mysql_accounts(users: usize, roles: bool) -> String {
    let columns = Privilege::ALL.iter().map(|it| (it.column(), it.sql()));
    let columns = columns.chain(GLOBAL.iter().map(|&(column, _, words)| (column, words)));
    let globally =
        words_where(columns.chain(MYSQL_ONLY.iter().copied()).map(|(c, words)| (format!("a.{c} = 'Y'"), words)));
    let role = "EXISTS (SELECT 1 FROM mysql.role_edges r WHERE r.FROM_USER = a.User AND r.FROM_HOST = a.Host)";
    let or_role = if roles { " OR a.User IN (SELECT r.FROM_USER FROM mysql.role_edges r)" } else { "" };
    format!(
        "SELECT CAST(a.User AS CHAR) AS user, CAST(a.Host AS CHAR) AS host, \
         CAST(a.plugin AS CHAR) AS plugin, \
         CAST(CAST(a.authentication_string AS BINARY) <=> CAST(? AS BINARY) AS SIGNED) AS plugin_string_is_rds, \
         CAST(a.ssl_type = 'ANY' AS SIGNED) AS requires_tls, \
         CAST(UNIX_TIMESTAMP(a.password_last_changed) AS SIGNED) AS credentials_set_at, \
         CAST(JSON_EXTRACT(a.User_attributes, '$.metadata.\"{MARK}\"') AS CHAR) AS mark, \
         CAST(a.Super_priv = 'Y' \
         OR (a.account_locked = 'Y' AND a.password_expired = 'Y' AND a.authentication_string = '') OR {role} \
         OR EXISTS (SELECT 1 FROM mysql.global_grants g WHERE g.USER = a.User AND g.HOST = a.Host AND g.PRIV = 'SYSTEM_USER') \
         AS SIGNED) AS is_privileged, \
         CAST({globally} AS CHAR) AS globally, \
         CAST(a.max_user_connections AS SIGNED) AS max_user_connections, \
         CAST(a.account_locked = 'Y' AS SIGNED) AS is_locked, \
         {GRANTS} \
         FROM mysql.user a LEFT JOIN mysql.db d ON d.User = a.User AND d.Host = a.Host \
         WHERE a.User IN ({}){or_role}",
        marks(users),
        GRANTS = grants_of_row(&[]),
    )
}

/// `mysql.user` is a view here that does not tell when the credentials were set; the table behind it does. An account with
/// `auth_or` has a second way to log in, so its plugin is not what it should be. Once that is taken away a list of one stays, which says nothing.
fn mariadb_accounts(users: usize, roles: bool) -> String {
    let bits = SCHEMA_BITS.iter().zip(Privilege::ALL).map(|(bit, privilege)| (*bit, privilege.sql()));
    let bits = bits.chain(GLOBAL.iter().map(|&(_, bit, words)| (bit, words))).chain(MARIADB_ONLY.iter().copied());
    let access = "CAST(COALESCE(JSON_VALUE(a.Priv, '$.access'), 0) AS UNSIGNED)";
    let globally = words_where(bits.map(|(bit, words)| (format!("{access} & {} <> 0", 1_u64 << bit), words)));
    let or_role = if roles { " OR JSON_EXISTS(a.Priv, '$.is_role')" } else { "" };
    format!(
        "SELECT CAST(a.User AS CHAR) AS user, CAST(a.Host AS CHAR) AS host, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.plugin'), '') AS CHAR) AS plugin, \
         CAST(CAST(JSON_VALUE(a.Priv, '$.authentication_string') AS BINARY) <=> CAST(? AS BINARY) \
         AND COALESCE(JSON_LENGTH(a.Priv, '$.auth_or'), 0) < 2 AS SIGNED) AS plugin_string_is_rds, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.ssl_type'), 0) = 1 AS SIGNED) AS requires_tls, \
         CAST(JSON_VALUE(a.Priv, '$.password_last_changed') AS SIGNED) AS credentials_set_at, \
         CAST(NULL AS CHAR) AS mark, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.is_role'), 0) <> 0 OR {access} & {} <> 0 AS SIGNED) AS is_privileged, \
         CAST({globally} AS CHAR) AS globally, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.max_user_connections'), 0) AS SIGNED) AS max_user_connections, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.account_locked'), 0) <> 0 AS SIGNED) AS is_locked, \
         {GRANTS} \
         FROM mysql.global_priv a LEFT JOIN mysql.db d ON d.User = a.User AND d.Host = a.Host \
         WHERE a.User IN ({}){or_role}",
        1_u64 << SUPER,
        marks(users),
        GRANTS = grants_of_row(&[("Delete_history_priv", "DELETE HISTORY")]),
    )
}

/// The columns of a row of `mysql.db`, as the schema and the words of a GRANT.
fn grants_of_row(further: &[(&'static str, &'static str)]) -> String {
    let columns = Privilege::ALL.iter().map(|privilege| (privilege.column(), privilege.sql()));
    let columns = columns.chain([("Grant_priv", "GRANT OPTION")]).chain(further.iter().copied());
    let words = words_where(columns.map(|(column, words)| (format!("d.{column} = 'Y'"), words)));
    format!("CAST(d.Db AS CHAR) AS schema_pattern, CAST({words} AS CHAR) AS privileges")
}

/// The words whose condition holds, with commas between them.
fn words_where<'a>(words: impl Iterator<Item = (String, &'a str)>) -> String {
    let words: Vec<String> = words.map(|(condition, words)| format!("IF({condition}, '{words}', NULL)")).collect();
    format!("CONCAT_WS(',', {})", words.join(", "))
}

/// Grants on tables, columns and stored routines, and MySQL's dynamic privileges, one row for each. Privileges are the words of a SET.
pub(in super::super) fn object_grants(engine: Engine, users: &[&str]) -> Statement {
    let these = marks(users.len());
    let dynamic = match engine {
        Engine::MySql => format!(
            " UNION ALL SELECT 'SERVER', CAST(g.USER AS CHAR), CAST(g.HOST AS CHAR), '', '', '', CAST(g.PRIV AS CHAR) \
             FROM mysql.global_grants g WHERE g.USER IN ({these})"
        ),
        Engine::MariaDb => String::new(),
    };
    let text = format!(
        "SELECT 'TABLE' AS kind, CAST(t.User AS CHAR) AS user, CAST(t.Host AS CHAR) AS host, CAST(t.Db AS CHAR) AS schema_name, \
         CAST(t.Table_name AS CHAR) AS object_name, '' AS column_name, UPPER(CAST(t.Table_priv AS CHAR)) AS privileges \
         FROM mysql.tables_priv t WHERE t.User IN ({these}) \
         UNION ALL SELECT 'COLUMN', CAST(c.User AS CHAR), CAST(c.Host AS CHAR), CAST(c.Db AS CHAR), \
         CAST(c.Table_name AS CHAR), CAST(c.Column_name AS CHAR), UPPER(CAST(c.Column_priv AS CHAR)) \
         FROM mysql.columns_priv c WHERE c.User IN ({these}) \
         UNION ALL SELECT CAST(p.Routine_type AS CHAR), CAST(p.User AS CHAR), CAST(p.Host AS CHAR), CAST(p.Db AS CHAR), \
         CAST(p.Routine_name AS CHAR), '', UPPER(CAST(p.Proc_priv AS CHAR)) \
         FROM mysql.procs_priv p WHERE p.User IN ({these}){dynamic}"
    );
    let times = if engine == Engine::MySql { 4 } else { 3 };
    repeated(Statement::new("read grants", text), users, times)
}

/// How a REVOKE calls a right of those SETs: two have another name there.
pub(in super::super) fn word_of_revoke(word: &str) -> &str {
    match word {
        "GRANT" => "GRANT OPTION",
        "DELETE VERSIONING ROWS" => "DELETE HISTORY",
        word => word,
    }
}

/// Who holds which role, which are active after a login, and which everybody has. All edges are read: roles hold roles.
pub(in super::super) fn roles(engine: Engine, users: &[&str]) -> Statement {
    let these = marks(users.len());
    let text = match engine {
        Engine::MySql => format!(
            "SELECT 'EDGE' AS kind, CAST(e.TO_USER AS CHAR) AS user, CAST(e.TO_HOST AS CHAR) AS host, CAST(e.FROM_USER AS CHAR) AS role_name, \
             CAST(e.FROM_HOST AS CHAR) AS role_host, CAST(e.WITH_ADMIN_OPTION = 'Y' AS SIGNED) AS may_pass_on FROM mysql.role_edges e \
             UNION ALL SELECT 'DEFAULT', CAST(d.USER AS CHAR), CAST(d.HOST AS CHAR), CAST(d.DEFAULT_ROLE_USER AS CHAR), \
             CAST(d.DEFAULT_ROLE_HOST AS CHAR), 0 FROM mysql.default_roles d WHERE d.USER IN ({these}) \
             UNION ALL SELECT 'MANDATORY', '', '', CAST(@@mandatory_roles AS CHAR), '', 0"
        ),
        Engine::MariaDb => format!(
            "SELECT 'EDGE' AS kind, CAST(m.User AS CHAR) AS user, CAST(m.Host AS CHAR) AS host, CAST(m.Role AS CHAR) AS role_name, \
             '' AS role_host, CAST(m.Admin_option = 'Y' AS SIGNED) AS may_pass_on FROM mysql.roles_mapping m \
             UNION ALL SELECT 'DEFAULT', CAST(a.User AS CHAR), CAST(a.Host AS CHAR), CAST(JSON_VALUE(a.Priv, '$.default_role') AS CHAR), '', 0 \
             FROM mysql.global_priv a WHERE a.User IN ({these}) AND COALESCE(JSON_VALUE(a.Priv, '$.default_role'), '') <> ''"
        ),
    };
    repeated(Statement::new("read roles", text), users, 1)
}

/// Who something runs as, each once. Text of MySQL and of MariaDB alike: `user@host`. MariaDB shows events to whoever may make some, and the table
/// behind them to whoever reads accounts.
pub(in super::super) fn definers(engine: Engine) -> Statement {
    let events = if engine == Engine::MariaDb { "mysql.event" } else { "information_schema.EVENTS" };
    let text = format!(
        "SELECT CAST(v.DEFINER AS CHAR) AS definer FROM information_schema.VIEWS v \
         UNION SELECT CAST(r.DEFINER AS CHAR) FROM information_schema.ROUTINES r \
         UNION SELECT CAST(t.DEFINER AS CHAR) FROM information_schema.TRIGGERS t \
         UNION SELECT CAST(e.DEFINER AS CHAR) FROM {events} e"
    );
    Statement::new("read definers", text)
}

/// The sessions of a user, and where each comes from.
pub(in super::super) fn sessions(username: &Username) -> Statement {
    let text = "SELECT CAST(p.ID AS SIGNED) AS id, CAST(p.HOST AS CHAR) AS host FROM information_schema.PROCESSLIST p \
         WHERE CAST(p.USER AS BINARY) = CAST(? AS BINARY)";
    Statement::new("read sessions", text).bind([username.as_str()])
}

/// The ledger's rows of these users.
pub(in super::super) fn ledger(users: &[&str]) -> Statement {
    let text = format!(
        "SELECT CAST(user AS CHAR) AS user, CAST(host AS CHAR) AS host, CAST(owner AS CHAR) AS owner, CAST(state AS CHAR) AS state, stamp \
         FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user IN ({})",
        marks(users.len())
    );
    repeated(Statement::new("read the ledger", text), users, 1)
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn repeated(statement: Statement, users: &[&str], times: usize) -> Statement {
    let values = std::iter::repeat_n(users, times).flatten().map(|user| (*user).to_owned()).collect();
    Statement { values, ..statement }
}

/// Names as a statement takes them.
pub(in super::super) fn names(usernames: &BTreeSet<Username>) -> Vec<&str> {
    usernames.iter().map(Username::as_str).collect()
}
