//! What becomes of accounts whose object goes.

use super::standing::{Standing, standing};
use super::{AccountStep, Catalogue, ObservedUser};
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
    let is_alive = |_: &str| true; // a namesake's account is the namesake's to drop
    let observed = catalogue.user(&undoing.username);
    let mut plan = RemovalPlan::default();
    for (host, account) in &observed.accounts {
        let standing = standing(&undoing.username, &undoing.claimant, host, account, observed, facts, is_alive);
        let (Standing::Ours { mark, .. }, Ok(host)) = (standing, HostPattern::parse(host)) else {
            continue;
        };
        let is_definer = catalogue.is_definer(&undoing.username, host.as_str());
        let (ends_sessions, drops_adopted) = (undoing.ends_sessions, undoing.drops_adopted);
        let leave = Leave { observed, facts, ends_sessions, drops_adopted };
        match undoing.removal {
            Removal::Drop if !is_definer && !leave.keeps(&mark) => plan.steps.extend(leave.by_drop(host)),
            Removal::Drop | Removal::Lock => {
                if is_definer && undoing.removal == Removal::Drop {
                    plan.definers.push(host.clone());
                }
                plan.steps.extend(leave.by_lock(host, account.is_locked));
            }
        }
    }
    let gone = rows_without_account(&undoing.claimant.owner, observed);
    plan.steps.extend(gone.map(|host| AccountStep::Forget { host }));
    plan
}

/// How one account of a user leaves.
pub(super) struct Leave<'a> {
    pub(super) observed: &'a ObservedUser,
    pub(super) facts: &'a ServerFacts,
    pub(super) ends_sessions: bool,
    pub(super) drops_adopted: bool,
}

impl Leave<'_> {
    /// Whether an account stays because somebody else made it.
    pub(super) const fn keeps(&self, mark: &Owner) -> bool {
        mark.adopted && !self.drops_adopted
    }

    pub(super) fn by_drop(&self, host: HostPattern) -> Vec<AccountStep> {
        let mut steps = vec![AccountStep::Drop { host: host.clone() }];
        if self.facts.engine == Engine::MariaDb {
            steps.push(AccountStep::Forget { host: host.clone() });
        }
        steps.extend(self.end_sessions(host));
        steps
    }

    pub(super) fn by_lock(&self, host: HostPattern, is_locked: bool) -> Vec<AccountStep> {
        if is_locked {
            return Vec::new();
        }
        let mut steps = vec![AccountStep::Lock { host: host.clone() }];
        steps.extend(self.end_sessions(host));
        steps
    }

    /// After the door is shut, so that nobody comes in behind.
    fn end_sessions(&self, host: HostPattern) -> Option<AccountStep> {
        let beside = self.observed.accounts.keys().filter(|other| *other != host.as_str()).cloned().collect();
        self.ends_sessions.then_some(AccountStep::EndSessions { host, beside })
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
