//! Accounts as the catalogue tells them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Grants, OwnLogin};
use crate::domain::engine::Engine;
use crate::domain::names::{RoleName, Username};
use crate::domain::ownership::Owner;

/// What is asked of the catalogue in one read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Whose accounts.
    pub usernames: BTreeSet<Username>,
    /// Roles that somebody shall have. With any, all roles are read: what a role opens depends on those that it holds.
    pub roles: BTreeSet<RoleName>,
    /// Whether to look for whoever is the DEFINER of something: that reads every view, so it is asked only before an account comes or goes.
    pub definers: bool,
    /// Whether to tell whom the session is taken for, and to read that account with all roles.
    pub own_login: bool,
}

impl Question {
    /// All there is to know of one user, but for definers.
    #[must_use]
    pub fn of(username: &Username, roles: &BTreeSet<RoleName>) -> Self {
        Self { usernames: [username.clone()].into(), roles: roles.clone(), ..Self::default() }
    }

    /// The session's own login and nothing else.
    #[must_use]
    pub fn own_login() -> Self {
        Self { own_login: true, ..Self::default() }
    }

    /// Whether all roles are read.
    #[must_use]
    pub fn is_about_roles(&self) -> bool {
        self.own_login || !self.roles.is_empty()
    }

    /// The definers and nothing else.
    #[must_use]
    pub fn definers() -> Self {
        Self { definers: true, ..Self::default() }
    }
}

/// The answer. What was asked for and is not in it does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// By name.
    pub users: BTreeMap<String, ObservedUser>,
    /// Every account that was read, if roles were asked for: on MySQL any account may be one.
    pub roles: BTreeMap<Role, ObservedAccount>,
    /// Roles that everybody has, so that nobody can be rid of them.
    pub mandatory_roles: BTreeSet<Role>,
    /// Hosts of accounts without a name.
    pub anonymous: BTreeSet<String>,
    /// Accounts that something runs as; unknown where that was not asked.
    pub definers: Option<BTreeSet<Definer>>,
    /// Whom the session is taken for; unknown where that was not asked.
    pub login: Option<OwnLogin>,
}

static NOBODY: ObservedUser = ObservedUser { accounts: BTreeMap::new(), ledger: BTreeMap::new() };

impl Catalogue {
    /// The accounts of one user.
    #[must_use]
    pub fn user(&self, username: &Username) -> &ObservedUser {
        self.users.get(username.as_str()).unwrap_or(&NOBODY)
    }

    /// Whether something is known to run as this account.
    #[must_use]
    pub fn is_definer(&self, username: &Username, host: &str) -> bool {
        let account = Definer { user: username.as_str().to_owned(), host: host.to_owned() };
        self.definers.as_ref().is_some_and(|definers| definers.contains(&account))
    }
}

/// A role: on MySQL an account that is granted, on MariaDB a name without a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its host; empty on MariaDB.
    pub host: String,
}

impl Role {
    /// The role that a spec means by a name.
    #[must_use]
    pub fn named(name: &RoleName, engine: Engine) -> Self {
        let host = match engine {
            Engine::MySql => "%",
            Engine::MariaDb => "",
        };
        Self { name: name.as_str().to_owned(), host: host.to_owned() }
    }
}

/// An account that something runs as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Definer {
    /// Its name.
    pub user: String,
    /// Its host.
    pub host: String,
}

/// All accounts of one user name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedUser {
    /// By host pattern.
    pub accounts: BTreeMap<String, ObservedAccount>,
    /// Rows of the operator's own table by host pattern; always empty where accounts carry the mark themselves.
    pub ledger: BTreeMap<String, LedgerRow>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent properties of an account, each a yes or no")]
pub struct ObservedAccount {
    /// Authentication plugin.
    pub plugin: String,
    /// The plugin's string. For foreign accounts it may be a password hash, so it is only ever compared, at the edge.
    pub plugin_string_is_rds: bool,
    /// Whether the account may log in over TLS, only over TLS, and without a certificate of its own.
    pub requires_tls: bool,
    /// When its credentials were last set, in seconds since the epoch.
    pub credentials_set_at: Option<i64>,
    /// The mark in the account itself.
    pub mark: Option<Owner>,
    /// What it may do, and where.
    pub grants: Grants,
    /// Roles that it holds, and whether it may pass them on.
    pub roles: BTreeMap<Role, bool>,
    /// Roles that are active when it has logged in.
    pub default_roles: BTreeSet<Role>,
    /// Sessions that may be open at once; 0 for the server's own limit.
    pub max_user_connections: u32,
    /// Whether nobody may log in.
    pub is_locked: bool,
    /// Whether it is a role, or holds SUPER or SYSTEM_USER.
    pub is_privileged: bool,
}

/// One row of the operator's own table, which marks accounts where they cannot carry the mark themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The mark.
    pub owner: Owner,
    /// How far the creation of the account has come.
    pub state: LedgerState,
    /// For [`LedgerState::Intent`] when the row was written, for [`LedgerState::Owned`] the account's `credentials_set_at`.
    pub stamp: i64,
}

/// How far the creation of an account has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerState {
    /// The account was absent, or is to be adopted, and is about to become ours.
    Intent,
    /// The account is ours while its `credentials_set_at` is the row's stamp.
    Owned,
}
