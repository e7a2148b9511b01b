//! From what shall be and what is to the steps between them.

use super::grants::{self, Direction};
use super::removal::{Leave, rows_without_account};
use super::standing::{Standing, standing};
use super::step::shown;
use super::{AccountStep, Catalogue, DesiredUser, Grants, ObservedAccount, ObservedUser, PLUGIN, Refusal, roles};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::hosts;
use crate::domain::names::HostPattern;
use crate::domain::ownership::{Claim, OtherOwner, Owner};

/// The steps that make the accounts what they shall be; none when they are.
///
/// # Errors
/// The first [`Refusal`] met. Then nothing at all is to be done: half an IamDbUser is worse than none.
pub fn plan(
    desired: &DesiredUser,
    catalogue: &Catalogue,
    facts: &ServerFacts,
    is_alive: impl Fn(&Owner) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    Planner { desired, catalogue, observed: catalogue.user(&desired.username), facts, is_alive: &is_alive }.plan()
}

struct Planner<'a> {
    desired: &'a DesiredUser,
    catalogue: &'a Catalogue,
    observed: &'a ObservedUser,
    facts: &'a ServerFacts,
    is_alive: &'a dyn Fn(&Owner) -> bool,
}

impl Planner<'_> {
    fn plan(&self) -> Result<Vec<AccountStep>, Refusal> {
        let wanted = grants::stored(&self.desired.grants, self.facts);
        let wanted_roles = roles::wanted(self.desired, self.catalogue, self.facts)?;
        let (let_in, surplus): (Vec<_>, Vec<_>) =
            self.surplus()?.into_iter().partition(|(host, _, mark)| self.is_let_in(host, mark));
        let hosts: Vec<&HostPattern> = self.desired.hosts.iter().chain(let_in.iter().map(|(host, ..)| host)).collect();
        self.check_anonymous()?;
        let mut steps = Vec::new();
        for &host in &hosts {
            match self.observed.accounts.get(host.as_str()) {
                None => steps.extend(self.create(host)?),
                Some(account) => steps.extend(self.repair(host, account)?),
            }
        }
        self.check_shadows(&hosts)?; // the accounts are ours
        let nothing = Grants::new();
        let account = |host: &HostPattern| self.observed.accounts.get(host.as_str());
        let held = |host: &HostPattern| account(host).map_or(&nothing, |account| &account.grants);
        for &host in &hosts {
            steps.extend(grants::difference(host, &wanted, held(host), Direction::Grant));
        }
        for &host in &hosts {
            let (revoke, mandatory) = (self.desired.revoke_surplus, &self.catalogue.mandatory_roles);
            steps.extend(roles::difference(host, &wanted_roles, account(host), revoke, mandatory));
        }
        for &host in hosts.iter().filter(|_| self.desired.revoke_surplus) {
            steps.extend(grants::difference(host, held(host), &wanted, Direction::Revoke));
        }
        let leave = self.leave(&hosts);
        for (host, account, mark) in surplus {
            if !self.stays(&host, &mark) {
                steps.extend(leave.by_drop(host, account.is_locked));
            } else if !account.is_locked {
                steps.extend(leave.by_lock(host, false));
            }
        }
        let unwanted = rows_without_account(&self.desired.claimant.owner, self.observed)
            .filter(|host| !self.desired.hosts.contains(host));
        steps.extend(unwanted.map(|host| AccountStep::Forget { host }));
        Ok(steps)
    }

    /// Accounts of ours whose host has left the spec. A foreign one may win the login.
    fn surplus(&self) -> Result<Vec<(HostPattern, &ObservedAccount, Owner)>, Refusal> {
        let mut surplus = Vec::new();
        for (host, account) in &self.observed.accounts {
            if self.desired.hosts.iter().any(|wanted| wanted.as_str() == host) {
                continue;
            }
            match (self.standing(host, account), HostPattern::parse(host)) {
                (Standing::Ours { mark, .. }, Ok(host)) => surplus.push((host, account, mark)),
                (Standing::Refused(refusal @ Refusal::Owned { .. }), _) => return Err(refusal),
                _ => {
                    return Err(Refusal::Shadowed { username: self.desired.username.clone(), host: host.clone() });
                }
            }
        }
        Ok(surplus)
    }

    fn check_anonymous(&self) -> Result<(), Refusal> {
        let wins = |other: &&String| self.desired.hosts.iter().any(|host| hosts::wins_over(other, host.as_str()));
        match self.catalogue.anonymous.iter().find(wins) {
            Some(host) => Err(Refusal::ShadowedByAnonymous { host: host.clone() }),
            None => Ok(()),
        }
    }

    /// What others granted stays, so nothing may be granted that makes it count no more. Where it is revoked anyway, it may.
    fn check_shadows(&self, hosts: &[&HostPattern]) -> Result<(), Refusal> {
        if self.desired.revoke_surplus {
            return Ok(());
        }
        for host in hosts.iter().map(|host| host.as_str()) {
            let held = self.observed.accounts.get(host).map(|account| &account.grants);
            let shadowed = held.and_then(|held| grants::shadowed(&self.desired.grants, held, self.facts));
            if let Some((database, pattern)) = shadowed {
                return Err(Refusal::ShadowsGrant {
                    username: self.desired.username.clone(),
                    host: host.to_owned(),
                    database: database.to_string(),
                    pattern: shown(pattern).to_owned(),
                });
            }
        }
        Ok(())
    }

    fn standing(&self, host: &str, account: &ObservedAccount) -> Standing {
        let desired = self.desired;
        standing(&desired.username, &desired.claimant, host, account, self.observed, self.facts, self.is_alive)
    }

    /// Whether an account of ours stays when its host has left the spec.
    fn stays(&self, host: &HostPattern, mark: &Owner) -> bool {
        let is_definer = self.catalogue.is_definer(&self.desired.username, host.as_str());
        let is_kept = mark.adopted && !self.desired.drops_adopted;
        !self.desired.drop_surplus || is_definer || is_kept
    }

    /// Whether an account that stays is for clients alone that the spec lets in by a wider host. It wins their logins, so it is kept as if the spec
    /// named it: locked it would shut them out.
    fn is_let_in(&self, host: &HostPattern, mark: &Owner) -> bool {
        self.stays(host, mark) && self.desired.hosts.iter().any(|wider| hosts::covers(wider.as_str(), host.as_str()))
    }

    /// How accounts leave while those at `hosts` stay, which are all shut where the spec says so.
    fn leave(&self, hosts: &[&HostPattern]) -> Leave<'_> {
        let beside = if self.desired.is_locked { &[] } else { hosts };
        Leave {
            beside: beside.iter().map(|host| host.as_str().to_owned()).collect(),
            facts: self.facts,
            ends_sessions: self.desired.ends_sessions,
        }
    }

    /// What nobody has yet goes to the older of two objects.
    fn check_elder(&self, host: &HostPattern) -> Result<(), Refusal> {
        match &self.desired.elder {
            Some(elder) => Err(Refusal::Owned {
                username: self.desired.username.clone(),
                host: host.to_string(),
                owner: OtherOwner::Object(elder.clone()),
            }),
            None => Ok(()),
        }
    }

    /// Whether a mark without an account speaks of an object that is gone, too: the object left its account, and somebody dropped that one since.
    fn is_left_behind(&self, mark: &Owner) -> bool {
        mark.cluster == self.desired.claimant.owner.cluster && !(self.is_alive)(mark)
    }

    fn create(&self, host: &HostPattern) -> Result<Vec<AccountStep>, Refusal> {
        self.check_elder(host)?;
        let (username, owner) = (self.desired.username.clone(), self.desired.claimant.owner.clone());
        if self.catalogue.is_definer(&username, host.as_str()) {
            return Err(Refusal::Definer { username, host: host.to_string() });
        }
        if let Some(row) = self.observed.ledger.get(host.as_str())
            && !self.is_left_behind(&row.owner)
            && let Claim::Other(owner) = self.desired.claimant.claim(&row.owner, self.is_alive)
        {
            return Err(Refusal::Owned { username, host: host.to_string(), owner });
        }
        let create = AccountStep::Create { host: host.clone(), owner: owner.clone() };
        let mut steps = match self.facts.engine {
            Engine::MySql => vec![create],
            Engine::MariaDb => vec![
                AccountStep::RecordIntent { host: host.clone(), owner: owner.clone() },
                create,
                AccountStep::RecordOwned { host: host.clone(), owner },
            ],
        };
        steps.extend(self.limit(host, 0));
        if self.desired.is_locked {
            steps.push(AccountStep::Lock { host: host.clone() });
        }
        Ok(steps)
    }

    fn limit(&self, host: &HostPattern, held: u32) -> Option<AccountStep> {
        let max_user_connections = self.desired.max_user_connections;
        (max_user_connections != held).then(|| AccountStep::Limit { host: host.clone(), max_user_connections })
    }

    fn repair(&self, host: &HostPattern, account: &ObservedAccount) -> Result<Vec<AccountStep>, Refusal> {
        let mut steps = match self.standing(host.as_str(), account) {
            Standing::Ours { mark, is_recorded } => self.restore(host, account, &mark, is_recorded),
            Standing::Refused(Refusal::Foreign { .. }) if self.desired.adopts => self.adopt(host, account)?,
            Standing::Refused(refusal) => return Err(refusal),
        };
        steps.extend(self.limit(host, account.max_user_connections));
        match (self.desired.is_locked, account.is_locked) {
            (true, false) => steps.extend(self.leave(&[]).by_lock(host.clone(), false)),
            (false, true) => steps.push(AccountStep::Unlock { host: host.clone() }),
            _ => {}
        }
        Ok(steps)
    }

    /// How an account of ours logs in, and what says that it is ours.
    fn restore(
        &self,
        host: &HostPattern,
        account: &ObservedAccount,
        mark: &Owner,
        is_recorded: bool,
    ) -> Vec<AccountStep> {
        let mut steps = Vec::new();
        let wrong_plugin = account.plugin != PLUGIN || !account.plugin_string_is_rds;
        if wrong_plugin {
            steps.push(AccountStep::UsePlugin { host: host.clone() });
        } else if !account.requires_tls {
            steps.push(AccountStep::RequireTls { host: host.clone() });
        }
        let (host, owner) = (host.clone(), mark.clone());
        match self.facts.engine {
            Engine::MySql if !is_recorded => steps.push(AccountStep::Mark { host, owner }),
            // Setting the plugin moves the stamp, so the record is renewed with it.
            Engine::MariaDb if !is_recorded || wrong_plugin => steps.push(AccountStep::RecordOwned { host, owner }),
            Engine::MySql | Engine::MariaDb => {}
        }
        steps
    }

    /// Takes over an account of somebody else, if it is no more than an account of ours could be.
    fn adopt(&self, host: &HostPattern, account: &ObservedAccount) -> Result<Vec<AccountStep>, Refusal> {
        self.check_elder(host)?;
        let what = roles::excess(account).or_else(|| (!account.roles.is_empty()).then_some("a role"));
        if let Some(what) = what {
            return Err(Refusal::TooMuch { username: self.desired.username.clone(), host: host.to_string(), what });
        }
        let owner = Owner { adopted: true, ..self.desired.claimant.owner.clone() };
        let adopt = AccountStep::Adopt { host: host.clone(), owner: owner.clone() };
        Ok(match self.facts.engine {
            Engine::MySql => vec![adopt],
            Engine::MariaDb => vec![
                AccountStep::RecordAdoption { host: host.clone(), owner: owner.clone() },
                adopt,
                AccountStep::RecordOwned { host: host.clone(), owner },
            ],
        })
    }
}
