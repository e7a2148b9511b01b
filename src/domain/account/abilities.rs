//! What a login may do, as far as the operator has to know. An account holds what was granted to it and what its active roles hold.

use std::collections::BTreeSet;

use super::{Catalogue, GrantedOn, ObservedAccount, Role};
use crate::domain::engine::Engine;
use crate::domain::glob;
use crate::domain::privilege::Right;

/// Whom a session is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLogin {
    /// Its account.
    pub account: Role,
    /// Roles that are active in it.
    pub active_roles: BTreeSet<Role>,
    /// Whether RDS's procedure that ends sessions is there.
    pub has_kill_procedure: bool,
}

/// What it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it may grant roles and make them default ones: any, or those that it was given with the right to pass them on.
    pub grants_roles: bool,
    /// Whether it may end other accounts' sessions, by itself or by RDS's procedure.
    pub ends_sessions: bool,
}

impl Abilities {
    /// Judges by an answer to [`Question::own_login`](super::Question::own_login); none where its account is not in it.
    #[must_use]
    pub fn of(catalogue: &Catalogue, engine: Engine) -> Option<Self> {
        let login = catalogue.login.as_ref()?;
        let holders = holders(login, catalogue)?;
        let globally = |words: &[&str]| {
            let server = holders.iter().filter_map(|holder| holder.grants.get(&GrantedOn::Server)).flatten();
            server.into_iter().any(|right| words.contains(&right.sql()))
        };
        let passes_on = holders.iter().any(|holder| holder.roles.values().any(|may_pass_on| *may_pass_on));
        let grants = || holders.iter().flat_map(|holder| &holder.grants);
        let in_mysql = |word| grants().any(|(on, rights)| reaches_mysql(on) && holds(rights, word));
        let calls = || in_mysql("EXECUTE") || grants().any(|(on, rights)| is_kill(on) && holds(rights, "EXECUTE"));
        let grants_roles = match engine {
            Engine::MySql => passes_on || globally(&["ROLE_ADMIN", "SUPER"]),
            // There is no other way there, not even SUPER, and a default role is written into a table.
            Engine::MariaDb => passes_on && in_mysql("UPDATE"),
        };
        let ends =
            globally(&["CONNECTION_ADMIN", "CONNECTION ADMIN", "SUPER"]) || (login.has_kill_procedure && calls());
        let ends_sessions = ends && globally(&["PROCESS"]); // else it sees nobody's
        Some(Self { grants_roles, ends_sessions })
    }
}

/// The account, and the roles that it acts with.
fn holders<'a>(login: &'a OwnLogin, catalogue: &'a Catalogue) -> Option<Vec<&'a ObservedAccount>> {
    let mut holders = vec![catalogue.roles.get(&login.account)?];
    let mut seen = BTreeSet::new();
    let mut open: Vec<&Role> = login.active_roles.iter().collect();
    while let Some(role) = open.pop() {
        if let Some(found) = catalogue.roles.get(role).filter(|_| seen.insert(role)) {
            open.extend(found.roles.keys());
            holders.push(found);
        }
    }
    Some(holders)
}

fn reaches_mysql(on: &GrantedOn) -> bool {
    match on {
        GrantedOn::Server => true,
        GrantedOn::Schema(pattern) => glob::like(&pattern.to_ascii_lowercase(), "mysql"),
        GrantedOn::Table(..) | GrantedOn::Column(..) | GrantedOn::Procedure(..) | GrantedOn::Function(..) => false,
    }
}

fn is_kill(on: &GrantedOn) -> bool {
    matches!(on, GrantedOn::Procedure(schema, name) if (schema.as_str(), name.as_str()) == ("mysql", "rds_kill"))
}

fn holds(rights: &BTreeSet<Right>, word: &str) -> bool {
    rights.iter().any(|right| right.sql() == word)
}
