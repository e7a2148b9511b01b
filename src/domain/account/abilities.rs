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
    /// Whether it may grant roles: any, or those that it was given with the right to pass them on.
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
        let calls = || holders.iter().flat_map(|holder| &holder.grants).any(|(on, rights)| opens_kill(on, rights));
        Some(Self {
            // MariaDB knows no other way: there not even SUPER will do.
            grants_roles: passes_on || (engine == Engine::MySql && globally(&["ROLE_ADMIN", "SUPER"])),
            ends_sessions: globally(&["CONNECTION_ADMIN", "CONNECTION ADMIN", "SUPER"])
                || (login.has_kill_procedure && calls()),
        })
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

fn opens_kill(on: &GrantedOn, rights: &BTreeSet<Right>) -> bool {
    let reaches = match on {
        GrantedOn::Server => true,
        GrantedOn::Schema(pattern) => glob::like(&pattern.to_ascii_lowercase(), "mysql"),
        GrantedOn::Procedure(schema, name) => (schema.as_str(), name.as_str()) == ("mysql", "rds_kill"),
        GrantedOn::Table(..) | GrantedOn::Column(..) | GrantedOn::Function(..) => false,
    };
    reaches && rights.iter().any(|right| right.sql() == "EXECUTE")
}
