//! From what shall be and what is to the steps between them.

use super::grants::{self, Direction};
use super::{AccountStep, DesiredUser, Grants, LedgerState, ObservedAccount, ObservedUser, PLUGIN, Refusal, Removal};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::{HostPattern, Username};
use crate::domain::ownership::{Claim, Owner};

/// What an account that is there means to its object.
enum Standing {
    /// Ours, and recorded as such.
    Ours,
    /// Ours, but the record must be written again.
    OursToRecord,
    /// Not ours.
    Refused(Refusal),
}

/// The steps that make the accounts what they shall be; none when they are.
///
/// # Errors
/// The first [`Refusal`] met. Then nothing at all is to be done: half an IamDbUser is worse than none.
pub fn plan(
    desired: &DesiredUser,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    let wanted = grants::stored(&desired.grants, facts);
    let mut steps = Vec::new();
    let mut surplus = Vec::new();
    for (host, account) in &observed.accounts {
        if desired.hosts.iter().any(|wanted| wanted.as_str() == host) {
            continue;
        }
        match (
            standing(&desired.username, &desired.owner, host, account, observed, facts, &is_alive),
            HostPattern::parse(host),
        ) {
            (Standing::Ours | Standing::OursToRecord, Ok(host)) => surplus.push(host),
            _ => {
                return Err(Refusal::Shadowed { username: desired.username.clone(), host: host.clone() });
            }
        }
    }
    for host in &desired.hosts {
        match observed.accounts.get(host.as_str()) {
            None => steps.extend(create(desired, host, observed, facts, &is_alive)?),
            Some(account) => steps.extend(repair(desired, host, account, observed, facts, &is_alive)?),
        }
    }
    for host in &desired.hosts {
        let empty = Grants::new();
        let held = observed.accounts.get(host.as_str()).map_or(&empty, |account| &account.grants);
        steps.extend(grants::difference(host, &wanted, held, Direction::Grant));
    }
    for host in desired.hosts.iter().filter(|_| desired.revoke_surplus) {
        let empty = Grants::new();
        let held = observed.accounts.get(host.as_str()).map_or(&empty, |account| &account.grants);
        steps.extend(grants::difference(host, held, &wanted, Direction::Revoke));
    }
    if desired.drop_surplus {
        steps.extend(surplus.into_iter().flat_map(|host| drop_one(host, facts)));
    }
    let unwanted = rows_without_account(&desired.owner, observed).filter(|host| !desired.hosts.contains(host));
    steps.extend(unwanted.map(|host| AccountStep::Forget { host }));
    Ok(steps)
}

/// The steps that drop or lock every account of `username` that is `owner`'s; none when there is none. Whatever is not ours stays,
/// without an error: on deletion there is nobody left to tell, and nothing to do.
#[must_use]
pub fn plan_removal(
    username: &Username,
    owner: &Owner,
    observed: &ObservedUser,
    facts: &ServerFacts,
    removal: Removal,
) -> Vec<AccountStep> {
    let is_alive = |_: &str| true; // a namesake's account is the namesake's to drop
    let mut steps = Vec::new();
    for (host, account) in &observed.accounts {
        let ours = match standing(username, owner, host, account, observed, facts, is_alive) {
            Standing::Ours | Standing::OursToRecord => true,
            Standing::Refused(_) => false,
        };
        match (ours, HostPattern::parse(host), removal) {
            (true, Ok(host), Removal::Drop) => steps.extend(drop_one(host, facts)),
            (true, Ok(host), Removal::Lock) if !account.is_locked => steps.push(AccountStep::Lock { host }),
            _ => {}
        }
    }
    steps.extend(rows_without_account(owner, observed).map(|host| AccountStep::Forget { host }));
    steps
}

/// Hosts of the owner's rows whose account is gone: dropped by somebody else, or by an operator that died before it removed the row.
fn rows_without_account(owner: &Owner, observed: &ObservedUser) -> impl Iterator<Item = HostPattern> {
    let gone = observed.ledger.iter().filter(|(host, row)| {
        let is_ours = row.owner.uid == owner.uid;
        is_ours && !observed.accounts.contains_key(*host)
    });
    gone.filter_map(|(host, _)| HostPattern::parse(host).ok())
}

fn create(
    desired: &DesiredUser,
    host: &HostPattern,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    let owner = desired.owner.clone();
    let create = AccountStep::Create { host: host.clone(), owner: owner.clone() };
    let mut settings = settings(desired, host, 0, false);
    if facts.engine == Engine::MySql {
        settings.insert(0, create);
        return Ok(settings);
    }
    if let Some(row) = observed.ledger.get(host.as_str())
        && let Claim::Other(other) = owner.claim(&row.owner, is_alive)
    {
        return Err(Refusal::Owned { username: desired.username.clone(), host: host.to_string(), owner: other });
    }
    let mut steps = vec![
        AccountStep::RecordIntent { host: host.clone(), owner: owner.clone() },
        create,
        AccountStep::RecordOwned { host: host.clone(), owner },
    ];
    steps.append(&mut settings);
    Ok(steps)
}

/// The steps from the limit and lock that an account has to those that it shall have.
fn settings(desired: &DesiredUser, host: &HostPattern, limit: u32, is_locked: bool) -> Vec<AccountStep> {
    let mut steps = Vec::new();
    if desired.max_user_connections != limit {
        steps.push(AccountStep::Limit { host: host.clone(), max_user_connections: desired.max_user_connections });
    }
    match (desired.is_locked, is_locked) {
        (true, false) => steps.push(AccountStep::Lock { host: host.clone() }),
        (false, true) => steps.push(AccountStep::Unlock { host: host.clone() }),
        _ => {}
    }
    steps
}

fn repair(
    desired: &DesiredUser,
    host: &HostPattern,
    account: &ObservedAccount,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    let to_record = match standing(&desired.username, &desired.owner, host.as_str(), account, observed, facts, is_alive)
    {
        Standing::Ours => false,
        Standing::OursToRecord => true,
        Standing::Refused(refusal) => return Err(refusal),
    };
    let mut steps = Vec::new();
    let wrong_plugin = account.plugin != PLUGIN || !account.plugin_string_is_rds;
    if wrong_plugin {
        steps.push(AccountStep::UsePlugin { host: host.clone() });
    } else if !account.requires_tls {
        steps.push(AccountStep::RequireTls { host: host.clone() });
    }
    match facts.engine {
        Engine::MySql if to_record => {
            steps.push(AccountStep::Mark { host: host.clone(), owner: desired.owner.clone() });
        }
        // Setting the plugin moves the stamp, so the record is renewed with it.
        Engine::MariaDb if to_record || wrong_plugin => {
            steps.push(AccountStep::RecordOwned { host: host.clone(), owner: desired.owner.clone() });
        }
        Engine::MySql | Engine::MariaDb => {}
    }
    steps.extend(settings(desired, host, account.max_user_connections, account.is_locked));
    Ok(steps)
}

fn drop_one(host: HostPattern, facts: &ServerFacts) -> Vec<AccountStep> {
    match facts.engine {
        Engine::MySql => vec![AccountStep::Drop { host }],
        Engine::MariaDb => vec![AccountStep::Drop { host: host.clone() }, AccountStep::Forget { host }],
    }
}

fn standing(
    username: &Username,
    owner: &Owner,
    host: &str,
    account: &ObservedAccount,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Standing {
    let (username, host) = (username.clone(), host.to_owned());
    if account.is_privileged {
        return Standing::Refused(Refusal::Privileged { username, host });
    }
    let (mark, is_recorded) = match facts.engine {
        Engine::MySql => (account.mark.as_ref(), true),
        Engine::MariaDb => match observed.ledger.get(&host).map(|row| (row, row.state)) {
            Some((row, LedgerState::Owned)) if account.credentials_set_at == Some(row.stamp) => {
                (Some(&row.owner), true)
            }
            // A crash between CREATE USER and the record of it: the account was absent when the intent was written.
            Some((row, LedgerState::Intent))
                if account.plugin == PLUGIN
                    && account.plugin_string_is_rds
                    && account.credentials_set_at.is_some_and(|set_at| set_at >= row.stamp) =>
            {
                (Some(&row.owner), false)
            }
            // Dropped and made again by somebody else, or never ours.
            _ => (None, false),
        },
    };
    match mark.map(|mark| owner.claim(mark, is_alive)) {
        None => Standing::Refused(Refusal::Foreign { username, host }),
        Some(Claim::Other(owner)) => Standing::Refused(Refusal::Owned { username, host, owner }),
        Some(Claim::Mine) if is_recorded => Standing::Ours,
        Some(Claim::Mine | Claim::MineAgain) => Standing::OursToRecord,
    }
}
