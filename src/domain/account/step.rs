//! One change in a database, and how it is told to people.

use std::collections::BTreeSet;
use std::fmt;

use super::{GrantedOn, Role};
use crate::domain::names::HostPattern;
use crate::domain::ownership::Owner;
use crate::domain::privilege::{Privilege, Right};

/// One change in the database.
#[allow(missing_docs, reason = "the fields are what the step is about: whose host, on what, which privileges")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// Write down that the account is about to be created, into the operator's own table.
    RecordIntent { host: HostPattern, owner: Owner },
    /// Create the account with plugin, TLS and (where accounts can carry it) mark in one statement.
    Create { host: HostPattern, owner: Owner },
    /// Write down that the account is about to be adopted, into the operator's own table.
    RecordAdoption { host: HostPattern, owner: Owner },
    /// Set plugin, TLS and (where accounts can carry it) mark of an account that is not ours yet. Its password stops working.
    Adopt { host: HostPattern, owner: Owner },
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
    /// Take rights away. `on` is the stored spelling: any other is an error.
    Revoke { host: HostPattern, on: GrantedOn, rights: BTreeSet<Right> },
    /// Grant roles.
    GrantRoles { host: HostPattern, roles: BTreeSet<Role> },
    /// Make these, and no others, the roles that are active after a login.
    SetDefaultRoles { host: HostPattern, roles: BTreeSet<Role> },
    /// Take roles away.
    RevokeRoles { host: HostPattern, roles: BTreeSet<Role> },
    /// Drop the account.
    Drop { host: HostPattern },
    /// Remove the row from the operator's own table.
    Forget { host: HostPattern },
    /// End the sessions of the account. `beside` are the other hosts of its name: a session is that of the most specific one that it matches.
    EndSessions { host: HostPattern, beside: BTreeSet<String> },
}

impl AccountStep {
    /// The account that the step is for.
    #[must_use]
    pub const fn host(&self) -> &HostPattern {
        match self {
            Self::RecordIntent { host, .. }
            | Self::Create { host, .. }
            | Self::RecordAdoption { host, .. }
            | Self::Adopt { host, .. }
            | Self::RecordOwned { host, .. }
            | Self::Mark { host, .. }
            | Self::UsePlugin { host }
            | Self::RequireTls { host }
            | Self::Limit { host, .. }
            | Self::Lock { host }
            | Self::Unlock { host }
            | Self::Grant { host, .. }
            | Self::Revoke { host, .. }
            | Self::GrantRoles { host, .. }
            | Self::SetDefaultRoles { host, .. }
            | Self::RevokeRoles { host, .. }
            | Self::Drop { host }
            | Self::Forget { host }
            | Self::EndSessions { host, .. } => host,
        }
    }

    /// Whether the step changes what the account may do, rather than whether and how it can log in.
    #[must_use]
    pub const fn is_grant(&self) -> bool {
        matches!(
            self,
            Self::Grant { .. }
                | Self::Revoke { .. }
                | Self::GrantRoles { .. }
                | Self::SetDefaultRoles { .. }
                | Self::RevokeRoles { .. }
        )
    }

    /// Whether the step makes or removes an account: then it matters whether something runs as it.
    #[must_use]
    pub const fn makes_or_drops(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Drop { .. })
    }
}

/// For people: what would be done, in closed words. Of the server's own texts only what could be a name of the spec is shown.
impl fmt::Display for AccountStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: ", self.host())?;
        match self {
            Self::Create { .. } => f.write_str("create the account"),
            Self::Adopt { .. } => f.write_str("adopt the account"),
            Self::RecordIntent { .. } | Self::RecordAdoption { .. } | Self::RecordOwned { .. } | Self::Mark { .. } => {
                f.write_str("write the mark of ownership")
            }
            Self::UsePlugin { .. } => f.write_str("set the plugin for IAM tokens, and require TLS"),
            Self::RequireTls { .. } => f.write_str("require TLS, and no more than that"),
            Self::Limit { max_user_connections, .. } => write!(f, "limit sessions to {max_user_connections}"),
            Self::Lock { .. } => f.write_str("lock the account"),
            Self::Unlock { .. } => f.write_str("unlock the account"),
            Self::Grant { on, privileges, .. } => {
                write!(f, "grant {} on {on}", joined(privileges.iter().map(|privilege| privilege.sql())))
            }
            Self::Revoke { on, rights, .. } => write!(f, "revoke {} on {on}", joined(rights.iter().map(Right::sql))),
            Self::GrantRoles { roles, .. } => write!(f, "grant {}", names(roles)),
            Self::SetDefaultRoles { roles, .. } if roles.is_empty() => f.write_str("set no default role"),
            Self::SetDefaultRoles { roles, .. } => write!(f, "set as default {}", names(roles)),
            Self::RevokeRoles { roles, .. } => write!(f, "revoke {}", names(roles)),
            Self::Drop { .. } => f.write_str("drop the account"),
            Self::Forget { .. } => f.write_str("forget the account"),
            Self::EndSessions { .. } => f.write_str("end open sessions"),
        }
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn names(roles: &BTreeSet<Role>) -> String {
    format!("role {}", joined(roles.iter().map(|role| shown(&role.name))))
}

/// A name of the catalogue as people may see it.
pub(super) fn shown(name: &str) -> &str {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-' | b'.' | b'%' | b'\\');
    if (1..=64).contains(&name.len()) && name.bytes().all(ok) { name } else { "another name" }
}
