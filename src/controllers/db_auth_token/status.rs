//! What a DbAuthToken tells. Nothing here changes with a rotation that succeeds: that would be a second write.

use jiff::Timestamp;
use kube::api::Api;

use crate::api::{
    BindingRef, Condition, ConditionType, Conditions, DbAuthToken, DbAuthTokenStatus, Reason, Truth, sentence,
};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::schedule;
use crate::k8s::call::CallError;
use crate::ports::FaultKind;
use crate::rotation::{self, LoginFinding, Order, Progress, Verify};

/// What was found.
pub(super) struct Findings {
    parts: Vec<(ConditionType, Verdict)>,
    /// What does not decide whether the object does its job.
    aside: Vec<(ConditionType, Verdict)>,
    /// None while it is not known: what was told last stands.
    signed: Option<Signed>,
}

/// What is signed for whom, where clients see it.
struct Signed {
    host: String,
    alias: Option<String>,
    principal_arn: Option<String>,
}

impl Findings {
    /// The order stands with the engine.
    pub(super) fn of(object: &DbAuthToken, order: &Order, progress: &Progress, now: Timestamp) -> Self {
        let curtailed = without_my_cnf(object, progress).filter(|_| progress.is_current);
        let secret = curtailed.unwrap_or_else(|| secret(progress, now));
        let identity = identity(progress, &secret);
        let mut parts = vec![
            (ConditionType::SecretReady, secret),
            (ConditionType::IdentityReady, identity),
            (ConditionType::CaReady, ca(order, now)),
        ];
        let mut aside = Vec::new();
        if order.verify != Verify::Never {
            let login = login(object, order, progress);
            // The operator may not be able to reach a database that pods can; but what the database itself refuses, it refuses pods too.
            let is_refusal = matches!(&login, Verdict::Bad(problem) if problem.reason != Reason::Unreachable);
            if is_refusal { &mut parts } else { &mut aside }.push((ConditionType::LoginVerified, login));
        }
        let signed = Signed {
            host: order.binding.connect.endpoint.to_string(),
            alias: order.binding.alias.as_ref().map(|alias| format!("{}:{}", alias.host, alias.port)),
            principal_arn: order.identity.role().map(ToString::to_string),
        };
        Self { parts, aside, signed: Some(signed) }
    }

    /// There is no order, or it could not be renewed.
    pub(super) fn withheld(problem: &Problem, progress: Option<&Progress>, now: Timestamp) -> Self {
        let published = progress.map(|progress| secret(progress, now)).filter(Verdict::is_good);
        let secret = published.unwrap_or_else(|| Verdict::Bad(problem.clone()));
        let open = || Verdict::Waiting(problem.reason, problem.message.clone());
        let about_ca = problem.reason == Reason::TlsVerificationFailed;
        let about_identity = problem.reason == Reason::IdentityDenied;
        let parts = vec![
            (ConditionType::SecretReady, secret),
            (ConditionType::IdentityReady, if about_identity { Verdict::Bad(problem.clone()) } else { open() }),
            (ConditionType::CaReady, if about_ca { Verdict::Bad(problem.clone()) } else { open() }),
        ];
        Self { parts, aside: Vec::new(), signed: None }
    }
}

/// A Secret without the file that was asked for is not what was ordered. A process that has not written it yet goes by what the last one told.
fn without_my_cnf(object: &DbAuthToken, progress: &Progress) -> Option<Verdict> {
    let reason = Reason::MyCnfTooLongForMariaDb;
    let was_told = || told(object, ConditionType::SecretReady).is_some_and(|it| it.reason == reason.as_str());
    let message =
        "the token is too long for the option files of MariaDB's client: the Secret holds everything but my.cnf";
    progress.omits_my_cnf.unwrap_or_else(was_told).then(|| Verdict::Bad(Problem::of_spec(reason, message)))
}

fn ca(order: &Order, now: Timestamp) -> Verdict {
    match &order.binding.ca {
        None => Verdict::Good(sentence::CA_OF_CLIENTS.into()),
        Some(ca) if ca.bundle.expires_soon(now) => {
            let end = ca.bundle.expires_at();
            Verdict::Notice(Reason::CaExpiresSoon, format!("the last certificate of the CA bundle expires at {end}"))
        }
        Some(_) => Verdict::Good(sentence::CA_IN_SECRET.into()),
    }
}

/// What came of the login; before this process has tried one, what the last one told of the same spec.
fn login(object: &DbAuthToken, order: &Order, progress: &Progress) -> Verdict {
    let bad = |reason, message: &str| Verdict::Bad(Problem::of_spec(reason, message));
    let Some(finding) = progress.login else {
        return match told(object, ConditionType::LoginVerified) {
            Some(told) if told.status == Truth::True => Verdict::Good(told.message.clone().into_owned()),
            _ => Verdict::Waiting(Reason::Resolving, "not tried yet".into()),
        };
    };
    let endpoint = &order.binding.connect.endpoint;
    match finding {
        LoginFinding::Verified { cipher } => {
            let cipher = cipher.map(|cipher| format!(" over TLS with {cipher}")).unwrap_or_default();
            Verdict::Good(format!("logged in at {endpoint}{cipher}"))
        }
        LoginFinding::OtherAccount => {
            bad(Reason::ShadowedAccount, "the server took the login for another account of this name")
        }
        LoginFinding::Propagating => {
            let message = "the database refused the login; what allows it may still be on its way to it";
            Verdict::Waiting(Reason::IamPropagating, message.into())
        }
        LoginFinding::Failed(kind) => bad(login_reason(kind), &format!("the login at {endpoint} failed: {kind}")),
    }
}

const fn login_reason(kind: FaultKind) -> Reason {
    match kind {
        FaultKind::Unreachable | FaultKind::Throttled | FaultKind::ReadOnly => Reason::Unreachable,
        FaultKind::Denied | FaultKind::IdentityDenied | FaultKind::LacksPrivilege => Reason::AccessDenied,
        FaultKind::TlsVerification => Reason::TlsVerificationFailed,
        FaultKind::PluginMissing => Reason::PluginMissing,
        FaultKind::Definer
        | FaultKind::Missing
        | FaultKind::Conflict
        | FaultKind::Unmodifiable
        | FaultKind::Quota
        | FaultKind::Unreadable
        | FaultKind::Other => Reason::UnexpectedError,
    }
}

/// What the object's status says of its present spec.
fn told(object: &DbAuthToken, kind: ConditionType) -> Option<&Condition> {
    let status = object.status.as_ref().filter(|status| status.observed_generation == object.metadata.generation)?;
    status.conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// A published token is good until failure to renew it becomes an alarm: a rotation that succeeds at the second try is nobody's business.
fn secret(progress: &Progress, now: Timestamp) -> Verdict {
    let live = || Verdict::Good(sentence::TOKEN_LIVES.into());
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
        Some(problem @ (rotation::Problem::Identity(_) | rotation::Problem::SessionTooShort)) if !secret.is_good() => {
            Verdict::Bad(Problem::of_spec(reason_of(problem), problem.to_string()))
        }
        _ if progress.is_current => Verdict::Good(sentence::IDENTITY_ASSUMED.into()),
        _ => Verdict::Waiting(Reason::Resolving, "not assumed yet".into()),
    }
}

fn reason_of(problem: &rotation::Problem) -> Reason {
    match problem {
        rotation::Problem::Identity(fault) if matches!(fault.kind, FaultKind::Unreachable | FaultKind::Throttled) => {
            Reason::Unreachable
        }
        rotation::Problem::Identity(_) => Reason::IdentityDenied,
        rotation::Problem::SessionTooShort => Reason::SessionTooShort,
        rotation::Problem::ClockSkew => Reason::ClockSkew,
        rotation::Problem::ForeignSecret => Reason::ForeignSecret,
        rotation::Problem::Write(_) | rotation::Problem::Forbidden(_) => Reason::RotationFailing,
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
    let mut told = report::findings(&findings.parts, sentence::TOKEN_LIVES);
    told.extend(findings.aside.iter().map(|(kind, verdict)| verdict.finding(*kind)));
    let conditions = report::conditions(context, before_conditions, &told, generation);
    let kept = before.cloned().unwrap_or_default();
    let (signed_host, alias, principal_arn) = match &findings.signed {
        Some(Signed { host, alias, principal_arn }) => (Some(host.clone()), alias.clone(), principal_arn.clone()),
        None => (kept.signed_host, kept.alias, kept.principal_arn),
    };
    let status = DbAuthTokenStatus {
        observed_generation: generation,
        signed_host,
        alias,
        principal_arn,
        binding: Some(BindingRef { name: object.spec.secret.name.clone() }),
        conditions,
    };
    report::write(context, api, object, (before, before_conditions), (&status, &status.conditions)).await
}
