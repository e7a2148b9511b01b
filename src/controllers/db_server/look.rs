//! What a look at RDS came to, and how long a server that was resolved stays so while RDS does not answer.

use kube::ResourceExt;

use super::found::Found;
use super::status;
use crate::api::{DbServer, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;

/// For how many resyncs RDS may fail to answer before a server that was resolved counts as not resolved.
const PATIENCE: u32 = 2;

/// What a look at RDS came to.
pub(super) enum Look {
    /// RDS told.
    Found(Box<Found>),
    /// RDS did not answer, for a short while only: what it told last stands.
    Unanswered(Problem),
    /// There is no such server, or none that can be used.
    Failed(Problem),
}

impl Look {
    /// An outage of AWS makes nothing worse that was well: databases go on without it.
    pub(super) fn of(object: &DbServer, found: Result<Found, Problem>, context: &Context) -> Self {
        let uid = object.uid().unwrap_or_default();
        let problem = match found {
            Ok(found) => {
                context.looks.answered(&uid);
                return Self::Found(Box::new(found));
            }
            Err(problem) => problem,
        };
        let (patience, now) = (context.settings.resync.saturating_mul(PATIENCE), context.clock.now());
        let is_outage = problem.reason == Reason::Unreachable;
        if is_outage && status::is_resolved(object) && context.looks.is_patient(&uid, patience, now) {
            return Self::Unanswered(problem);
        }
        Self::Failed(problem)
    }

    pub(super) fn found(&self) -> Option<&Found> {
        match self {
            Self::Found(found) => Some(found),
            Self::Unanswered(_) | Self::Failed(_) => None,
        }
    }

    /// Whether there is a server to log in to.
    pub(super) fn is_resolved(&self) -> bool {
        match self {
            Self::Found(found) => found.serves(),
            Self::Unanswered(_) => true,
            Self::Failed(_) => false,
        }
    }

    /// Why the server does not count as resolved.
    pub(super) fn shortfall(&self) -> Option<&Problem> {
        match self {
            Self::Found(found) => found.shortfalls.first(),
            Self::Unanswered(_) => None,
            Self::Failed(problem) => Some(problem),
        }
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        match self {
            Self::Found(found) => found.shortfalls.as_slice(),
            Self::Unanswered(problem) | Self::Failed(problem) => std::slice::from_ref(problem),
        }
        .iter()
    }
}
