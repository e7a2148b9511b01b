//! Grants: what privileges are on, as the spec names it and as the server stores it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::AccountStep;
use super::step::shown;
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::glob;
use crate::domain::names::{DatabaseName, HostPattern, MARK_SCHEMA, ObjectName};
use crate::domain::privilege::{Privilege, Right};

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
            Self::Procedure(database, name) => GrantedOn::procedure(literal(database), name.as_str()),
            Self::Function(database, name) => GrantedOn::function(literal(database), name.as_str()),
        }
    }
}

/// What privileges are on, in the server's spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantedOn {
    /// Everything. The operator never grants there.
    Server,
    /// Schemas by a pattern: where `partial_revokes` is off, `_` and `%` are wildcards in it unless a backslash stands before them.
    Schema(String),
    /// A table, both names literal: the escaping of schema-level grants is an error here.
    Table(String, String),
    /// A column of a table. The operator never grants there either.
    Column(String, String, String),
    /// A stored procedure.
    Procedure(String, String),
    /// A stored function.
    Function(String, String),
}

impl GrantedOn {
    /// A stored procedure. Names of routines are one in whatever case they are written, so here they are in lower case.
    #[must_use]
    pub fn procedure(schema: String, name: &str) -> Self {
        Self::Procedure(schema, name.to_ascii_lowercase())
    }

    /// A stored function; as for procedures.
    #[must_use]
    pub fn function(schema: String, name: &str) -> Self {
        Self::Function(schema, name.to_ascii_lowercase())
    }
}

impl fmt::Display for GrantedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("*.*"),
            Self::Schema(schema) => write!(f, "{}.*", shown(schema)),
            Self::Table(schema, object) | Self::Procedure(schema, object) | Self::Function(schema, object) => {
                write!(f, "{}.{}", shown(schema), shown(object))
            }
            Self::Column(schema, table, column) => {
                write!(f, "{}.{}.{}", shown(schema), shown(table), shown(column))
            }
        }
    }
}

/// Rights by what they are on.
pub type Grants = BTreeMap<GrantedOn, BTreeSet<Right>>;

/// The right that marks an account, the emptiest there is: without others it opens nothing in any database.
const MARK: Right = Right::Listed(Privilege::LockTables);

/// What an account of ours holds on MariaDB beside its own: it stays whatever is altered, and goes when the account is dropped. So it tells one whose
/// password somebody set from one that somebody made anew.
fn mark(facts: &ServerFacts) -> Option<GrantedOn> {
    (facts.engine == Engine::MariaDb).then(|| GrantedOn::Schema(facts.schema_pattern(MARK_SCHEMA)))
}

/// Whether a grant is that mark and nothing more, on whatever account.
pub(super) fn is_mark(on: &GrantedOn, rights: &BTreeSet<Right>) -> bool {
    let is_there = matches!(on, GrantedOn::Schema(pattern) if pattern.replace('\\', "") == MARK_SCHEMA);
    is_there && rights.iter().all(|right| *right == MARK)
}

/// Whether an account carries that mark.
pub(super) fn is_marked(grants: &Grants, facts: &ServerFacts) -> bool {
    mark(facts).and_then(|mark| grants.get(&mark)).is_some_and(|rights| rights.contains(&MARK))
}

/// The grants of the spec as the server would store them, and the mark.
pub(super) fn stored(wanted: &BTreeMap<Target, BTreeSet<Privilege>>, facts: &ServerFacts) -> Grants {
    let mut grants: Grants = mark(facts).into_iter().map(|mark| (mark, [MARK].into())).collect();
    for (target, privileges) in wanted {
        grants.entry(target.stored(facts)).or_default().extend(privileges.iter().copied().map(Right::from));
    }
    grants
}

/// The wider grant of an account that a new one on a database would shadow: the server looks no further than to the most specific pattern that matches,
/// so that whatever else the wider one opens there would be closed.
pub(super) fn shadowed<'a>(
    wanted: &BTreeMap<Target, BTreeSet<Privilege>>,
    held: &'a Grants,
    facts: &ServerFacts,
) -> Option<(DatabaseName, &'a str)> {
    if facts.partial_revokes {
        return None; // there are no patterns
    }
    wanted.iter().find_map(|(target, privileges)| {
        let Target::Schema(database) = target else { return None };
        let (literal, own) = (facts.fold(database.as_str()), target.stored(facts));
        let matching = held.iter().filter_map(|(on, rights)| {
            let GrantedOn::Schema(pattern) = on else { return None };
            (!rights.is_empty() && glob::like(pattern, &literal)).then_some((pattern, rights))
        });
        let (pattern, rights) = matching.max_by_key(|(pattern, _)| glob::literal_length(pattern))?;
        let is_kept = |right: &Right| matches!(right, Right::Listed(privilege) if privileges.contains(privilege));
        let is_shadowed = GrantedOn::Schema(pattern.clone()) != own && !rights.iter().all(is_kept);
        is_shadowed.then(|| (database.clone(), pattern.as_str()))
    })
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
    more.iter().filter_map(move |(on, rights)| {
        let empty = BTreeSet::new();
        let rights: BTreeSet<Right> = rights.difference(less.get(on).unwrap_or(&empty)).cloned().collect();
        let (host, on) = (host.clone(), on.clone());
        match direction {
            _ if rights.is_empty() => None,
            Direction::Grant => {
                let listed = |right| if let Right::Listed(privilege) = right { Some(privilege) } else { None };
                let privileges = rights.into_iter().filter_map(listed).collect();
                Some(AccountStep::Grant { host, on, privileges })
            }
            Direction::Revoke => Some(AccountStep::Revoke { host, on, rights }),
        }
    })
}
