//! Roles: whether a tenant may have one, and the difference between those that an account has and those that it shall have.

use std::collections::BTreeSet;

use super::grants::is_mark;
use super::standing::{Standing, standing};
use super::step::shown;
use super::{AccountStep, Catalogue, DesiredUser, GrantedOn, ObservedAccount, Refusal, Role};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::glob;
use crate::domain::names::{HostPattern, SYSTEM_SCHEMAS, is_protected};
use crate::domain::ownership::Owner;
use crate::domain::privilege::Right;

/// The roles of the spec as the server knows them, if a tenant may have each.
pub(super) fn wanted(
    desired: &DesiredUser,
    catalogue: &Catalogue,
    facts: &ServerFacts,
) -> Result<BTreeSet<Role>, Refusal> {
    if facts.engine == Engine::MariaDb && desired.roles.len() > 1 {
        return Err(Refusal::OneDefaultRole);
    }
    let roles: BTreeSet<_> = desired.roles.iter().map(|name| Role::named(name, facts.engine)).collect();
    for role in &roles {
        judge(role, catalogue)?;
    }
    Ok(roles)
}

/// What takes away roles that have become too strong since they were granted. All else waits for people, these must not.
#[must_use]
pub fn plan_withdrawal(
    desired: &DesiredUser,
    catalogue: &Catalogue,
    facts: &ServerFacts,
    is_alive: impl Fn(&Owner) -> bool,
) -> Vec<AccountStep> {
    // A mandatory role is everybody's and cannot be taken from one.
    let too_strong = |role: &Role| {
        !catalogue.mandatory_roles.contains(role)
            && matches!(judge(role, catalogue), Err(Refusal::RoleTooStrong { .. }))
    };
    let observed = catalogue.user(&desired.username);
    let of = |(host, account): (&String, &ObservedAccount)| {
        let standing = standing(&desired.username, &desired.claimant, host, account, observed, facts, &is_alive);
        let roles: BTreeSet<Role> = account.roles.keys().filter(|role| too_strong(role)).cloned().collect();
        match (standing, HostPattern::parse(host)) {
            (Standing::Ours { .. }, Ok(host)) if !roles.is_empty() => Some(AccountStep::RevokeRoles { host, roles }),
            _ => None,
        }
    };
    observed.accounts.iter().filter_map(of).collect()
}

/// Follows a role to all that it opens, through the roles that it holds itself.
fn judge(asked: &Role, catalogue: &Catalogue) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    let mut open = vec![asked];
    while let Some(role) = open.pop() {
        if !seen.insert(role) {
            continue;
        }
        let too_strong =
            |what| Refusal::RoleTooStrong { role: asked.name.clone(), through: shown(&role.name).to_owned(), what };
        if is_protected(&role.name) {
            return Err(too_strong("a name of the server's or of RDS's own"));
        }
        // A role that is granted and not there would open something as soon as somebody makes it.
        let Some(found) = catalogue.roles.get(role) else {
            return Err(Refusal::NoSuchRole { role: shown(&role.name).to_owned() });
        };
        if let Some(what) = excess(found) {
            return Err(too_strong(what));
        }
        open.extend(found.roles.keys());
    }
    Ok(())
}

/// What an account holds that no tenant may have, if anything.
pub(super) fn excess(account: &ObservedAccount) -> Option<&'static str> {
    for (on, rights) in &account.grants {
        if *on == GrantedOn::Server && !rights.is_empty() {
            return Some("global privileges");
        }
        if rights.iter().any(Right::is_grant_option) {
            return Some("GRANT OPTION");
        }
        if may_be_system_schema(on) && !is_mark(on, rights) {
            return Some("a grant on a system schema");
        }
    }
    account.roles.values().any(|may_pass_on| *may_pass_on).then_some("a role that it may pass on")
}

fn may_be_system_schema(on: &GrantedOn) -> bool {
    match on {
        GrantedOn::Server => false,
        // Whether the server reads it as a pattern or not: a pattern that could reach one is reason enough.
        GrantedOn::Schema(pattern) => {
            SYSTEM_SCHEMAS.iter().any(|schema| glob::like(&pattern.to_ascii_lowercase(), schema))
        }
        GrantedOn::Table(schema, _)
        | GrantedOn::Column(schema, ..)
        | GrantedOn::Procedure(schema, _)
        | GrantedOn::Function(schema, _) => SYSTEM_SCHEMAS.contains(&schema.to_ascii_lowercase().as_str()),
    }
}

/// The steps from the roles that an account has to those that it shall have.
pub(super) fn difference(
    host: &HostPattern,
    wanted: &BTreeSet<Role>,
    account: Option<&ObservedAccount>,
    revoke_surplus: bool,
    mandatory: &BTreeSet<Role>,
) -> Vec<AccountStep> {
    let mut steps = Vec::new();
    let host = || host.clone();
    let held = |role: &Role| account.and_then(|account| account.roles.get(role)).copied();
    // The server has no word for taking only the admin option away.
    let again: BTreeSet<Role> =
        wanted.iter().filter(|role| revoke_surplus && held(role) == Some(true)).cloned().collect();
    if !again.is_empty() {
        steps.push(AccountStep::RevokeRoles { host: host(), roles: again.clone() });
    }
    let missing: BTreeSet<Role> =
        wanted.iter().filter(|role| held(role).is_none() || again.contains(*role)).cloned().collect();
    if !missing.is_empty() {
        steps.push(AccountStep::GrantRoles { host: host(), roles: missing });
    }
    let none = BTreeSet::new();
    let defaults = account.map_or(&none, |account| &account.default_roles);
    let wanted_defaults = if revoke_surplus { wanted.clone() } else { wanted.union(defaults).cloned().collect() };
    if wanted_defaults != *defaults || !again.is_empty() {
        steps.push(AccountStep::SetDefaultRoles { host: host(), roles: wanted_defaults });
    }
    let surplus: BTreeSet<Role> = account
        .filter(|_| revoke_surplus)
        .into_iter()
        .flat_map(|account| account.roles.keys())
        .filter(|role| !wanted.contains(*role) && !mandatory.contains(*role))
        .cloned()
        .collect();
    if !surplus.is_empty() {
        steps.push(AccountStep::RevokeRoles { host: host(), roles: surplus });
    }
    steps
}
