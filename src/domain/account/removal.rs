//! What becomes of accounts whose object goes.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::{Standing, standing};
use super::{AccountStep, Catalogue, ObservedAccount, ObservedUser};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::{HostPattern, Username};
use crate::domain::ownership::{Claimant, Owner};

/// What becomes of an account whose object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is dropped.
    Drop,
    /// It is locked, and keeps its mark.
    Lock,
}

/// What is to be undone, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undoing {
    /// Name of the accounts.
    pub username: Username,
    /// Whose accounts.
    pub claimant: Claimant,
    /// What becomes of them.
    pub removal: Removal,
    /// Whether even an adopted account is dropped.
    pub drops_adopted: bool,
    /// Whether their sessions end.
    pub ends_sessions: bool,
}

/// How accounts go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovalPlan {
    /// The steps, none when there is nothing of ours.
    pub steps: Vec<AccountStep>,
    /// Accounts that are locked instead of dropped, since something runs as them.
    pub definers: Vec<HostPattern>,
}

/// The steps that drop or lock every account that is the claimant's. Whatever is not ours stays, without an error: on deletion there is
/// nobody left to tell, and nothing to do.
#[must_use]
pub fn plan_removal(undoing: &Undoing, catalogue: &Catalogue, facts: &ServerFacts) -> RemovalPlan {
    let is_alive = |_: &Owner| true; // a namesake's account is the namesake's to drop
    let observed = catalogue.user(&undoing.username);
    let ours = |(host, account): (&String, &ObservedAccount)| {
        let standing = standing(&undoing.username, &undoing.claimant, host, account, observed, facts, is_alive);
        match (standing, HostPattern::parse(host)) {
            (Standing::Ours { mark, .. }, Ok(host)) => Some((host, (mark, account.is_locked))),
            _ => None,
        }
    };
    let ours: BTreeMap<_, _> = observed.accounts.iter().filter_map(ours).collect();
    let stays = |host: &&String| !ours.keys().any(|ours| ours.as_str() == **host);
    let beside = observed.accounts.keys().filter(stays).cloned().collect();
    let leave = Leave { beside, facts, ends_sessions: undoing.ends_sessions };
    let mut plan = RemovalPlan::default();
    for (host, (mark, is_locked)) in ours {
        let is_definer = catalogue.is_definer(&undoing.username, host.as_str());
        match undoing.removal {
            Removal::Drop if !is_definer && (undoing.drops_adopted || !mark.adopted) => {
                plan.steps.extend(leave.by_drop(host, is_locked));
            }
            Removal::Drop | Removal::Lock => {
                if is_definer && undoing.removal == Removal::Drop {
                    plan.definers.push(host.clone());
                }
                plan.steps.extend(leave.by_lock(host, is_locked));
            }
        }
    }
    let gone = rows_without_account(&undoing.claimant.owner, observed);
    plan.steps.extend(gone.map(|host| AccountStep::Forget { host }));
    plan
}

/// How accounts of a user leave.
pub(super) struct Leave<'a> {
    /// Hosts of the accounts of this name that stay, and whose sessions go on.
    pub(super) beside: BTreeSet<String>,
    pub(super) facts: &'a ServerFacts,
    pub(super) ends_sessions: bool,
}

impl Leave<'_> {
    /// Sessions outlive their account, and after it nothing says any more that they are to end: they end before it goes, behind a shut door.
    pub(super) fn by_drop(&self, host: HostPattern, is_locked: bool) -> Vec<AccountStep> {
        let mut steps = if self.ends_sessions { self.by_lock(host.clone(), is_locked) } else { Vec::new() };
        steps.push(AccountStep::Drop { host: host.clone() });
        if self.facts.engine == Engine::MariaDb {
            steps.push(AccountStep::Forget { host });
        }
        steps
    }

    /// The door is shut first, so that nobody comes in behind. It may be shut already by somebody who got no further.
    pub(super) fn by_lock(&self, host: HostPattern, is_locked: bool) -> Vec<AccountStep> {
        let lock = (!is_locked).then(|| AccountStep::Lock { host: host.clone() });
        let end_sessions = AccountStep::EndSessions { host, beside: self.beside.clone() };
        lock.into_iter().chain(self.ends_sessions.then_some(end_sessions)).collect()
    }
}

/// Hosts of the owner's rows whose account is gone: dropped by somebody else, or by an operator that died before it removed the row.
pub(super) fn rows_without_account(owner: &Owner, observed: &ObservedUser) -> impl Iterator<Item = HostPattern> {
    let gone = observed.ledger.iter().filter(|(host, row)| {
        let is_ours = row.owner.uid == owner.uid;
        is_ours && !observed.accounts.contains_key(*host)
    });
    gone.filter_map(|(host, _)| HostPattern::parse(host).ok())
}
