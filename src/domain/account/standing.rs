//! Whose an account is.

use super::{LedgerState, ObservedAccount, ObservedUser, PLUGIN, Refusal, grants};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::Username;
use crate::domain::ownership::{Claim, Claimant, Owner};

/// What an account that is there means to its object.
pub(super) enum Standing {
    /// Ours. `mark` is what it shall carry, `is_recorded` whether it does.
    Ours { mark: Owner, is_recorded: bool },
    /// Not ours.
    Refused(Refusal),
}

pub(super) fn standing(
    username: &Username,
    claimant: &Claimant,
    host: &str,
    account: &ObservedAccount,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&Owner) -> bool,
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
            // Its password or plugin was set since. Had it been made anew, the mark would have gone with the one before.
            Some((row, LedgerState::Owned)) if grants::is_marked(&account.grants, facts) => (Some(&row.owner), false),
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
    let Some(found) = mark else {
        return Standing::Refused(Refusal::Foreign { username, host });
    };
    let mark = Owner { adopted: found.adopted, ..claimant.owner.clone() };
    match claimant.claim(found, is_alive) {
        Claim::Other(owner) => Standing::Refused(Refusal::Owned { username, host, owner }),
        Claim::Mine => Standing::Ours { mark, is_recorded },
        Claim::MineAgain => Standing::Ours { mark, is_recorded: false },
    }
}
