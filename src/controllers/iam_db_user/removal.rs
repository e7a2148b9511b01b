//! Undoes an IamDbUser: policies first, then the accounts, as the deletion policy says. What is gone already is done.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;

use super::desk::{Chair, Told, locked_instead};
use super::resolve::known_server;
use super::{desired, status};
use crate::api::{DbServer, DeletionPolicy, IamDbUser, Mode, Reason, UnreachableAction};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report;
use crate::controllers::run::Outcome;
use crate::controllers::server::{self, Server};
use crate::domain::account::{AccountStep, Question, Removal, Undoing, plan_removal};
use crate::domain::names::Username;
use crate::domain::schedule;

/// How long deletion tries to reach a database before it leaves the account behind, where the object says nothing.
const ORPHAN_AFTER: Duration = Duration::from_secs(3_600);

/// How long it has to fail under the eyes of this process: what passes when it comes after a while, a failover say, is no reason.
const LEAST_TRIED: Duration = Duration::from_mins(5);

pub(super) async fn remove(api: &Api<IamDbUser>, object: &IamDbUser, context: &Context) -> Outcome {
    let Some((definition, server)) = known_server(object, context) else {
        tell_left(object, context).await;
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
        Err(problem) => {
            let now = context.clock.now();
            if may_orphan(object, context.refusals.since(&failing(object), now), now) {
                tell_orphan(object, &problem, context).await;
                return Ok(done(object, context));
            }
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
    context.refusals.over(&failing(object));
    context.desks.judgements.forget(&uid);
    Action::await_change()
}

/// What it is remembered by since when the removal of an object's accounts fails.
fn failing(object: &IamDbUser) -> String {
    format!("{}/accounts", object.uid().unwrap_or_default())
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
) -> Result<Vec<Told>, Problem> {
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
        warnings.extend(chair.apply(username, step).await?);
    }
    if !plan.steps.is_empty() {
        let (server, removal) = (&undoing.claimant.owner.server, undoing.removal);
        tracing::info!(%username, server, ?removal, "account removed");
    }
    Ok(warnings)
}

/// Whether the time is over in which deletion waits for the database, that has failed since `failing_since`.
fn may_orphan(object: &IamDbUser, failing_since: Timestamp, now: Timestamp) -> bool {
    let on = object.spec.on_unreachable.as_ref();
    let action = on.map_or(UnreachableAction::Orphan, |on| on.action);
    let after = on.and_then(|on| on.after.as_ref()).map_or(ORPHAN_AFTER, crate::api::Duration::value);
    let since = object.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let is_over = |since, span| schedule::plus(since, span) <= now;
    action == UnreachableAction::Orphan
        && since.is_some_and(|since| is_over(since, after))
        && is_over(failing_since, after.min(LEAST_TRIED))
}

/// Without its server nothing can be undone. Where nothing was ever made, there is nothing to tell.
async fn tell_left(object: &IamDbUser, context: &Context) {
    let found = server::find(context, &object.spec.server_ref.name).and_then(|found| server::resolved(&found));
    if let (Err(problem), Some(left)) = (found, left(object)) {
        report::warn(context, object, problem.reason, format!("{}; left behind are {left}", problem.message)).await;
    }
}

/// What may have been made for an object, by its status.
fn left(object: &IamDbUser) -> Option<String> {
    let status = object.status.as_ref()?;
    let accounts = status.accounts.iter().map(|it| format!("the account '{}'@'{}'", object.spec.username, it.host));
    let policies = status.attachments.iter().map(|it| format!("the policies of {}", it.principal));
    let left: Vec<String> = accounts.chain(policies).collect();
    (!left.is_empty()).then(|| left.join(", "))
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
        assert!(!may_orphan(&user, at(1_000), at(1_000 + 3_599)));
        assert!(may_orphan(&user, at(1_000), at(1_000 + 3_600)));
    }

    #[test]
    fn whoever_comes_late_tries_for_a_while_before_an_account_is_left_behind() {
        let user = deleted(&serde_json::Value::Null);
        let came = 1_000 + 90_000;
        assert!(!may_orphan(&user, at(came), at(came)), "its first failure");
        assert!(!may_orphan(&user, at(came), at(came + 299)));
        assert!(may_orphan(&user, at(came), at(came + 300)));
        let soon = deleted(&serde_json::json!({"after": "5s"}));
        assert!(!may_orphan(&soon, at(came), at(came + 4)));
        assert!(may_orphan(&soon, at(came), at(came + 5)), "as the object says");
    }

    #[test]
    fn what_is_left_without_a_server_is_told_by_name() {
        let mut user = deleted(&serde_json::Value::Null);
        assert_eq!(left(&user), None);
        user.status = serde_json::from_value(serde_json::json!({
            "accounts": [{"host": "%", "state": "Ready"}],
            "attachments": [{"principal": "arn:aws:iam::123456789012:role/app", "state": "Attached"}],
        }))
        .unwrap();
        let told = left(&user).unwrap();
        assert_eq!(told, "the account 'app'@'%', the policies of arn:aws:iam::123456789012:role/app");
        user.status = Some(crate::api::IamDbUserStatus::default());
        assert_eq!(left(&user), None, "nothing was ever made");
    }

    #[test]
    fn the_object_may_say_sooner_or_never() {
        let soon = deleted(&serde_json::json!({"action": "Orphan", "after": "5s"}));
        assert!(!may_orphan(&soon, at(1_000), at(1_004)));
        assert!(may_orphan(&soon, at(1_000), at(1_005)));
        let never = deleted(&serde_json::json!({"action": "Wait", "after": "5s"}));
        assert!(!may_orphan(&never, at(1_000), at(9_999_999)));
        let unknown = deleted(&serde_json::json!({"action": "Explode", "after": "5s"}));
        assert!(!may_orphan(&unknown, at(1_000), at(9_999_999)), "an unknown choice is the careful one");
    }
}
