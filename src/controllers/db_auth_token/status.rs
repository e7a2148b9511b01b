//! What a DbAuthToken tells. Nothing here changes with a rotation that succeeds: that would be a second write.

use jiff::Timestamp;
use kube::api::Api;

use crate::api::{BindingRef, ConditionType, Conditions, DbAuthToken, DbAuthTokenStatus, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::schedule;
use crate::k8s::status::CallError;
use crate::ports::FaultKind;
use crate::rotation::{self, Order, Progress};

/// What was found.
pub(super) struct Findings {
    parts: Vec<(ConditionType, Verdict)>,
    signed_host: Option<String>,
    principal_arn: Option<String>,
}

impl Findings {
    /// The order stands with the engine.
    pub(super) fn of(order: &Order, progress: &Progress, now: Timestamp) -> Self {
        let secret = secret(progress, now);
        let identity = identity(progress, &secret);
        let parts = vec![
            (ConditionType::SecretReady, secret),
            (ConditionType::IdentityReady, identity),
            (ConditionType::CaReady, Verdict::Good("the CA bundle is in the Secret".into())),
        ];
        Self {
            parts,
            signed_host: Some(order.binding.connect.endpoint.to_string()),
            principal_arn: Some(order.identity.role().to_string()),
        }
    }

    /// There is no order, or it could not be renewed.
    pub(super) fn withheld(problem: &Problem, progress: Option<&Progress>, now: Timestamp) -> Self {
        let published = progress.map(|progress| secret(progress, now)).filter(Verdict::is_good);
        let secret = published.unwrap_or_else(|| Verdict::Bad(problem.clone()));
        let open = || Verdict::Waiting(problem.reason, "not looked at yet".into());
        let about_ca = problem.reason == Reason::TlsVerificationFailed;
        let about_identity = problem.reason == Reason::IdentityDenied;
        let parts = vec![
            (ConditionType::SecretReady, secret),
            (ConditionType::IdentityReady, if about_identity { Verdict::Bad(problem.clone()) } else { open() }),
            (ConditionType::CaReady, if about_ca { Verdict::Bad(problem.clone()) } else { open() }),
        ];
        Self { parts, signed_host: None, principal_arn: None }
    }
}

/// A published token is good until failure to renew it becomes an alarm: a rotation that succeeds at the second try is nobody's business.
fn secret(progress: &Progress, now: Timestamp) -> Verdict {
    let reason_of = |problem: &rotation::Problem| match problem {
        rotation::Problem::ForeignSecret => Reason::ForeignSecret,
        rotation::Problem::Identity(_) => identity_reason(problem),
        rotation::Problem::Write(_) => Reason::RotationFailing,
    };
    let live = || Verdict::Good("the Secret holds a live token".into());
    let bad = |reason, message: String| Verdict::Bad(Problem::of_spec(reason, message));
    let left = progress.expires_at.map(|end| (end, schedule::until(end, now)));
    match (&progress.problem, left) {
        // What was published for an earlier spec says nothing of this one.
        (None, _) if !progress.is_current => Verdict::Waiting(Reason::Resolving, "the token is being signed".into()),
        (Some(problem), None) => bad(reason_of(problem), problem.to_string()),
        (Some(problem), Some((end, left))) if left.is_zero() => {
            bad(Reason::Expired, format!("the token expired at {end}: {problem}"))
        }
        (Some(problem), Some(_)) if !progress.is_current => bad(reason_of(problem), problem.to_string()),
        (Some(problem), Some((end, left))) if left < schedule::ALARM => {
            bad(Reason::RotationFailing, format!("the token expires at {end}: {problem}"))
        }
        (None, Some((_, left))) if left.is_zero() => {
            Verdict::Waiting(Reason::Resolving, "the token is being renewed".into())
        }
        (_, Some(_)) => live(),
        (None, None) => Verdict::Waiting(Reason::Resolving, "the token is being signed".into()),
    }
}

/// Like the Secret, the identity is no problem while the token that it signed lives on.
fn identity(progress: &Progress, secret: &Verdict) -> Verdict {
    match &progress.problem {
        Some(problem @ rotation::Problem::Identity(_)) if !secret.is_good() => {
            Verdict::Bad(Problem::of_spec(identity_reason(problem), problem.to_string()))
        }
        _ if progress.is_current => Verdict::Good("the signing identity can be assumed".into()),
        _ => Verdict::Waiting(Reason::Resolving, "not assumed yet".into()),
    }
}

fn identity_reason(problem: &rotation::Problem) -> Reason {
    match problem {
        rotation::Problem::Identity(fault) => match fault.kind {
            FaultKind::Unreachable | FaultKind::Throttled => Reason::Unreachable,
            FaultKind::Denied
            | FaultKind::LacksPrivilege
            | FaultKind::TlsVerification
            | FaultKind::PluginMissing
            | FaultKind::ReadOnly
            | FaultKind::Missing
            | FaultKind::Conflict
            | FaultKind::Unmodifiable
            | FaultKind::Quota
            | FaultKind::Unreadable
            | FaultKind::Other => Reason::IdentityDenied,
        },
        rotation::Problem::ForeignSecret | rotation::Problem::Write(_) => Reason::RotationFailing,
    }
}

/// Writes it if it changed.
pub(super) async fn write(
    api: &Api<DbAuthToken>,
    object: &DbAuthToken,
    findings: &Findings,
    context: &Context,
) -> Result<(), CallError> {
    let none = Conditions::new();
    let before = object.status.as_ref();
    let before_conditions = before.map_or(&none, |status| &status.conditions);
    let generation = object.metadata.generation;
    let told = report::findings(&findings.parts, "the Secret holds a live token");
    let conditions = report::conditions(context, before_conditions, &told, generation);
    let kept = before.cloned().unwrap_or_default();
    let status = DbAuthTokenStatus {
        observed_generation: generation,
        signed_host: findings.signed_host.clone().or(kept.signed_host),
        principal_arn: findings.principal_arn.clone().or(kept.principal_arn),
        binding: Some(BindingRef { name: object.spec.secret.name.clone() }),
        conditions,
    };
    report::write(context, api, object, (before, before_conditions), (&status, &status.conditions)).await
}
