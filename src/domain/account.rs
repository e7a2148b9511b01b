//! Accounts: from what shall be and what is, the smallest list of steps that closes the difference.
//!
//! Absence comes only from a successful read. What carries no mark of ours is never altered and never dropped, but where somebody has it adopted.
//! GRANT comes before REVOKE, so that a change of grants takes nothing away for a moment.

mod abilities;
mod grants;
mod observed;
mod plan;
mod removal;
mod roles;
mod standing;
mod step;

use std::collections::{BTreeMap, BTreeSet};

pub use abilities::{Abilities, OwnLogin};
pub use grants::{GrantedOn, Grants, Target};
pub use observed::{Catalogue, Definer, LedgerRow, LedgerState, ObservedAccount, ObservedUser, Question, Role};
pub use plan::plan;
pub use removal::{Removal, RemovalPlan, Undoing, plan_removal};
pub use roles::plan_withdrawal;
pub use step::AccountStep;

use super::names::{HostPattern, RoleName, Username};
use super::ownership::{Claimant, OtherOwner};
use super::privilege::Privilege;

/// The plugin that checks IAM tokens, as RDS names it.
pub const PLUGIN: &str = "AWSAuthenticationPlugin";

/// The plugin's authentication string.
pub const PLUGIN_STRING: &str = "RDS";

/// The accounts of one IamDbUser as they shall be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "independent wishes of a spec, each a yes or no")]
pub struct DesiredUser {
    /// Name of the accounts.
    pub username: Username,
    /// One account for each.
    pub hosts: BTreeSet<HostPattern>,
    /// The same for each.
    pub grants: BTreeMap<Target, BTreeSet<Privilege>>,
    /// Roles that each is granted, and that are its default roles.
    pub roles: BTreeSet<RoleName>,
    /// The mark that they carry, and which others count as theirs.
    pub claimant: Claimant,
    /// An older object that asks for the same account, as `namespace/name`: it gets what nobody has yet.
    pub elder: Option<String>,
    /// Whether an account of somebody else is taken over.
    pub adopts: bool,
    /// Whether an account whose host has left the spec is dropped, and not locked.
    pub drop_surplus: bool,
    /// Whether even an adopted account is dropped.
    pub drops_adopted: bool,
    /// Whether grants beyond these are taken away.
    pub revoke_surplus: bool,
    /// Sessions that may be open at once; 0 for the server's own limit.
    pub max_user_connections: u32,
    /// Whether nobody may log in.
    pub is_locked: bool,
    /// Whether open sessions end with a lock or a drop.
    pub ends_sessions: bool,
}

/// Why nothing is done to an account.
#[allow(missing_docs, reason = "the fields say which account or role, and whose it is")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It exists and is not ours.
    #[error("the account '{username}'@'{host}' exists and was not made by this operator")]
    Foreign { username: Username, host: String },
    /// It exists and is more than an account for adoption may be.
    #[error("the account '{username}'@'{host}' cannot be adopted: it has {what}")]
    TooMuch { username: Username, host: String, what: &'static str },
    /// It is a role or holds administrative privileges.
    #[error("'{username}'@'{host}' is a role or an administrator")]
    Privileged { username: Username, host: String },
    /// Somebody else's mark is on it, or somebody else was first.
    #[error("'{username}'@'{host}' belongs to {owner}")]
    Owned { username: Username, host: String, owner: OtherOwner },
    /// A foreign account of this name with another host may win the login.
    #[error("the foreign account '{username}'@'{host}' may win the login for this user name")]
    Shadowed { username: Username, host: String },
    /// An account without a name wins the login of some clients, since its host is more specific.
    #[error("the anonymous account ''@'{host}' wins the login of clients that it matches")]
    ShadowedByAnonymous { host: String },
    /// A grant that adds something to one database would take away what a wider grant of somebody else opens there.
    #[error(
        "a grant on {database} would shadow the one on {pattern} that '{username}'@'{host}' has: of grants that match a database only the most specific counts"
    )]
    ShadowsGrant { username: Username, host: String, database: String, pattern: String },
    /// Views or routines wait for a DEFINER of this name: whoever gets the account would run as what it once was.
    #[error(
        "'{username}'@'{host}' does not exist and is the DEFINER of something; drop that, or choose another username"
    )]
    Definer { username: Username, host: String },
    /// There is no such role.
    #[error("there is no role {role}")]
    NoSuchRole { role: String },
    /// The role opens more than a role of a tenant may.
    #[error("the role {role} cannot be granted: {through} has {what}")]
    RoleTooStrong { role: String, through: String, what: &'static str },
    /// The server has one default role an account.
    #[error("MariaDB has one default role for an account: ask for one role, to which the others are granted")]
    OneDefaultRole,
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
