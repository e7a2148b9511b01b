//! Undoes an IamDbUser: policies first, then the accounts, as the deletion policy says. What is gone already is done.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;

use super::account::sessions_left;
use super::desk::Chair;
use super::resolve::known_server;
use super::{desired, status};
use crate::api::{DbServer, DeletionPolicy, IamDbUser, Mode, Reason, UnreachableAction};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report;
use crate::controllers::run::Outcome;
use crate::controllers::server::Server;
use crate::domain::account::{AccountStep, Question, Removal, Undoing, plan_removal};
use crate::domain::names::{HostPattern, Username};
use crate::domain::schedule;
use crate::ports::FaultKind;

/// How long deletion tries to reach a database before it leaves the account behind, where the object says nothing.
const ORPHAN_AFTER: Duration = Duration::from_secs(3_600);

pub(super) async fn remove(api: &Api<IamDbUser>, object: &IamDbUser, context: &Context) -> Outcome {
    // Without a server that was resolved once, nothing was ever made.
    let Some((definition, server)) = known_server(object, context) else {
        return Ok(done(object, context));
    };
    let management = desired::management(object);
    if desired::has_policies(object)
        && let Err(problem) = context.entitlements.withdraw(object, context).await
    {
        return blocked(api, object, problem, "policies are taken off before the account goes", context).await;
    }
    let removal = match desired::deletion_policy(object, &definition) {
        DeletionPolicy::Drop => Removal::Drop,
        DeletionPolicy::Lock => Removal::Lock,
        DeletionPolicy::Retain | DeletionPolicy::Unknown => return Ok(done(object, context)),
    };
    if !management.is_ok_and(|managed| managed.account) {
        return Ok(done(object, context)); // nobody touches what somebody else makes
    }
    if definition.spec.mode != Mode::Enforce {
        let note =
            format!("the account {} is left as it is, since the DbServer's mode is Observe", object.spec.username);
        report::warn(context, object, Reason::Drifted, note).await;
        return Ok(done(object, context));
    }
    match remove_accounts(object, &definition, &server, removal, context).await {
        Ok(()) => Ok(done(object, context)),
        Err(problem) if may_orphan(object, context.clock.now()) => {
            tell_orphan(object, &problem, context).await;
            Ok(done(object, context))
        }
        Err(problem) => {
            let waits = match object.spec.on_unreachable.as_ref().map(|on| on.action) {
                None | Some(UnreachableAction::Orphan) => "it is left behind after a while, see spec.onUnreachable",
                Some(UnreachableAction::Wait | UnreachableAction::Unknown) => {
                    "deletion waits without end, see spec.onUnreachable"
                }
            };
            blocked(api, object, problem, waits, context).await
        }
    }
}

fn done(object: &IamDbUser, context: &Context) -> Action {
    context.entitlements.forget(object);
    let uid = object.uid().unwrap_or_default();
    context.refusals.over(&uid);
    context.desks.judgements.forget(&uid);
    Action::await_change()
}

async fn blocked(
    api: &Api<IamDbUser>,
    object: &IamDbUser,
    problem: Problem,
    waits: &str,
    context: &Context,
) -> Outcome {
    let message = format!("deletion waits ({}): {}; {waits}", problem.reason, problem.message);
    let blocked = Problem { reason: Reason::Deleting, message, ..problem };
    status::write(api, object, &status::Findings::unresolved(blocked.clone()), context).await?;
    Err(Problem::passing(blocked.reason, blocked.message))
}

async fn remove_accounts(
    object: &IamDbUser,
    definition: &DbServer,
    server: &Server,
    removal: Removal,
    context: &Context,
) -> Result<(), Problem> {
    // A name that never parsed never became an account.
    let Ok(username) = Username::parse(&object.spec.username) else {
        return Ok(());
    };
    let undoing = Undoing {
        username,
        claimant: desired::claimant(object, definition, server, &context.settings.cluster_id),
        removal,
        drops_adopted: desired::drops_adopted(object),
        ends_sessions: object.spec.end_sessions,
    };
    let mut chair = context.desks.at(&definition.name_any(), context).sit().await;
    let outcome = at_desk(&mut chair, &undoing, definition, server, context).await;
    chair.leave(outcome.is_ok()).await;
    for (reason, note) in outcome? {
        report::warn(context, object, reason, note).await;
    }
    Ok(())
}

/// Removes what is there, and returns what people are to be told.
async fn at_desk(
    chair: &mut Chair,
    undoing: &Undoing,
    definition: &DbServer,
    server: &Server,
    context: &Context,
) -> Result<Vec<(Reason, String)>, Problem> {
    let username = &undoing.username;
    let facts = chair.facts(definition, server, context).await?;
    let mut catalogue = chair.observe(&Question::of(username, &BTreeSet::new())).await?;
    let mut plan = plan_removal(undoing, &catalogue, &facts);
    if plan.steps.iter().any(AccountStep::makes_or_drops) {
        catalogue.definers = Some(chair.definers().await?);
        plan = plan_removal(undoing, &catalogue, &facts);
    }
    let mut warnings: Vec<_> = plan.definers.iter().map(|host| locked_instead(username, host)).collect();
    for step in &plan.steps {
        match chair.apply(username, step).await {
            Ok(()) => {}
            Err(fault) if matches!(step, AccountStep::EndSessions { .. }) => {
                warnings.push(sessions_left(username, step, &fault));
            }
            // A login that may not see who is a DEFINER is told by the server.
            Err(fault) if fault.kind == FaultKind::Definer => {
                chair.apply(username, &AccountStep::Lock { host: step.host().clone() }).await?;
                warnings.push(locked_instead(username, step.host()));
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    if !plan.steps.is_empty() {
        let (server, removal) = (&undoing.claimant.owner.server, undoing.removal);
        tracing::info!(%username, server, ?removal, "account removed");
    }
    Ok(warnings)
}

fn locked_instead(username: &Username, host: &HostPattern) -> (Reason, String) {
    let note = format!("'{username}'@'{host}' is the DEFINER of something: it is locked and stays, with its mark");
    (Reason::ReferencedAsDefiner, note)
}

/// Whether the time is over in which deletion waits for the database.
fn may_orphan(object: &IamDbUser, now: Timestamp) -> bool {
    let on = object.spec.on_unreachable.as_ref();
    let action = on.map_or(UnreachableAction::Orphan, |on| on.action);
    let after = on.and_then(|on| on.after.as_ref()).map_or(ORPHAN_AFTER, crate::api::Duration::value);
    let since = object.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    action == UnreachableAction::Orphan && since.is_some_and(|since| schedule::plus(since, after) <= now)
}

async fn tell_orphan(object: &IamDbUser, problem: &Problem, context: &Context) {
    let note = format!("the account {} was left behind in the database: {}", object.spec.username, problem.message);
    report::warn(context, object, problem.reason, note).await;
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn deleted(on_unreachable: &serde_json::Value) -> IamDbUser {
        let mut user: IamDbUser = serde_json::from_value(serde_json::json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "IamDbUser", "metadata": {"name": "u"},
            "spec": {"serverRef": {"name": "s"}, "username": "app", "onUnreachable": on_unreachable}
        }))
        .unwrap();
        user.metadata.deletion_timestamp = Some(Time(Timestamp::from_second(1_000).unwrap()));
        user
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn by_default_an_account_is_left_behind_after_an_hour() {
        let user = deleted(&serde_json::Value::Null);
        assert!(!may_orphan(&user, at(1_000 + 3_599)));
        assert!(may_orphan(&user, at(1_000 + 3_600)));
    }

    #[test]
    fn the_object_may_say_sooner_or_never() {
        let soon = deleted(&serde_json::json!({"action": "Orphan", "after": "5s"}));
        assert!(!may_orphan(&soon, at(1_004)));
        assert!(may_orphan(&soon, at(1_005)));
        let never = deleted(&serde_json::json!({"action": "Wait", "after": "5s"}));
        assert!(!may_orphan(&never, at(9_999_999)));
        let unknown = deleted(&serde_json::json!({"action": "Explode", "after": "5s"}));
        assert!(!may_orphan(&unknown, at(9_999_999)), "an unknown choice is the careful one");
    }
}
