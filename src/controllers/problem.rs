//! What is wrong, in the words of the API: a closed reason, a message, and what to do next.

use kube::runtime::finalizer;

use crate::api::Reason;
use crate::domain::{account, ca, policy, tenancy};
use crate::k8s::call::CallError;
use crate::ports::{Fault, FaultKind};

/// When to try again; the soonest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Retry {
    /// Soon, and later after each failure.
    Backoff,
    /// At the pace of the resync: nothing is broken, somebody has to decide something.
    Resync,
    /// When something that is watched changes.
    OnChange,
}

/// What is wrong with one part of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) retry: Retry,
}

impl Problem {
    /// Something that only a change of an object can mend.
    pub(super) fn of_spec(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: Retry::OnChange }
    }

    /// What another namespace holds is not asked where the operator does not act.
    pub(super) fn out_of_scope(field: &str, namespace: &str) -> Self {
        Self::of_spec(Reason::OutOfScope, format!("{field}: this operator does not act in namespace {namespace}"))
    }

    /// Something outside that may pass.
    pub(super) fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: Retry::Backoff }
    }

    /// Something outside that somebody has to decide.
    pub(super) fn standing(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: Retry::Resync }
    }

    /// What went wrong around a finalizer: our own problem, or the apiserver's answer to storing the finalizer.
    pub(super) fn of_finalizer(error: finalizer::Error<Self>) -> Self {
        match error {
            finalizer::Error::ApplyFailed(problem) | finalizer::Error::CleanupFailed(problem) => problem,
            finalizer::Error::AddFinalizer(_) => {
                Self::passing(Reason::Unreachable, "the finalizer could not be stored")
            }
            finalizer::Error::RemoveFinalizer(_) => {
                Self::passing(Reason::Unreachable, "the finalizer could not be removed")
            }
            finalizer::Error::UnnamedObject | finalizer::Error::InvalidFinalizer => {
                Self::of_spec(Reason::UnexpectedError, "the object cannot carry a finalizer")
            }
        }
    }

    /// Of several the first is told, and the one that is to be looked at soonest says when.
    pub(super) fn of_several<'a>(problems: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut problems = problems.into_iter();
        let first = problems.next()?;
        let retry = problems.map(|it| it.retry).fold(first.retry, Ord::min);
        Some(Self { retry, ..first.clone() })
    }

    /// The same with another reason: a fault of a certain call often has a name of its own.
    pub(super) fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let reason = match fault.kind {
            FaultKind::Unreachable | FaultKind::Throttled | FaultKind::ReadOnly => Reason::Unreachable,
            FaultKind::Denied => Reason::AccessDenied,
            FaultKind::IdentityDenied => Reason::IdentityDenied,
            FaultKind::LacksPrivilege => Reason::AdminLacksPrivilege,
            FaultKind::TlsVerification => Reason::TlsVerificationFailed,
            FaultKind::PluginMissing => Reason::PluginMissing,
            FaultKind::Missing => Reason::NotFound,
            FaultKind::Conflict => Reason::Conflict,
            FaultKind::Definer => Reason::ReferencedAsDefiner,
            FaultKind::Unmodifiable => Reason::PrincipalUnmodifiable,
            // Trying again changes nothing: somebody has to raise it, or to make room.
            FaultKind::Quota => return Self::standing(Reason::QuotaExceeded, fault.to_string()),
            FaultKind::Unreadable | FaultKind::Other => Reason::UnexpectedError,
        };
        Self::passing(reason, fault.to_string())
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        Self::passing(Reason::Unreachable, error.to_string())
    }
}

impl From<tenancy::Refusal> for Problem {
    fn from(refusal: tenancy::Refusal) -> Self {
        Self::of_spec(Reason::NotAllowed, refusal.to_string())
    }
}

impl From<account::Refusal> for Problem {
    fn from(refusal: account::Refusal) -> Self {
        use account::Refusal as R;
        let reason = match &refusal {
            R::Foreign { .. } | R::TooMuch { .. } => Reason::ForeignAccount,
            R::Privileged { .. } => Reason::Protected,
            R::Owned { .. } => Reason::Conflict,
            R::Shadowed { .. } | R::ShadowedByAnonymous { .. } => Reason::ShadowedAccount,
            R::ShadowsGrant { .. } => Reason::ShadowedGrant,
            R::Definer { .. } => Reason::ReferencedAsDefiner,
            R::RoleTooStrong { .. } | R::OneDefaultRole => Reason::InvalidRole,
            // As with a table: somebody may be about to make it.
            R::NoSuchRole { .. } => return Self::passing(Reason::ObjectMissing, refusal.to_string()),
        };
        Self::standing(reason, refusal.to_string())
    }
}

impl From<policy::Foreign> for Problem {
    fn from(foreign: policy::Foreign) -> Self {
        Self::standing(Reason::ForeignPolicy, foreign.to_string())
    }
}

impl From<ca::NotABundle> for Problem {
    fn from(error: ca::NotABundle) -> Self {
        Self::of_spec(Reason::TlsVerificationFailed, format!("the CA bundle cannot be used: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_does_not_delay_what_passes() {
        let standing = Problem::standing(Reason::QuotaExceeded, "somebody has to make room");
        let passing = Problem::passing(Reason::Unreachable, "timeout");
        let of_spec = Problem::of_spec(Reason::InvalidUsername, "no name");
        let of = |problems: &[&Problem]| Problem::of_several(problems.iter().copied()).map(|it| (it.reason, it.retry));
        assert_eq!(of(&[&standing, &passing]), Some((Reason::QuotaExceeded, Retry::Backoff)));
        assert_eq!(of(&[&of_spec, &standing]), Some((Reason::InvalidUsername, Retry::Resync)));
        assert_eq!(of(&[&passing, &of_spec]), Some((Reason::Unreachable, Retry::Backoff)));
        assert_eq!(of(&[]), None);
    }
}
