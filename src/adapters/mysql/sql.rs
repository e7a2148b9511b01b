//! Every statement that the operator sends, one function each: SQL text stands here and in the files below this one, nowhere else.
//!
//! Values are bound where the server allows it. Account names and attributes cannot be bound in statements on accounts, so
//! they pass through [`string`]; schema names through [`identifier`]. Both are right in every `sql_mode`, and the types of the
//! arguments let nothing through that would need quoting: two locks on the same door.

pub(super) mod ledger;
mod login;
pub(super) mod read;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::domain::account::{GrantedOn, PLUGIN, PLUGIN_STRING, Role};
use crate::domain::engine::Engine;
use crate::domain::names::{HostPattern, MARK_SCHEMA, RoleName, Username};
use crate::domain::ownership::Owner;
use crate::domain::privilege::{Privilege, Right};
use ledger::{LEDGER_SCHEMA, LEDGER_TABLE};

pub(super) use login::{own_login, who_am_i};

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

/// Creates the account with everything that its first login needs in one statement: there is no moment in which it could log
/// in without TLS or is nobody's. Never IF NOT EXISTS: that would take an account over that somebody else has just made.
pub(super) fn create_account(
    engine: Engine,
    username: &Username,
    host: &HostPattern,
    owner: &Owner,
) -> Result<Statement, Unquotable> {
    let text = format!("CREATE USER {}", own_account(engine, username, host, owner)?);
    Ok(Statement::new("create an account", text))
}

/// Makes an account that is there one of ours: on MySQL with its mark in the same statement.
pub(super) fn adopt_account(
    engine: Engine,
    username: &Username,
    host: &HostPattern,
    owner: &Owner,
) -> Result<Statement, Unquotable> {
    let text = format!("ALTER USER {}", own_account(engine, username, host, owner)?);
    Ok(Statement::new("adopt an account", text))
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
    rights: &BTreeSet<Right>,
) -> Result<Statement, Unquotable> {
    let column =
        if let GrantedOn::Column(_, _, column) = on { format!(" ({})", identifier(column)) } else { String::new() };
    let words: Vec<String> = rights.iter().map(|right| format!("{}{column}", right.sql())).collect();
    let text = format!("REVOKE {} ON {} FROM {}", words.join(", "), target(on), account(username, host)?);
    Ok(Statement::new("revoke privileges", text))
}

/// Grants roles. MariaDB's have no host.
pub(super) fn grant_roles(
    username: &Username,
    host: &HostPattern,
    roles: &BTreeSet<Role>,
) -> Result<Statement, Unquotable> {
    let text = format!("GRANT {} TO {}", role_list(roles)?, account(username, host)?);
    Ok(Statement::new("grant roles", text))
}

/// Takes a role away.
pub(super) fn revoke_role(username: &Username, host: &HostPattern, role: &Role) -> Result<Statement, Unquotable> {
    let text = format!("REVOKE {} FROM {}", role_name(role)?, account(username, host)?);
    Ok(Statement::new("revoke a role", text))
}

/// Sets the roles that are active after a login.
pub(super) fn set_default_roles(
    engine: Engine,
    username: &Username,
    host: &HostPattern,
    roles: &BTreeSet<Role>,
) -> Result<Statement, Unquotable> {
    let to = match engine {
        Engine::MySql => "TO",
        Engine::MariaDb => "FOR",
    };
    let list = if roles.is_empty() { "NONE".to_owned() } else { role_list(roles)? };
    let text = format!("SET DEFAULT ROLE {list} {to} {}", account(username, host)?);
    Ok(Statement::new("set default roles", text))
}

/// Ends a session, where the login may.
pub(super) fn kill(session: u64) -> Statement {
    Statement::new("end a session", format!("KILL {session}"))
}

/// Ends a session on RDS, whose master user may not.
pub(super) fn kill_on_rds(session: u64) -> Statement {
    Statement::new("end a session", format!("CALL mysql.rds_kill({session})"))
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
    roles: &BTreeSet<RoleName>,
) -> Result<Vec<Statement>, Unquotable> {
    let account = format!("{}@'%'", string(username.as_str())?);
    let give = |text: String| Statement::new("give the operator its rights", text);
    let mut statements = vec![
        give(format!("CREATE USER {account} {}", login()?)),
        // PROCESS to see whose sessions are open.
        give(format!("GRANT CREATE USER, PROCESS ON *.* TO {account}")),
        give(format!("GRANT SELECT ON `mysql`.* TO {account}")),
        give(format!("GRANT EXECUTE ON PROCEDURE `mysql`.`rds_kill` TO {account}")),
    ];
    if engine == Engine::MariaDb {
        // To see who is the DEFINER of a view. MySQL refuses to drop such an account by itself.
        statements.push(give(format!("GRANT SHOW VIEW ON *.* TO {account}")));
        let ledger = identifier(&LEDGER_SCHEMA.replace('_', "\\_"));
        statements.push(give(format!("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {ledger}.* TO {account}")));
        // To mark accounts: there is no such database.
        let mark = identifier(&MARK_SCHEMA.replace('_', "\\_"));
        statements.push(give(format!("GRANT LOCK TABLES ON {mark}.* TO {account} WITH GRANT OPTION")));
    }
    statements.extend(ceiling.map(|(schema, privileges)| {
        give(format!("GRANT {} ON {}.* TO {account} WITH GRANT OPTION", words(&privileges), identifier(&schema)))
    }));
    if !roles.is_empty() {
        // A role can be passed on by whom it is active for.
        let roles: BTreeSet<Role> = roles.iter().map(|name| Role::named(name, engine)).collect();
        for role in &roles {
            statements.push(give(format!("GRANT {} TO {account} WITH ADMIN OPTION", role_name(role)?)));
        }
        if engine == Engine::MySql {
            statements.push(give(format!("SET DEFAULT ROLE {} TO {account}", role_list(&roles)?)));
        }
    }
    Ok(statements)
}

fn words(privileges: &BTreeSet<Privilege>) -> String {
    let words: Vec<&str> = privileges.iter().map(|privilege| privilege.sql()).collect();
    words.join(", ")
}

/// What a grant is on. Only in the schema of a schema-level grant is a backslash an escape; everywhere else names are literal.
fn target(on: &GrantedOn) -> String {
    let pair = |schema: &str, object: &str| format!("{}.{}", identifier(schema), identifier(object));
    match on {
        GrantedOn::Server => "*.*".to_owned(),
        GrantedOn::Schema(schema) => format!("{}.*", identifier(schema)),
        GrantedOn::Table(schema, table) | GrantedOn::Column(schema, table, _) => {
            format!("TABLE {}", pair(schema, table))
        }
        GrantedOn::Procedure(schema, name) => format!("PROCEDURE {}", pair(schema, name)),
        GrantedOn::Function(schema, name) => format!("FUNCTION {}", pair(schema, name)),
    }
}

/// How an account logs in. MariaDB takes MySQL's words for it.
fn login() -> Result<String, Unquotable> {
    Ok(format!("IDENTIFIED WITH {PLUGIN} AS {} REQUIRE SSL", string(PLUGIN_STRING)?))
}

fn role_name(role: &Role) -> Result<String, Unquotable> {
    let name = string(&role.name)?;
    if role.host.is_empty() { Ok(name) } else { Ok(format!("{name}@{}", string(&role.host)?)) }
}

fn role_list(roles: &BTreeSet<Role>) -> Result<String, Unquotable> {
    let list: Vec<String> = roles.iter().map(role_name).collect::<Result<_, _>>()?;
    Ok(list.join(", "))
}

fn account(username: &Username, host: &HostPattern) -> Result<String, Unquotable> {
    Ok(format!("{}@{}", string(username.as_str())?, string(host.as_str())?))
}

/// An account of ours, with its login and, where accounts can carry it, its mark.
fn own_account(engine: Engine, username: &Username, host: &HostPattern, owner: &Owner) -> Result<String, Unquotable> {
    let text = format!("{} {}", account(username, host)?, login()?);
    Ok(match engine {
        Engine::MySql => format!("{text} ATTRIBUTE {}", attribute(owner)?),
        Engine::MariaDb => text,
    })
}

fn attribute(owner: &Owner) -> Result<String, Unquotable> {
    string(&json!({ MARK: owner }).to_string())
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
