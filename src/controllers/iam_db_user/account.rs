//! Brings the accounts of an IamDbUser to what they shall be.

use std::time::Instant;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::desk::{Chair, Desk, Survey, Told};
use super::judgements::Need;
use super::resolve::{self, Inputs, known_server};
use crate::api::{ConditionType, IamDbUser, Manager, Mode, Reason, Scope};
use crate::controllers::conditions;
use crate::controllers::context::Context;
use crate::controllers::problem::{Problem, Retry};
use crate::controllers::report;
use crate::controllers::server::Server;
use crate::controllers::wakes::own_state;
use crate::domain::account::{AccountStep, Catalogue, DesiredUser, Question, Refusal, plan, plan_withdrawal};
use crate::domain::engine::ServerFacts;
use crate::domain::ownership::Owner;
use crate::k8s::feed::digest;
use crate::ports::FaultKind;

/// What became of the account, and of its grants. Grants are open while there is no account.
pub(super) struct Converged {
    pub(super) account: Result<Maker, Problem>,
    pub(super) grants: Option<Result<Maker, Problem>>,
    /// What differs from the spec and was left so.
    pub(super) drift: Vec<String>,
    /// What people are to be told once.
    pub(super) warnings: Vec<Told>,
}

/// Who made what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// This operator.
    Operator,
    /// Somebody else, as the object says.
    Other,
}

impl Converged {
    const fn failed(problem: Problem) -> Self {
        Self { account: Err(problem), grants: None, drift: Vec::new(), warnings: Vec::new() }
    }

    const fn made(grants: Result<Maker, Problem>) -> Self {
        Self { account: Ok(Maker::Operator), grants: Some(grants), drift: Vec::new(), warnings: Vec::new() }
    }

    /// What is not done where the DbServer's mode is Observe.
    fn drifted(steps: &[AccountStep]) -> Self {
        let differs = |is_part: &dyn Fn(&AccountStep) -> bool| {
            let steps: Vec<_> = steps.iter().filter(|step| is_part(step)).collect();
            let message = || {
                format!("{} changes are not made, since the DbServer's mode is Observe: see status.drift", steps.len())
            };
            if steps.is_empty() { Ok(Maker::Operator) } else { Err(Problem::standing(Reason::Drifted, message())) }
        };
        let mut drift: Vec<String> = steps.iter().map(ToString::to_string).collect();
        drift.dedup();
        Self {
            account: differs(&|step| !step.is_grant()),
            grants: Some(differs(&AccountStep::is_grant)),
            drift,
            warnings: Vec::new(),
        }
    }
}

/// Somebody else makes the account: it is taken for granted, unless another object here speaks for it. That one alone says who may use it.
pub(super) fn external(object: &IamDbUser, server: &Server, context: &Context) -> Converged {
    let owner = context.feeds.users_called(&object.spec.username).find(|other| {
        other.metadata.uid != object.metadata.uid
            && reaches(object.spec.scope, server, other, context)
            && speaks(other, || resolve::is_admitted(other, context))
    });
    match owner {
        Some(owner) => {
            let (namespace, name) = (owner.namespace().unwrap_or_default(), owner.name_any());
            let message = format!("the account {} is managed by IamDbUser {namespace}/{name}", object.spec.username);
            Converged::failed(Problem::standing(Reason::Conflict, message))
        }
        None => Converged { account: Ok(Maker::Other), ..Converged::made(Ok(Maker::Other)) },
    }
}

/// Whether an object speaks for the account of its name. One that may have made it does until it is gone, and the account with it: the rule that
/// admitted it may be narrowed, deletion may wait. One without an account does while a rule admits it: else it could keep a name from everybody.
fn speaks(object: &IamDbUser, is_admitted: impl FnOnce() -> bool) -> bool {
    let may_have_made_it = object.status.as_ref().is_some_and(|status| !status.accounts.is_empty());
    let may_make_it = || object.metadata.deletion_timestamp.is_none() && is_admitted();
    !leaves_account_to_others(object) && (may_have_made_it || may_make_it())
}

/// Whether the object says that somebody else makes its account.
pub(super) fn leaves_account_to_others(object: &IamDbUser) -> bool {
    object.spec.management.as_ref().is_some_and(|said| said.account == Manager::External)
}

/// Whether a policy of this scope on `server` would also open the account of `other`.
fn reaches(scope: Scope, server: &Server, other: &IamDbUser, context: &Context) -> bool {
    known_server(other, context).is_some_and(|(_, theirs)| {
        theirs.resource_id == server.resource_id
            || (scope == Scope::AccountRegion
                && (&theirs.account_id, &theirs.region) == (&server.account_id, &server.region))
    })
}

/// Looks, and where something is to be done sits down at the desk, looks once more and does it.
pub(super) async fn converge(
    object: &IamDbUser,
    inputs: &Inputs,
    desired: &DesiredUser,
    context: &Context,
) -> Converged {
    let judgements = &context.desks.judgements;
    let (uid, fingerprint) = (object.uid().unwrap_or_default(), digest(&(own_state(object), desired)));
    let need = judgements.need(&uid, fingerprint, was_well(object), Instant::now());
    let desk = context.desks.at(&inputs.object.name_any(), context);
    if let Some(survey) = desk.survey(need, context)
        && let Some(converged) = judge(desired, inputs.object.spec.mode, &survey, context)
    {
        judgements.judged(&uid, fingerprint, survey.at);
        return converged;
    }
    let mut chair = desk.clone().sit().await;
    let outcome = at_desk(&mut chair, need, &desk, inputs, desired, context).await;
    chair.leave(outcome.is_ok()).await;
    match outcome {
        Ok((at, converged)) => {
            for (reason, note) in &converged.warnings {
                report::warn(context, object, *reason, note.clone()).await;
            }
            // What failed for the moment is looked at with fresh eyes; what waits for people can wait for a survey.
            let passes =
                |it: &Result<Maker, Problem>| it.as_ref().is_err_and(|problem| problem.retry == Retry::Backoff);
            if passes(&converged.account) || converged.grants.as_ref().is_some_and(passes) {
                judgements.forget(&uid);
            } else {
                judgements.judged(&uid, fingerprint, at);
            }
            converged
        }
        Err(problem) => {
            judgements.forget(&uid);
            Converged::failed(problem)
        }
    }
}

/// Whether the status says that the account was in order, for this very spec.
fn was_well(object: &IamDbUser) -> bool {
    let status = object.status.as_ref();
    let is_current = status.is_some_and(|status| status.observed_generation == object.metadata.generation);
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_true = |kind: ConditionType| conditions::is_true(conditions, kind.as_str());
    is_current && is_true(ConditionType::AccountReady) && is_true(ConditionType::GrantsReady)
}

/// What a survey says of a user, if nothing is to be done. Refusals are told by it too: who is refused is not touched.
fn judge(desired: &DesiredUser, mode: Mode, survey: &Survey, context: &Context) -> Option<Converged> {
    match planned(desired, &survey.catalogue, &survey.facts, context) {
        Ok(steps) if steps.is_empty() => Some(Converged::made(Ok(Maker::Operator))),
        Ok(steps) => (mode != Mode::Enforce).then(|| Converged::drifted(&steps)),
        Err(_)
            if mode == Mode::Enforce && !withdrawal(desired, &survey.catalogue, &survey.facts, context).is_empty() =>
        {
            None
        }
        Err(refusal) => Some(Converged::failed(refusal.into())),
    }
}

/// Whether the IamDbUser that a mark names still exists. Of a namespace that is not watched nobody knows.
fn is_alive(context: &Context) -> impl Fn(&Owner) -> bool {
    let exists = |mark: &Owner| {
        let user = context.feeds.users.store().get(&ObjectRef::new(&mark.name).within(&mark.namespace));
        user.is_some_and(|user| user.metadata.uid.as_deref() == Some(&mark.uid))
    };
    move |mark| !context.settings.reach.holds(&mark.namespace) || exists(mark)
}

fn withdrawal(
    desired: &DesiredUser,
    catalogue: &Catalogue,
    facts: &ServerFacts,
    context: &Context,
) -> Vec<AccountStep> {
    plan_withdrawal(desired, catalogue, facts, is_alive(context))
}

fn planned(
    desired: &DesiredUser,
    catalogue: &Catalogue,
    facts: &ServerFacts,
    context: &Context,
) -> Result<Vec<AccountStep>, Refusal> {
    plan(desired, catalogue, facts, is_alive(context))
}

/// Without the plugin an account cannot be made. It can be taken away, so deletion does not ask for it.
fn with_plugin(facts: ServerFacts) -> Result<ServerFacts, Problem> {
    let message = "the server has not loaded AWSAuthenticationPlugin (1524): is IAM authentication on?";
    if facts.plugin_active { Ok(facts) } else { Err(Problem::passing(Reason::PluginMissing, message)) }
}

async fn at_desk(
    chair: &mut Chair,
    need: Need,
    desk: &Desk,
    inputs: &Inputs,
    desired: &DesiredUser,
    context: &Context,
) -> Result<(Instant, Converged), Problem> {
    // Whoever waited may find that another has read a survey meanwhile.
    let mut survey = desk.survey(need, context);
    if survey.is_none() && !need.is_alone {
        with_plugin(chair.facts(&inputs.object, &inputs.server, context).await?)?;
        survey = Some(chair.read_survey(&inputs.object.name_any(), context).await?);
    }
    let mode = inputs.object.spec.mode;
    if let Some(survey) = survey
        && let Some(converged) = judge(desired, mode, &survey, context)
    {
        return Ok((survey.at, converged));
    }
    let facts = with_plugin(chair.facts(&inputs.object, &inputs.server, context).await?)?;
    let at = Instant::now();
    let mut catalogue = chair.observe(&Question::of(&desired.username, &desired.roles)).await?;
    let mut steps = planned(desired, &catalogue, &facts, context);
    if steps.as_ref().is_ok_and(|steps| steps.iter().any(AccountStep::makes_or_drops)) {
        catalogue.definers = Some(chair.definers().await?);
        steps = planned(desired, &catalogue, &facts, context);
    }
    let converged = match steps {
        Err(refusal) => {
            let withdrawn = withdrawal(desired, &catalogue, &facts, context);
            let left = if mode == Mode::Enforce { apply(desired, &withdrawn, chair).await?.grants } else { None };
            // What could not be taken off is told beside the refusal, and tried again.
            Converged { grants: left.filter(Result::is_err), ..Converged::failed(refusal.into()) }
        }
        Ok(steps) if mode == Mode::Enforce => apply(desired, &steps, chair).await?,
        Ok(steps) => Converged::drifted(&steps),
    };
    Ok((at, converged))
}

/// Applies the steps. A grant that the server refuses (its table may be gone) holds up no other step, above all no REVOKE: the first such refusal is
/// told at the end.
async fn apply(desired: &DesiredUser, steps: &[AccountStep], chair: &mut Chair) -> Result<Converged, Problem> {
    let (mut first_refusal, mut warnings) = (None, Vec::new());
    for step in steps {
        match chair.apply(&desired.username, step).await {
            Ok(told) => warnings.extend(told),
            Err(fault) if step.is_grant() && fault.kind != FaultKind::Unreachable => {
                first_refusal.get_or_insert(fault);
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    if !steps.is_empty() {
        let server = &desired.claimant.owner.server;
        tracing::info!(username = %desired.username, server, steps = steps.len(), "account changed");
    }
    let grants = first_refusal.map_or(Ok(Maker::Operator), |fault| {
        let is_missing = fault.kind == FaultKind::Missing;
        let problem = Problem::from(fault);
        Err(if is_missing { problem.because(Reason::ObjectMissing) } else { problem })
    });
    Ok(Converged { warnings, ..Converged::made(grants) })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    /// An object with this management of its account, and these accounts in its status.
    fn user(management: &str, accounts: &[&str]) -> IamDbUser {
        let accounts: Vec<_> = accounts.iter().map(|host| json!({"host": host, "state": "Pending"})).collect();
        serde_json::from_value(json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "IamDbUser", "metadata": {"name": "u"},
            "spec": {"serverRef": {"name": "s"}, "username": "app", "management": {"account": management}},
            "status": {"accounts": accounts},
        }))
        .unwrap()
    }

    fn deleted(mut user: IamDbUser) -> IamDbUser {
        user.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        user
    }

    #[test]
    fn who_has_made_an_account_speaks_for_it_until_it_is_gone_with_it() {
        for management in ["Managed", "Somebody"] {
            let maker = user(management, &["%"]);
            assert!(speaks(&maker, || false), "refused, the account is still there");
            assert!(speaks(&deleted(maker), || false), "and while deletion waits");
        }
    }

    #[test]
    fn who_has_no_account_speaks_for_the_name_while_it_may_have_one() {
        let hopeful = user("Managed", &[]);
        assert!(speaks(&hopeful, || true));
        assert!(!speaks(&hopeful, || false), "it keeps a name from nobody");
        assert!(!speaks(&deleted(hopeful), || true));
    }

    #[test]
    fn of_two_who_leave_the_account_to_others_neither_speaks_for_it() {
        assert!(!speaks(&user("External", &["%"]), || true));
    }
}
