//! Every statement that the operator sends, one function each: the only file with SQL text.
//!
//! Values are bound where the server allows it. Account names and attributes cannot be bound in statements on accounts, so
//! they pass through [`string`]; schema names through [`identifier`]. Both are right in every `sql_mode`, and the types of the
//! arguments let nothing through that would need quoting: two locks on the same door.

mod login;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::domain::account::{GrantedOn, LedgerState, PLUGIN, PLUGIN_STRING};
use crate::domain::engine::Engine;
use crate::domain::names::{HostPattern, Username};
use crate::domain::ownership::Owner;
use crate::domain::privilege::Privilege;

pub(super) use login::who_am_i;

/// Schema and table of the operator's own ledger.
const LEDGER_SCHEMA: &str = "iamdb_operator";
const LEDGER_TABLE: &str = "accounts";

/// Key of the mark among an account's attributes.
const MARK: &str = "iamdb.dev/owner";

/// One statement: its text, and the values for its question marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// What it is for, as a fault names it.
    pub(super) operation: &'static str,
    /// The text.
    pub(super) text: String,
    /// In the order of the question marks.
    pub(super) values: Vec<String>,
}

/// A text that no string literal can hold in every `sql_mode`: it has a backslash or a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unquotable;

impl Statement {
    fn new(operation: &'static str, text: impl Into<String>) -> Self {
        Self { operation, text: text.into(), values: Vec::new() }
    }

    fn bind<const N: usize>(self, values: [&str; N]) -> Self {
        Self { values: values.map(str::to_owned).to_vec(), ..self }
    }
}

/// What the server says of itself. It comes before [`pin`], so it has to mean the same in every `sql_mode`.
///
/// MariaDB has no `partial_revokes`, and naming it there is an error: only MySQL reads what stands behind `/*!80016`. The
/// catalogue tells whether the ledger is there, so that its absence is never concluded from an error.
pub(super) fn facts() -> Statement {
    let text = "SELECT VERSION() AS version, \
         CAST(@@lower_case_table_names AS SIGNED) AS lower_case_table_names, \
         CAST(@@read_only AS CHAR) AS read_only, \
         CAST(@@innodb_read_only AS SIGNED) AS innodb_read_only, \
         /*!80016 CAST(@@partial_revokes AS SIGNED) + */ 0 AS partial_revokes, \
         (SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = ? AND PLUGIN_STATUS = 'ACTIVE') AS plugins, \
         (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?) AS ledgers";
    Statement::new("read the server's settings", text).bind([PLUGIN, LEDGER_SCHEMA, LEDGER_TABLE])
}

/// Makes the session independent of how the server is configured.
///
/// On MariaDB `NO_AUTO_CREATE_USER` must be among the modes: without it a GRANT to an account that has just gone makes the
/// account anew, without a password. MySQL 8 never does that and refuses the word. With `autocommit` off our rows would be
/// lost with the session. The time limits end a statement on the server before it is given up here: one that takes effect
/// after its caller has gone is accounted for by nobody. MySQL has none for statements that write, MariaDB's lock timeout
/// does not cover the locks of a backup.
pub(super) fn pin(engine: Engine, limit: Duration) -> Statement {
    let seconds = limit.as_secs().max(1);
    let (modes, own) = match engine {
        Engine::MySql => ("STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION", String::new()),
        Engine::MariaDb => (
            "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_CREATE_USER",
            format!(", SESSION max_statement_time = {seconds}"),
        ),
    };
    Statement::new(
        "prepare the session",
        format!(
            "SET SESSION sql_mode = '{modes}', SESSION autocommit = 1, \
             SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}{own}, NAMES utf8mb4"
        ),
    )
}

/// Every account of a user name, one row for each schema that it has a grant on, or one without.
pub(super) fn accounts(engine: Engine, username: &Username) -> Statement {
    let text = match engine {
        Engine::MySql => mysql_accounts(),
        Engine::MariaDb => mariadb_accounts(),
    };
    Statement::new("read accounts", text).bind([PLUGIN_STRING, username.as_str()])
}

/// The password hash of a foreign account never leaves the server: it is compared there.
///
/// A role is what CREATE ROLE leaves (locked, expired, nothing to log in with) and whatever has been granted to somebody as
/// a role, which on MySQL can be any account.
fn mysql_accounts() -> String {
    format!(
        "SELECT CAST(a.Host AS CHAR) AS host, \
         CAST(a.plugin AS CHAR) AS plugin, \
         CAST(CAST(a.authentication_string AS BINARY) <=> CAST(? AS BINARY) AS SIGNED) AS plugin_string_is_rds, \
         CAST(a.ssl_type <> '' AS SIGNED) AS requires_tls, \
         CAST(UNIX_TIMESTAMP(a.password_last_changed) AS SIGNED) AS credentials_set_at, \
         CAST(JSON_EXTRACT(a.User_attributes, '$.metadata.\"{MARK}\"') AS CHAR) AS mark, \
         CAST(a.Super_priv = 'Y' \
         OR (a.account_locked = 'Y' AND a.password_expired = 'Y' AND a.authentication_string = '') \
         OR EXISTS (SELECT 1 FROM mysql.role_edges r WHERE r.FROM_USER = a.User AND r.FROM_HOST = a.Host) \
         OR EXISTS (SELECT 1 FROM mysql.global_grants g WHERE g.USER = a.User AND g.HOST = a.Host AND g.PRIV = 'SYSTEM_USER') \
         AS SIGNED) AS is_privileged, \
         CAST(a.max_user_connections AS SIGNED) AS max_user_connections, \
         CAST(a.account_locked = 'Y' AS SIGNED) AS is_locked, \
         {GRANTS} \
         FROM mysql.user a LEFT JOIN mysql.db d ON d.User = a.User AND d.Host = a.Host \
         WHERE a.User = ?",
        GRANTS = grants_of_row(),
    )
}

/// `mysql.user` is a view here that does not tell when the credentials were set; the table behind it does. An account with
/// `auth_or` has a second way to log in, so its plugin is not what it should be. 32768 is the bit of SUPER.
fn mariadb_accounts() -> String {
    format!(
        "SELECT CAST(a.Host AS CHAR) AS host, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.plugin'), '') AS CHAR) AS plugin, \
         CAST(CAST(JSON_VALUE(a.Priv, '$.authentication_string') AS BINARY) <=> CAST(? AS BINARY) \
         AND NOT JSON_EXISTS(a.Priv, '$.auth_or') AS SIGNED) AS plugin_string_is_rds, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.ssl_type'), 0) > 0 AS SIGNED) AS requires_tls, \
         CAST(JSON_VALUE(a.Priv, '$.password_last_changed') AS SIGNED) AS credentials_set_at, \
         CAST(NULL AS CHAR) AS mark, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.is_role'), 0) <> 0 \
         OR CAST(COALESCE(JSON_VALUE(a.Priv, '$.access'), 0) AS UNSIGNED) & 32768 <> 0 AS SIGNED) AS is_privileged, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.max_user_connections'), 0) AS SIGNED) AS max_user_connections, \
         CAST(COALESCE(JSON_VALUE(a.Priv, '$.account_locked'), 0) <> 0 AS SIGNED) AS is_locked, \
         {GRANTS} \
         FROM mysql.global_priv a LEFT JOIN mysql.db d ON d.User = a.User AND d.Host = a.Host \
         WHERE a.User = ?",
        GRANTS = grants_of_row(),
    )
}

/// The columns of a row of `mysql.db`, as the schema and the words of a GRANT.
fn grants_of_row() -> String {
    let words: Vec<String> = Privilege::ALL
        .iter()
        .map(|privilege| format!("IF(d.{} = 'Y', '{}', NULL)", privilege.column(), privilege.sql()))
        .collect();
    format!("CAST(d.Db AS CHAR) AS schema_pattern, CAST(CONCAT_WS(',', {}) AS CHAR) AS privileges", words.join(", "))
}

/// Grants on tables and stored routines, one row for each. Privileges are the words of a SET.
pub(super) fn object_grants(username: &Username) -> Statement {
    let text = "SELECT 'TABLE' AS kind, CAST(t.Host AS CHAR) AS host, CAST(t.Db AS CHAR) AS schema_name, \
         CAST(t.Table_name AS CHAR) AS object_name, UPPER(CAST(t.Table_priv AS CHAR)) AS privileges \
         FROM mysql.tables_priv t WHERE t.User = ? \
         UNION ALL \
         SELECT CAST(p.Routine_type AS CHAR), CAST(p.Host AS CHAR), CAST(p.Db AS CHAR), \
         CAST(p.Routine_name AS CHAR), UPPER(CAST(p.Proc_priv AS CHAR)) \
         FROM mysql.procs_priv p WHERE p.User = ?";
    Statement::new("read grants", text).bind([username.as_str(), username.as_str()])
}

/// The ledger's rows of a user name.
pub(super) fn ledger(username: &Username) -> Statement {
    let text = format!(
        "SELECT CAST(host AS CHAR) AS host, CAST(owner AS CHAR) AS owner, CAST(state AS CHAR) AS state, stamp \
         FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user = ?"
    );
    Statement::new("read the ledger", text).bind([username.as_str()])
}

/// The ledger's schema.
pub(super) fn create_ledger_schema() -> Statement {
    Statement::new("create the ledger", format!("CREATE DATABASE IF NOT EXISTS {LEDGER_SCHEMA}"))
}

/// The ledger itself, with names of the catalogue's own collation: case matters in them, and joins need no conversion.
pub(super) fn create_ledger_table() -> Statement {
    Statement::new(
        "create the ledger",
        format!(
            "CREATE TABLE IF NOT EXISTS {LEDGER_SCHEMA}.{LEDGER_TABLE} (\
             user VARCHAR(128) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL, \
             host VARCHAR(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL, \
             owner JSON NOT NULL, \
             state ENUM('{}', '{}') NOT NULL, \
             stamp BIGINT NOT NULL, \
             PRIMARY KEY (user, host)) ENGINE = InnoDB",
            state_word(LedgerState::Intent),
            state_word(LedgerState::Owned),
        ),
    )
}

/// Clears an older intent of this cluster out of the way, unless the account is there by now.
pub(super) fn clear_intent(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "DELETE FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user = ? AND host = ? \
         AND JSON_VALUE(owner, '$.cluster') = ? AND JSON_VALUE(owner, '$.server') = ? \
         AND NOT EXISTS (SELECT 1 FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?)"
    );
    let (user, host) = (username.as_str(), host.as_str());
    Statement::new("record an intent", text).bind([user, host, &owner.cluster, &owner.server, user, host])
}

/// Writes the intent, unless the account is there by now: an intent that is younger than its account disowns it for good.
/// Nothing is inserted then. A row of another cluster is a duplicate key.
pub(super) fn record_intent(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "INSERT INTO {LEDGER_SCHEMA}.{LEDGER_TABLE} (user, host, owner, state, stamp) \
         SELECT ?, ?, ?, '{}', UNIX_TIMESTAMP() FROM DUAL \
         WHERE NOT EXISTS (SELECT 1 FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?)",
        state_word(LedgerState::Intent),
    );
    let (user, host) = (username.as_str(), host.as_str());
    Statement::new("record an intent", text).bind([user, host, &mark_of(owner), user, host])
}

/// Writes that the account is ours, with the stamp that it has in this very moment.
pub(super) fn record_owned(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "UPDATE {LEDGER_SCHEMA}.{LEDGER_TABLE} l JOIN mysql.global_priv a ON a.User = l.user AND a.Host = l.host \
         SET l.owner = ?, l.state = '{}', l.stamp = CAST(JSON_VALUE(a.Priv, '$.password_last_changed') AS SIGNED) \
         WHERE l.user = ? AND l.host = ? AND JSON_VALUE(l.owner, '$.cluster') = ? AND JSON_VALUE(l.owner, '$.server') = ?",
        state_word(LedgerState::Owned),
    );
    Statement::new("record an account", text).bind([
        &mark_of(owner),
        username.as_str(),
        host.as_str(),
        &owner.cluster,
        &owner.server,
    ])
}

/// Rewrites the owner in the ledger.
pub(super) fn mark_in_ledger(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "UPDATE {LEDGER_SCHEMA}.{LEDGER_TABLE} SET owner = ? WHERE user = ? AND host = ? \
         AND JSON_VALUE(owner, '$.cluster') = ? AND JSON_VALUE(owner, '$.server') = ?"
    );
    Statement::new("mark an account", text).bind([
        &mark_of(owner),
        username.as_str(),
        host.as_str(),
        &owner.cluster,
        &owner.server,
    ])
}

/// Removes a row from the ledger.
pub(super) fn forget(username: &Username, host: &HostPattern) -> Statement {
    let text = format!("DELETE FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user = ? AND host = ?");
    Statement::new("forget an account", text).bind([username.as_str(), host.as_str()])
}

/// Creates the account with everything that its first login needs in one statement: there is no moment in which it could log
/// in without TLS or is nobody's. Never IF NOT EXISTS: that would take an account over that somebody else has just made.
pub(super) fn create_account(
    engine: Engine,
    username: &Username,
    host: &HostPattern,
    owner: &Owner,
) -> Result<Statement, Unquotable> {
    let (account, login) = (account(username, host)?, login()?);
    let text = match engine {
        Engine::MySql => format!("CREATE USER {account} {login} ATTRIBUTE {}", attribute(owner)?),
        Engine::MariaDb => format!("CREATE USER {account} {login}"),
    };
    Ok(Statement::new("create an account", text))
}

/// Merges the mark into the account's attributes; those of others stay.
pub(super) fn mark_account(username: &Username, host: &HostPattern, owner: &Owner) -> Result<Statement, Unquotable> {
    let text = format!("ALTER USER {} ATTRIBUTE {}", account(username, host)?, attribute(owner)?);
    Ok(Statement::new("mark an account", text))
}

/// Sets plugin and TLS again.
pub(super) fn use_plugin(username: &Username, host: &HostPattern) -> Result<Statement, Unquotable> {
    let text = format!("ALTER USER {} {}", account(username, host)?, login()?);
    Ok(Statement::new("set the plugin of an account", text))
}

/// Lets the account log in only over TLS. Names no plugin: that would set the credentials anew.
pub(super) fn require_tls(username: &Username, host: &HostPattern) -> Result<Statement, Unquotable> {
    let text = format!("ALTER USER {} REQUIRE SSL", account(username, host)?);
    Ok(Statement::new("require TLS", text))
}

/// Limits the sessions that may be open at once.
pub(super) fn limit(
    username: &Username,
    host: &HostPattern,
    max_user_connections: u32,
) -> Result<Statement, Unquotable> {
    let text = format!("ALTER USER {} WITH MAX_USER_CONNECTIONS {max_user_connections}", account(username, host)?);
    Ok(Statement::new("limit an account", text))
}

/// Lets nobody log in. Sessions that are open stay open.
pub(super) fn lock(username: &Username, host: &HostPattern) -> Result<Statement, Unquotable> {
    Ok(Statement::new("lock an account", format!("ALTER USER {} ACCOUNT LOCK", account(username, host)?)))
}

/// Lets people log in again.
pub(super) fn unlock(username: &Username, host: &HostPattern) -> Result<Statement, Unquotable> {
    Ok(Statement::new("unlock an account", format!("ALTER USER {} ACCOUNT UNLOCK", account(username, host)?)))
}

/// Grants privileges on something, in the server's own spelling.
pub(super) fn grant(
    username: &Username,
    host: &HostPattern,
    on: &GrantedOn,
    privileges: &BTreeSet<Privilege>,
) -> Result<Statement, Unquotable> {
    let text = format!("GRANT {} ON {} TO {}", words(privileges), target(on), account(username, host)?);
    Ok(Statement::new("grant privileges", text))
}

/// Takes privileges away. `on` must be the stored spelling.
pub(super) fn revoke(
    username: &Username,
    host: &HostPattern,
    on: &GrantedOn,
    privileges: &BTreeSet<Privilege>,
) -> Result<Statement, Unquotable> {
    let text = format!("REVOKE {} ON {} FROM {}", words(privileges), target(on), account(username, host)?);
    Ok(Statement::new("revoke privileges", text))
}

/// Drops the account; one that is gone already is no error.
pub(super) fn drop_account(username: &Username, host: &HostPattern) -> Result<Statement, Unquotable> {
    let text = format!("DROP USER IF EXISTS {}", account(username, host)?);
    Ok(Statement::new("drop an account", text))
}

/// A login for the operator itself: it makes accounts, reads the catalogue, hands out the ceiling and nothing beyond it, and on MariaDB keeps its
/// ledger. `ceiling` comes as patterns, escaped as the server wants them.
pub(super) fn admin_login(
    engine: Engine,
    username: &Username,
    ceiling: impl Iterator<Item = (String, BTreeSet<Privilege>)>,
) -> Result<Vec<Statement>, Unquotable> {
    let account = format!("{}@'%'", string(username.as_str())?);
    let give = |text: String| Statement::new("give the operator its rights", text);
    let mut statements = vec![
        give(format!("CREATE USER {account} {}", login()?)),
        give(format!("GRANT CREATE USER ON *.* TO {account}")),
        give(format!("GRANT SELECT ON `mysql`.* TO {account}")),
    ];
    if engine == Engine::MariaDb {
        let ledger = identifier(&LEDGER_SCHEMA.replace('_', "\\_"));
        statements.push(give(format!("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {ledger}.* TO {account}")));
    }
    statements.extend(ceiling.map(|(schema, privileges)| {
        give(format!("GRANT {} ON {}.* TO {account} WITH GRANT OPTION", words(&privileges), identifier(&schema)))
    }));
    Ok(statements)
}

/// How the ledger writes a state.
const fn state_word(state: LedgerState) -> &'static str {
    match state {
        LedgerState::Intent => "Intent",
        LedgerState::Owned => "Owned",
    }
}

/// The state that the ledger's word means.
pub(super) fn state_of(word: &str) -> Option<LedgerState> {
    [LedgerState::Intent, LedgerState::Owned].into_iter().find(|state| state_word(*state) == word)
}

fn words(privileges: &BTreeSet<Privilege>) -> String {
    let words: Vec<&str> = privileges.iter().map(|privilege| privilege.sql()).collect();
    words.join(", ")
}

/// What a grant is on. Only in the schema of a schema-level grant is a backslash an escape; everywhere else names are literal.
fn target(on: &GrantedOn) -> String {
    let pair = |schema: &str, object: &str| format!("{}.{}", identifier(schema), identifier(object));
    match on {
        GrantedOn::Schema(schema) => format!("{}.*", identifier(schema)),
        GrantedOn::Table(schema, table) => format!("TABLE {}", pair(schema, table)),
        GrantedOn::Procedure(schema, name) => format!("PROCEDURE {}", pair(schema, name)),
        GrantedOn::Function(schema, name) => format!("FUNCTION {}", pair(schema, name)),
    }
}

/// How an account logs in. MariaDB takes MySQL's words for it.
fn login() -> Result<String, Unquotable> {
    Ok(format!("IDENTIFIED WITH {PLUGIN} AS {} REQUIRE SSL", string(PLUGIN_STRING)?))
}

fn account(username: &Username, host: &HostPattern) -> Result<String, Unquotable> {
    Ok(format!("{}@{}", string(username.as_str())?, string(host.as_str())?))
}

fn attribute(owner: &Owner) -> Result<String, Unquotable> {
    string(&json!({ MARK: owner }).to_string())
}

fn mark_of(owner: &Owner) -> String {
    json!(owner).to_string()
}

/// A string literal. A backslash means one thing or another by `sql_mode`, so a text that has one is refused.
fn string(text: &str) -> Result<String, Unquotable> {
    if text.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(Unquotable);
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

/// A quoted identifier. A backslash is an ordinary character in it.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests;
