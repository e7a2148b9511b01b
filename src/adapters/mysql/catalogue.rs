//! What the rows of the catalogue mean. No I/O.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::classify::{self, Phase};
use super::sql;
use crate::domain::account::{GrantedOn, Grants, LedgerRow, ObservedAccount, ObservedUser};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::privilege::Privilege;
use crate::ports::{Fault, FaultKind};

/// The oldest MySQL whose accounts can carry a mark (`ATTRIBUTE`).
const OLDEST_MYSQL: (u16, u16, u16) = (8, 0, 21);

/// What a new connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// The facts.
    pub(super) facts: ServerFacts,
    /// Whether the operator's own table is there.
    pub(super) has_ledger: bool,
}

/// Reads the answer of [`sql::facts`].
pub(super) fn greeting(operation: &'static str, row: &MySqlRow) -> Result<Greeting, Fault> {
    let cell = Cells { operation, row };
    let engine = engine(operation, &cell.text("version")?)?;
    let read_only = cell.text("read_only")?;
    let facts = ServerFacts {
        engine,
        partial_revokes: cell.number("partial_revokes")? != 0,
        folds_names: cell.number("lower_case_table_names")? != 0,
        // A number up to MariaDB 11, a word after that, with more words than OFF and ON. MySQL's super_read_only implies it.
        read_only: !matches!(read_only.as_str(), "0" | "OFF") || cell.number("innodb_read_only")? != 0,
        plugin_active: cell.number("plugins")? != 0,
    };
    Ok(Greeting { facts, has_ledger: cell.number("ledgers")? != 0 })
}

/// Adds a row of [`sql::accounts`].
pub(super) fn add_account(user: &mut ObservedUser, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
    let cell = Cells { operation, row };
    let seen = ObservedAccount {
        plugin: cell.text("plugin")?,
        plugin_string_is_rds: cell.number("plugin_string_is_rds")? != 0,
        requires_tls: cell.number("requires_tls")? != 0,
        credentials_set_at: cell.get("credentials_set_at")?,
        // A mark that cannot be read is no mark of ours: the account is foreign then, and left alone.
        mark: cell.get::<Option<String>>("mark")?.and_then(|mark| serde_json::from_str(&mark).ok()),
        grants: Grants::new(),
        max_user_connections: u32::try_from(cell.number("max_user_connections")?).unwrap_or_default(),
        is_locked: cell.number("is_locked")? != 0,
        is_privileged: cell.number("is_privileged")? != 0,
    };
    let account = user.accounts.entry(cell.text("host")?).or_insert(seen);
    if let Some(schema) = cell.get::<Option<String>>("schema_pattern")? {
        account.grants.entry(GrantedOn::Schema(schema)).or_default().extend(privileges(&cell.text("privileges")?));
    }
    Ok(())
}

/// Adds a row of [`sql::object_grants`]. Grants of an account that is not there are leftovers that nobody can use.
pub(super) fn add_object_grant(user: &mut ObservedUser, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
    let cell = Cells { operation, row };
    let (schema, object) = (cell.text("schema_name")?, cell.text("object_name")?);
    let on = match cell.text("kind")?.as_str() {
        "TABLE" => GrantedOn::Table(schema, object),
        "PROCEDURE" => GrantedOn::Procedure(schema, object),
        "FUNCTION" => GrantedOn::Function(schema, object),
        _ => return Ok(()), // MariaDB's packages
    };
    let held: BTreeSet<Privilege> = privileges(&cell.text("privileges")?).collect();
    if let Some(account) = user.accounts.get_mut(&cell.text("host")?)
        && !held.is_empty()
    {
        account.grants.entry(on).or_default().extend(held);
    }
    Ok(())
}

/// Adds a row of [`sql::ledger`]. One that cannot be read is a fault: it may be the only thing that says whose an account is.
pub(super) fn add_ledger_row(user: &mut ObservedUser, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
    let cell = Cells { operation, row };
    let unreadable = || Fault::new(FaultKind::Unreadable, operation).with_code("ledger");
    let entry = LedgerRow {
        owner: serde_json::from_str(&cell.text("owner")?).map_err(|_| unreadable())?,
        state: sql::state_of(&cell.text("state")?).ok_or_else(unreadable)?,
        stamp: cell.number("stamp")?,
    };
    user.ledger.insert(cell.text("host")?, entry);
    Ok(())
}

/// The engine of a version text. Aurora's says what MySQL's says.
fn engine(operation: &'static str, version: &str) -> Result<Engine, Fault> {
    if version.contains("MariaDB") {
        return Ok(Engine::MariaDb);
    }
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u16>().ok());
    let version = (numbers.next(), numbers.next(), numbers.next());
    match version {
        (Some(major), Some(minor), Some(patch)) if (major, minor, patch) >= OLDEST_MYSQL => Ok(Engine::MySql),
        _ => Err(Fault::new(FaultKind::Other, operation).with_code("unsupported-version")),
    }
}

fn privileges(words: &str) -> impl Iterator<Item = Privilege> {
    words.split(',').filter_map(Privilege::of_sql)
}

/// A row whose cells answer with faults.
struct Cells<'a> {
    operation: &'static str,
    row: &'a MySqlRow,
}

impl<'a> Cells<'a> {
    fn get<T>(&self, column: &str) -> Result<T, Fault>
    where
        T: sqlx::Decode<'a, sqlx::MySql> + sqlx::Type<sqlx::MySql>,
    {
        self.row.try_get(column).map_err(|error| classify::fault(Phase::Statement, self.operation, &error))
    }

    fn text(&self, column: &str) -> Result<String, Fault> {
        self.get(column)
    }

    fn number(&self, column: &str) -> Result<i64, Fault> {
        self.get(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_the_engine() {
        let of = |version| engine("x", version).ok();
        assert_eq!(of("10.11.6-MariaDB-log"), Some(Engine::MariaDb));
        assert_eq!(of("5.5.5-10.6.19-MariaDB"), Some(Engine::MariaDb));
        assert_eq!(of("8.0.33"), Some(Engine::MySql));
        assert_eq!(of("8.0.28-log"), Some(Engine::MySql));
        assert_eq!(of("8.4.11"), Some(Engine::MySql));
    }

    #[test]
    fn a_server_whose_accounts_cannot_carry_a_mark_is_refused() {
        for version in ["5.7.44-log", "8.0.20", "", "x", "8"] {
            assert_eq!(engine("x", version).unwrap_err().code.as_deref(), Some("unsupported-version"));
        }
    }

    #[test]
    fn privileges_outside_the_closed_list_are_not_seen() {
        let seen: Vec<_> = privileges("SELECT,CREATE TEMPORARY TABLES,SUPER").collect();
        assert_eq!(seen, [Privilege::Select, Privilege::CreateTemporaryTables]);
        assert_eq!(privileges("").count(), 0);
    }
}
