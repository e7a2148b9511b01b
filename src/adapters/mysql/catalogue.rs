//! What the rows of the catalogue mean. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::classify::{self, Phase};
use super::sql;
use crate::domain::account::{
    Catalogue, Definer, GrantedOn, Grants, LedgerRow, ObservedAccount, OwnLogin, Question, Role,
};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::Username;
use crate::domain::ownership::Owner;
use crate::domain::privilege::Right;
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

/// What the rows of a bulk read have told so far.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// By name and host.
    accounts: BTreeMap<(String, String), ObservedAccount>,
    ledger: BTreeMap<(String, String), LedgerRow>,
    mandatory_roles: BTreeSet<Role>,
    definers: Option<BTreeSet<Definer>>,
}

impl Gathering {
    /// Adds a row of [`sql::read::accounts`].
    pub(super) fn add_account(&mut self, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
        let cell = Cells { operation, row };
        let globally: BTreeSet<Right> = rights(&cell.text("globally")?).collect();
        let seen = ObservedAccount {
            plugin: cell.text("plugin")?,
            plugin_string_is_rds: cell.number("plugin_string_is_rds")? != 0,
            requires_tls: cell.number("requires_tls")? != 0,
            credentials_set_at: cell.get("credentials_set_at")?,
            // A mark that cannot be read is no mark of ours: the account is foreign then, and left alone.
            mark: cell.get::<Option<String>>("mark")?.and_then(|mark| Owner::read(&mark)),
            grants: if globally.is_empty() { Grants::new() } else { [(GrantedOn::Server, globally)].into() },
            roles: BTreeMap::new(),
            default_roles: BTreeSet::new(),
            max_user_connections: u32::try_from(cell.number("max_user_connections")?).unwrap_or_default(),
            is_locked: cell.number("is_locked")? != 0,
            is_privileged: cell.number("is_privileged")? != 0,
        };
        let account = self.accounts.entry((cell.text("user")?, cell.text("host")?)).or_insert(seen);
        if let Some(schema) = cell.get::<Option<String>>("schema_pattern")? {
            account.grants.entry(GrantedOn::Schema(schema)).or_default().extend(rights(&cell.text("privileges")?));
        }
        Ok(())
    }

    /// Names of the accounts so far.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.accounts.keys().map(|(user, _)| user.clone()).collect();
        names.retain(|user| !user.is_empty());
        names.dedup();
        names
    }

    /// Adds a row of [`sql::read::object_grants`]. Grants of an account that is not there are leftovers that nobody can use.
    pub(super) fn add_object_grant(&mut self, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
        let cell = Cells { operation, row };
        let (schema, object) = (cell.text("schema_name")?, cell.text("object_name")?);
        let on = match cell.text("kind")?.as_str() {
            "SERVER" => GrantedOn::Server,
            "TABLE" => GrantedOn::Table(schema, object),
            "COLUMN" => GrantedOn::Column(schema, object, cell.text("column_name")?),
            "PROCEDURE" => GrantedOn::procedure(schema, &object),
            "FUNCTION" => GrantedOn::function(schema, &object),
            _ => return Ok(()), // MariaDB's packages
        };
        if let Some(account) = self.accounts.get_mut(&(cell.text("user")?, cell.text("host")?)) {
            // Of rights that are all unknown the place still counts.
            account.grants.entry(on).or_default().extend(object_rights(&cell.text("privileges")?));
        }
        Ok(())
    }

    /// Adds a row of [`sql::read::roles`].
    pub(super) fn add_role(&mut self, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
        let cell = Cells { operation, row };
        let name = cell.text("role_name")?;
        if cell.text("kind")? == "MANDATORY" {
            self.mandatory_roles.extend(role_list(&name));
            return Ok(());
        }
        let role = Role { name, host: cell.text("role_host")? };
        if let Some(account) = self.accounts.get_mut(&(cell.text("user")?, cell.text("host")?)) {
            if cell.text("kind")? == "DEFAULT" {
                account.default_roles.insert(role);
            } else {
                account.roles.insert(role, cell.number("may_pass_on")? != 0);
            }
        }
        Ok(())
    }

    /// Adds a row of [`sql::read::ledger`]. One that cannot be read is a fault: it may be the only thing that says whose an account is.
    pub(super) fn add_ledger_row(&mut self, operation: &'static str, row: &MySqlRow) -> Result<(), Fault> {
        let cell = Cells { operation, row };
        let unreadable = || Fault::new(FaultKind::Unreadable, operation).with_code("ledger");
        let entry = LedgerRow {
            owner: serde_json::from_str(&cell.text("owner")?).map_err(|_| unreadable())?,
            state: sql::ledger::state_of(&cell.text("state")?).ok_or_else(unreadable)?,
            stamp: cell.number("stamp")?,
        };
        self.ledger.insert((cell.text("user")?, cell.text("host")?), entry);
        Ok(())
    }

    /// Takes the rows of [`sql::read::definers`].
    pub(super) fn set_definers(&mut self, operation: &'static str, rows: &[MySqlRow]) -> Result<(), Fault> {
        let mut definers = BTreeSet::new();
        for row in rows {
            let text: Option<String> = Cells { operation, row }.get("definer")?;
            if let Some((user, host)) = text.as_deref().and_then(|text| text.rsplit_once('@')) {
                definers.insert(Definer { user: user.to_owned(), host: host.to_owned() });
            }
        }
        self.definers = Some(definers);
        Ok(())
    }

    /// All that was told, sorted by what was asked for.
    pub(super) fn finish(self, question: &Question) -> Catalogue {
        let mut catalogue =
            Catalogue { mandatory_roles: self.mandatory_roles, definers: self.definers, ..Catalogue::default() };
        let is_asked: BTreeSet<&str> = question.usernames.iter().map(Username::as_str).collect();
        for ((user, host), row) in self.ledger {
            catalogue.users.entry(user).or_default().ledger.insert(host, row);
        }
        for ((user, host), account) in self.accounts {
            if user.is_empty() {
                catalogue.anonymous.insert(host);
                continue;
            }
            if is_asked.contains(user.as_str()) {
                catalogue.users.entry(user.clone()).or_default().accounts.insert(host.clone(), account.clone());
            }
            if question.is_about_roles() {
                catalogue.roles.insert(Role { name: user, host }, account);
            }
        }
        catalogue
    }
}

/// Reads a row of [`sql::read::sessions`]: the id, and the client's address without its port.
pub(super) fn session(operation: &'static str, row: &MySqlRow) -> Result<(u64, String), Fault> {
    let cell = Cells { operation, row };
    let id = u64::try_from(cell.number("id")?).unwrap_or_default();
    let client = cell.text("host")?;
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let address = match client.rsplit_once(':') {
        Some((address, port)) if is_port(port) => address,
        _ => client.as_str(),
    };
    Ok((id, address.to_owned()))
}

/// Reads the answer of [`sql::own_login`]. MySQL says `NONE` where no role is active, MariaDB nothing; and its roles have no host.
pub(super) fn own_login(operation: &'static str, engine: Engine, row: &MySqlRow) -> Result<OwnLogin, Fault> {
    let cell = Cells { operation, row };
    let text = cell.text("account")?;
    let (name, host) = text.rsplit_once('@').ok_or_else(|| Fault::new(FaultKind::Unreadable, operation))?;
    let active = cell.get::<Option<String>>("active_roles")?.filter(|roles| roles != "NONE").unwrap_or_default();
    let active_roles = match engine {
        Engine::MySql => role_list(&active).collect(),
        Engine::MariaDb if active.is_empty() => BTreeSet::new(),
        Engine::MariaDb => [Role { name: active, host: String::new() }].into(),
    };
    Ok(OwnLogin {
        account: Role { name: name.to_owned(), host: host.to_owned() },
        active_roles,
        has_kill_procedure: cell.number("kills")? != 0,
    })
}

/// Roles as a setting lists them: with or without quotes, with or without a host.
fn role_list(text: &str) -> impl Iterator<Item = Role> {
    let bare = |text: &str| text.trim().trim_matches(['`', '\'', '"']).to_owned();
    text.split(',').filter(|role| !role.trim().is_empty()).map(move |role| match role.split_once('@') {
        Some((name, host)) => Role { name: bare(name), host: bare(host) },
        None => Role { name: bare(role), host: "%".to_owned() },
    })
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

fn rights(words: &str) -> impl Iterator<Item = Right> {
    words.split(',').filter_map(Right::of_sql)
}

/// The words of `tables_priv` and `procs_priv`, two of which a REVOKE does not know.
fn object_rights(words: &str) -> impl Iterator<Item = Right> {
    words.split(',').map(sql::read::word_of_revoke).filter_map(Right::of_sql)
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
    fn rights_beyond_the_list_are_seen_too() {
        let words = |rights: Vec<Right>| rights.iter().map(|right| right.sql().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            words(rights("SELECT,CREATE TEMPORARY TABLES,PROCESS").collect()),
            ["SELECT", "CREATE TEMPORARY TABLES", "PROCESS"]
        );
        let of_table = words(object_rights("SELECT,GRANT,DELETE VERSIONING ROWS").collect());
        assert_eq!(of_table, ["SELECT", "GRANT OPTION", "DELETE HISTORY"]);
        assert_eq!(rights("").count(), 0);
    }

    #[test]
    fn a_list_of_roles_is_read_with_and_without_quotes() {
        let roles: Vec<_> = role_list("`a`@`%`, b,'c'@localhost").map(|role| (role.name, role.host)).collect();
        let of = |name: &str, host: &str| (name.to_owned(), host.to_owned());
        assert_eq!(roles, [of("a", "%"), of("b", "%"), of("c", "localhost")]);
        assert_eq!(role_list("").count(), 0);
    }
}
