//! Undoes an IamDbUser: policies first, then the accounts, as the deletion policy says. What is gone already is done.

use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};

use super::{desired, status};
use crate::api::{DbServer, DeletionPolicy, IamDbUser, Reason, UnreachableAction};
use crate::controllers::context::Context;
use crate::controllers::db_server;
use crate::controllers::problem::Problem;
use crate::controllers::run::Outcome;
use crate::controllers::server::{self, Server};
use crate::domain::account::{Removal, plan_removal};
use crate::domain::names::Username;
use crate::domain::schedule;
use crate::k8s::status::call;

/// How long deletion tries to reach a database before it leaves the account behind, where the object says nothing.
const ORPHAN_AFTER: Duration = Duration::from_secs(3_600);

pub(super) async fn remove(api: &Api<IamDbUser>, object: &IamDbUser, context: &Context) -> Outcome {
    // Without a server that was resolved once, nothing was ever made.
    let Some((definition, server)) = known_server(object, context) else {
        return Ok(done(object, context));
    };
    let management = desired::management(object);
    if management.as_ref().is_ok_and(|managed| managed.policy)
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

fn known_server(object: &IamDbUser, context: &Context) -> Option<(std::sync::Arc<DbServer>, Server)> {
    let definition = server::find(context, &object.spec.server_ref.name).ok()?;
    let server = Server::of(&definition)?;
    Some((definition, server))
}

fn done(object: &IamDbUser, context: &Context) -> Action {
    context.entitlements.forget(object);
    context.refusals.over(&object.uid().unwrap_or_default());
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
    let owner = desired::owner(object, server, &context.settings.cluster_id);
    let (facts, mut session) = db_server::open(definition, server, context).await?;
    let observed = session.observe(&username).await?;
    let steps = plan_removal(&username, &owner, &observed, &facts, removal);
    for step in &steps {
        session.apply(&username, step).await?;
    }
    session.close().await;
    if !steps.is_empty() {
        tracing::info!(%username, server = owner.server, ?removal, "account removed");
    }
    Ok(())
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
    let name = object.name_any();
    tracing::warn!(namespace = object.namespace(), name, %problem, "account left behind in the database");
    let event = Event {
        type_: EventType::Warning,
        reason: problem.reason.as_str().to_owned(),
        note: Some(format!(
            "the account {} was left behind in the database: {}",
            object.spec.username, problem.message
        )),
        action: "Delete".into(),
        secondary: None,
    };
    let about = object.object_ref(&());
    if let Err(error) = call("publish Event", context.recorder.publish(&event, &about)).await {
        tracing::warn!(name, %error, "event not published");
    }
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
