//! The operator's own table, which marks accounts where they cannot carry the mark themselves.

use serde_json::json;

use super::Statement;
use crate::domain::account::LedgerState;
use crate::domain::names::{HostPattern, Username};
use crate::domain::ownership::Owner;

pub(super) const LEDGER_SCHEMA: &str = "iamdb_operator";
pub(super) const LEDGER_TABLE: &str = "accounts";

/// The ledger's schema.
pub(in super::super) fn create_schema() -> Statement {
    Statement::new("create the ledger", format!("CREATE DATABASE IF NOT EXISTS {LEDGER_SCHEMA}"))
}

/// The ledger itself, with names of the catalogue's own collation: case matters in them, and joins need no conversion.
pub(in super::super) fn create_table() -> Statement {
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
pub(in super::super) fn clear_intent(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "DELETE FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user = ? AND host = ? AND JSON_VALUE(owner, '$.cluster') = ? \
         AND NOT EXISTS (SELECT 1 FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?)"
    );
    let (user, host) = (username.as_str(), host.as_str());
    Statement::new("record an intent", text).bind([user, host, &owner.cluster, user, host])
}

/// Clears a row that speaks of an account of former days: the one that is there now is not ours yet.
pub(in super::super) fn clear_for_adoption(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "DELETE FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user = ? AND host = ? AND JSON_VALUE(owner, '$.cluster') = ?"
    );
    Statement::new("record an adoption", text).bind([username.as_str(), host.as_str(), &owner.cluster])
}

/// Writes that an account is to be adopted, if it is still there. It becomes ours by the plugin that it gets after this moment.
pub(in super::super) fn record_adoption(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "INSERT INTO {LEDGER_SCHEMA}.{LEDGER_TABLE} (user, host, owner, state, stamp) \
         SELECT ?, ?, ?, '{}', UNIX_TIMESTAMP() FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?",
        state_word(LedgerState::Intent),
    );
    let (user, host) = (username.as_str(), host.as_str());
    Statement::new("record an adoption", text).bind([user, host, &mark_of(owner), user, host])
}

/// Writes the intent, unless the account is there by now: an intent that is younger than its account disowns it for good.
/// Nothing is inserted then. A row of another cluster is a duplicate key.
pub(in super::super) fn record_intent(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
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
pub(in super::super) fn record_owned(username: &Username, host: &HostPattern, owner: &Owner) -> Statement {
    let text = format!(
        "UPDATE {LEDGER_SCHEMA}.{LEDGER_TABLE} l JOIN mysql.global_priv a ON a.User = l.user AND a.Host = l.host \
         SET l.owner = ?, l.state = '{}', l.stamp = CAST(JSON_VALUE(a.Priv, '$.password_last_changed') AS SIGNED) \
         WHERE l.user = ? AND l.host = ? AND JSON_VALUE(l.owner, '$.cluster') = ?",
        state_word(LedgerState::Owned),
    );
    Statement::new("record an account", text).bind([&mark_of(owner), username.as_str(), host.as_str(), &owner.cluster])
}

/// Removes a row from the ledger.
pub(in super::super) fn forget(username: &Username, host: &HostPattern) -> Statement {
    let text = format!("DELETE FROM {LEDGER_SCHEMA}.{LEDGER_TABLE} WHERE user = ? AND host = ?");
    Statement::new("forget an account", text).bind([username.as_str(), host.as_str()])
}

/// How the ledger writes a state.
pub(super) const fn state_word(state: LedgerState) -> &'static str {
    match state {
        LedgerState::Intent => "Intent",
        LedgerState::Owned => "Owned",
    }
}

/// The state that the ledger's word means.
pub(in super::super) fn state_of(word: &str) -> Option<LedgerState> {
    [LedgerState::Intent, LedgerState::Owned].into_iter().find(|state| state_word(*state) == word)
}

fn mark_of(owner: &Owner) -> String {
    json!(owner).to_string()
}
