//! Accounts: from what shall be and what is, the smallest list of steps that closes the difference.
//!
//! Absence comes only from a successful read. What carries no mark of ours is never altered and never dropped. GRANT comes before REVOKE, so that a
//! change of grants takes nothing away for a moment.

mod grants;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

pub use grants::{GrantedOn, Grants, Target};
pub use plan::{plan, plan_removal};

use super::names::{HostPattern, Username};
use super::ownership::{OtherOwner, Owner};
use super::privilege::Privilege;

/// The plugin that checks IAM tokens, as RDS names it.
pub const PLUGIN: &str = "AWSAuthenticationPlugin";

/// The plugin's authentication string.
pub const PLUGIN_STRING: &str = "RDS";

/// The accounts of one IamDbUser as they shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredUser {
    /// Name of the accounts.
    pub username: Username,
    /// One account for each.
    pub hosts: BTreeSet<HostPattern>,
    /// The same for each.
    pub grants: BTreeMap<Target, BTreeSet<Privilege>>,
    /// The mark that they carry.
    pub owner: Owner,
    /// Whether an account whose host has left the spec is dropped.
    pub drop_surplus: bool,
    /// Whether grants beyond these are taken away.
    pub revoke_surplus: bool,
    /// Sessions that may be open at once; 0 for the server's own limit.
    pub max_user_connections: u32,
    /// Whether nobody may log in.
    pub is_locked: bool,
}

/// What becomes of an account whose object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is dropped.
    Drop,
    /// It is locked, and keeps its mark.
    Lock,
}

/// All accounts of one user name as the catalogue tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedUser {
    /// By host pattern.
    pub accounts: BTreeMap<String, ObservedAccount>,
    /// Rows of the operator's own table by host pattern; always empty where accounts carry the mark themselves.
    pub ledger: BTreeMap<String, LedgerRow>,
}

/// One account as the catalogue tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent properties of an account, each a yes or no")]
pub struct ObservedAccount {
    /// Authentication plugin.
    pub plugin: String,
    /// The plugin's string. For foreign accounts it may be a password hash, so it is only ever compared, at the edge.
    pub plugin_string_is_rds: bool,
    /// Whether the account may log in only over TLS.
    pub requires_tls: bool,
    /// When its credentials were last set, in seconds since the epoch.
    pub credentials_set_at: Option<i64>,
    /// The mark in the account itself.
    pub mark: Option<Owner>,
    /// Privileges on schemas, tables and routines.
    pub grants: Grants,
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
    /// The account was absent and is about to be created.
    Intent,
    /// The account is ours while its `credentials_set_at` is the row's stamp.
    Owned,
}

/// One change in the database.
#[allow(missing_docs, reason = "the fields are what the step is about: whose host, on what, which privileges")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// Write down that the account is about to be created, into the operator's own table.
    RecordIntent { host: HostPattern, owner: Owner },
    /// Create the account with plugin, TLS and (where accounts can carry it) mark in one statement.
    Create { host: HostPattern, owner: Owner },
    /// Write down that the account is ours, with the stamp that it has now.
    RecordOwned { host: HostPattern, owner: Owner },
    /// Rewrite the mark in the account.
    Mark { host: HostPattern, owner: Owner },
    /// Set the plugin again, and TLS with it.
    UsePlugin { host: HostPattern },
    /// Let the account log in only over TLS.
    RequireTls { host: HostPattern },
    /// Limit the sessions that may be open at once.
    Limit { host: HostPattern, max_user_connections: u32 },
    /// Let nobody log in.
    Lock { host: HostPattern },
    /// Let people log in again.
    Unlock { host: HostPattern },
    /// Grant privileges.
    Grant { host: HostPattern, on: GrantedOn, privileges: BTreeSet<Privilege> },
    /// Take privileges away. `on` is the stored spelling: any other is an error.
    Revoke { host: HostPattern, on: GrantedOn, privileges: BTreeSet<Privilege> },
    /// Drop the account.
    Drop { host: HostPattern },
    /// Remove the row from the operator's own table.
    Forget { host: HostPattern },
}

impl AccountStep {
    /// The account that the step is for.
    #[must_use]
    pub const fn host(&self) -> &HostPattern {
        match self {
            Self::RecordIntent { host, .. }
            | Self::Create { host, .. }
            | Self::RecordOwned { host, .. }
            | Self::Mark { host, .. }
            | Self::UsePlugin { host }
            | Self::RequireTls { host }
            | Self::Limit { host, .. }
            | Self::Lock { host }
            | Self::Unlock { host }
            | Self::Grant { host, .. }
            | Self::Revoke { host, .. }
            | Self::Drop { host }
            | Self::Forget { host } => host,
        }
    }

    /// Whether the step changes what the account may do, rather than whether and how it can log in.
    #[must_use]
    pub const fn is_grant(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Revoke { .. })
    }
}

/// Why nothing is done to an account.
#[allow(missing_docs, reason = "the fields say which account, and whose it is")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It exists and is not ours.
    #[error("the account '{username}'@'{host}' exists and was not made by this operator")]
    Foreign { username: Username, host: String },
    /// It is a role or holds administrative privileges.
    #[error("'{username}'@'{host}' is a role or an administrator")]
    Privileged { username: Username, host: String },
    /// Somebody else's mark is on it.
    #[error("'{username}'@'{host}' belongs to {owner}")]
    Owned { username: Username, host: String, owner: OtherOwner },
    /// A foreign account of this name with another host may win the login.
    #[error("the foreign account '{username}'@'{host}' may win the login for this user name")]
    Shadowed { username: Username, host: String },
}

#[cfg(test)]
mod tests;
