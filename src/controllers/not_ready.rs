//! Tells how many objects are not ready, by kind and reason. What waits for a change of an object fails in no attempt, so nobody else counts it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::api::{ConditionType, Conditions, Reason, Truth};

/// How often all objects are counted.
const TICK: Duration = Duration::from_secs(30);

/// How many, by kind and reason.
type Counts = BTreeMap<(&'static str, &'static str), i64>;

/// Works until `stop`.
pub(super) async fn tell(context: &Context, stop: &CancellationToken) {
    let feeds = &context.feeds;
    let mut counts = Counts::new();
    while !stop.is_cancelled() {
        // What there was and is no more is told as nothing, not left out.
        for count in counts.values_mut() {
            *count = 0;
        }
        count("DbServer", &feeds.servers.store().state(), |it| Some(&it.status.as_ref()?.conditions), &mut counts);
        count("IamDbUser", &feeds.users.store().state(), |it| Some(&it.status.as_ref()?.conditions), &mut counts);
        count("DbAuthToken", &feeds.tokens.store().state(), |it| Some(&it.status.as_ref()?.conditions), &mut counts);
        context.metrics.not_ready(&counts);
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(TICK) => {}
        }
    }
}

fn count<K>(
    kind: &'static str,
    objects: &[Arc<K>],
    conditions: impl Fn(&K) -> Option<&Conditions>,
    counts: &mut Counts,
) {
    let reasons = objects.iter().filter_map(|object| why_not_ready(conditions(object)?));
    for reason in reasons.filter(|reason| *reason != Reason::Suspended) {
        *counts.entry((kind, reason.as_str())).or_default() += 1;
    }
}

/// The reason of a Ready that is False. A word that is not ours is another version's, until the object is looked at.
fn why_not_ready(conditions: &Conditions) -> Option<Reason> {
    let ready = conditions.iter().find(|it| it.type_ == ConditionType::Ready.as_str() && it.status == Truth::False)?;
    let word = Reason::ALL.iter().copied().find(|reason| reason.as_str() == ready.reason);
    Some(word.unwrap_or(Reason::UnexpectedError))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::IamDbUser;

    fn user(condition: &str, status: &str, reason: &str) -> Arc<IamDbUser> {
        let conditions = json!([{"type": condition, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let user = json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "IamDbUser", "metadata": {"name": "u"},
            "spec": {"serverRef": {"name": "orders"}, "username": "app"}, "status": {"conditions": conditions},
        });
        Arc::new(serde_json::from_value(user).unwrap())
    }

    #[test]
    fn what_is_not_ready_is_counted_by_reason() {
        let mut new = IamDbUser::clone(&user("Ready", "False", "NotAllowed"));
        new.status = None;
        let users = [
            user("Ready", "False", "NotAllowed"),
            user("Ready", "False", "NotAllowed"),
            user("Ready", "False", "AWordOfTomorrow"),
            user("Ready", "False", "Suspended"),
            user("Ready", "True", "Ready"),
            user("PolicyReady", "False", "Drifted"),
            Arc::new(new),
        ];
        let mut counts = Counts::new();
        count("IamDbUser", &users, |it| Some(&it.status.as_ref()?.conditions), &mut counts);
        let expected = [(("IamDbUser", "NotAllowed"), 2), (("IamDbUser", "UnexpectedError"), 1)];
        assert_eq!(counts, expected.into());
    }
}
