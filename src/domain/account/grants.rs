//! Grants: what privileges are on, as the spec names it and as the server stores it.

use std::collections::{BTreeMap, BTreeSet};

use super::AccountStep;
use crate::domain::engine::ServerFacts;
use crate::domain::names::{DatabaseName, HostPattern, ObjectName};
use crate::domain::privilege::Privilege;

/// What privileges shall be on. All names are literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// All of a database.
    Schema(DatabaseName),
    /// One table or view of it.
    Table(DatabaseName, ObjectName),
    /// One stored procedure of it.
    Procedure(DatabaseName, ObjectName),
    /// One stored function of it.
    Function(DatabaseName, ObjectName),
}

impl Target {
    /// The database.
    #[must_use]
    pub const fn database(&self) -> &DatabaseName {
        match self {
            Self::Schema(database)
            | Self::Table(database, _)
            | Self::Procedure(database, _)
            | Self::Function(database, _) => database,
        }
    }

    /// Whether the server knows this privilege on such a thing.
    #[must_use]
    pub const fn takes(&self, privilege: Privilege) -> bool {
        match self {
            Self::Schema(_) => true,
            Self::Table(..) => privilege.is_for_tables(),
            Self::Procedure(..) | Self::Function(..) => privilege.is_for_routines(),
        }
    }

    /// How the server stores it: folded where it folds names, and the schema of a schema-level grant as a pattern.
    fn stored(&self, facts: &ServerFacts) -> GrantedOn {
        let literal = |name: &DatabaseName| facts.fold(name.as_str());
        match self {
            Self::Schema(database) => GrantedOn::Schema(facts.schema_pattern(database.as_str())),
            Self::Table(database, table) => GrantedOn::Table(literal(database), facts.fold(table.as_str())),
            Self::Procedure(database, name) => GrantedOn::Procedure(literal(database), name.as_str().to_owned()),
            Self::Function(database, name) => GrantedOn::Function(literal(database), name.as_str().to_owned()),
        }
    }
}

/// What privileges are on, in the server's spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantedOn {
    /// Schemas by a pattern: where `partial_revokes` is off, `_` and `%` are wildcards in it unless a backslash stands before them.
    Schema(String),
    /// A table, both names literal: the escaping of schema-level grants is an error here.
    Table(String, String),
    /// A stored procedure.
    Procedure(String, String),
    /// A stored function.
    Function(String, String),
}

/// Privileges by what they are on.
pub type Grants = BTreeMap<GrantedOn, BTreeSet<Privilege>>;

/// The grants of the spec as the server would store them.
pub(super) fn stored(wanted: &BTreeMap<Target, BTreeSet<Privilege>>, facts: &ServerFacts) -> Grants {
    let mut grants = Grants::new();
    for (target, privileges) in wanted {
        grants.entry(target.stored(facts)).or_default().extend(privileges);
    }
    grants
}

/// Whether a difference is to be granted or revoked.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Grant,
    Revoke,
}

/// What `more` holds and `less` does not, as steps.
pub(super) fn difference(
    host: &HostPattern,
    more: &Grants,
    less: &Grants,
    direction: Direction,
) -> impl Iterator<Item = AccountStep> {
    more.iter().filter_map(move |(on, privileges)| {
        let empty = BTreeSet::new();
        let privileges: BTreeSet<_> = privileges.difference(less.get(on).unwrap_or(&empty)).copied().collect();
        let (host, on) = (host.clone(), on.clone());
        (!privileges.is_empty()).then_some(match direction {
            Direction::Grant => AccountStep::Grant { host, on, privileges },
            Direction::Revoke => AccountStep::Revoke { host, on, privileges },
        })
    })
}
