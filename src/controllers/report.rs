//! From what was found to conditions and Events.

use kube::api::Api;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::conditions::{self, Finding};
use super::context::Context;
use super::problem::Problem;
use crate::api::{ConditionType, Conditions, Reason, Truth};
use crate::k8s::call::{CallError, FIELD_MANAGER, call};
use crate::k8s::status;

/// The longest note of an Event that the apiserver takes, in bytes.
const NOTE: usize = 1_024;

/// What was found of one part of an object.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It is in place; the message says what.
    Good(String),
    /// It is in place, and somebody should know something of it.
    Notice(Reason, String),
    /// It is not.
    Bad(Problem),
    /// It is not known yet; the message says what that waits for.
    Waiting(Reason, String),
}

impl Verdict {
    pub(super) fn of<T>(result: &Result<T, Problem>, good: impl FnOnce(&T) -> String) -> Self {
        match result {
            Ok(value) => Self::Good(good(value)),
            Err(problem) => Self::Bad(problem.clone()),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        matches!(self, Self::Good(_) | Self::Notice(..))
    }

    /// What is wrong.
    pub(super) const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Bad(problem) => Some(problem),
            Self::Good(_) | Self::Notice(..) | Self::Waiting(..) => None,
        }
    }

    pub(super) fn finding(&self, kind: ConditionType) -> Finding {
        let (truth, reason, message) = match self {
            Self::Good(message) => (Truth::True, Reason::Ready, message.clone()),
            Self::Notice(reason, message) => (Truth::True, *reason, message.clone()),
            Self::Bad(problem) => (Truth::False, problem.reason, problem.message.clone()),
            Self::Waiting(reason, message) => (Truth::Unknown, *reason, message.clone()),
        };
        Finding { kind: kind.as_str(), truth, reason: reason.as_str(), message }
    }
}

/// The findings of an object: its parts, and `Ready`, which is the first part that is not good, or `all_good`.
pub(super) fn findings(parts: &[(ConditionType, Verdict)], all_good: &str) -> Vec<Finding> {
    let first_bad = parts.iter().map(|(_, verdict)| verdict).find(|verdict| matches!(verdict, Verdict::Bad(_)));
    let first_open = first_bad.or_else(|| parts.iter().map(|(_, verdict)| verdict).find(|verdict| !verdict.is_good()));
    let ready = match first_open {
        None => Verdict::Good(all_good.to_owned()).finding(ConditionType::Ready),
        // Ready is never unknown once it was looked at: a user either can log in or cannot.
        Some(verdict) => Finding { truth: Truth::False, ..verdict.finding(ConditionType::Ready) },
    };
    std::iter::once(ready).chain(parts.iter().map(|(kind, verdict)| verdict.finding(*kind))).collect()
}

/// Adds a part that only some objects of a kind have. `Ready` takes it in where nothing else is wrong.
pub(super) fn add(findings: &mut Vec<Finding>, kind: ConditionType, verdict: Option<&Verdict>) {
    let Some(verdict) = verdict else { return };
    let finding = verdict.finding(kind);
    let ready = findings.iter_mut().find(|it| it.kind == ConditionType::Ready.as_str());
    if let Some(ready) = ready.filter(|ready| ready.truth == Truth::True && !verdict.is_good()) {
        *ready = Finding { truth: Truth::False, ..verdict.finding(ConditionType::Ready) };
    }
    findings.push(finding);
}

/// Conditions of `current` brought up to `findings`.
pub(super) fn conditions(
    context: &Context,
    current: &Conditions,
    findings: &[Finding],
    generation: Option<i64>,
) -> Conditions {
    conditions::merge(current, findings, generation, context.clock.now())
}

/// Writes the status if it changed, and an Event if the reason of Ready did.
pub(super) async fn write<K, S>(
    context: &Context,
    api: &Api<K>,
    object: &K,
    (before, before_conditions): (Option<&S>, &Conditions),
    (after, after_conditions): (&S, &Conditions),
) -> Result<(), CallError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    S: Serialize + PartialEq + Sync,
{
    if !status::write(api, object, before, after).await? {
        return Ok(());
    }
    let ready = ConditionType::Ready.as_str();
    let of = |conditions: &Conditions| conditions.iter().find(|condition| condition.type_ == ready).cloned();
    let Some(now) = of(after_conditions) else { return Ok(()) };
    if of(before_conditions).is_some_and(|before| before.reason == now.reason && before.status == now.status) {
        return Ok(());
    }
    let (kind, name) = (K::kind(&()), object.name_any());
    tracing::info!(%kind, namespace = object.namespace(), name, reason = &*now.reason, message = &*now.message, "status changed");
    let type_ = if now.status == Truth::True { EventType::Normal } else { EventType::Warning };
    publish(context, object, type_, now.reason.into_owned(), &now.message).await; // one that is lost is told again by the condition
    Ok(())
}

/// Tells people of something that happened once and that no condition keeps.
pub(super) async fn warn<K>(context: &Context, object: &K, reason: Reason, note: String)
where
    K: Resource<DynamicType = ()>,
{
    let name = object.meta().name.as_deref().unwrap_or_default();
    tracing::warn!(kind = %K::kind(&()), namespace = object.meta().namespace, name, %reason, note, "told by an Event");
    publish(context, object, EventType::Warning, reason.as_str().to_owned(), &note).await;
}

async fn publish<K>(context: &Context, object: &K, type_: EventType, reason: String, note: &str)
where
    K: Resource<DynamicType = ()>,
{
    let note = Some(note[..note.floor_char_boundary(NOTE)].to_owned());
    let event = Event { type_, reason, note, action: "Reconcile".into(), secondary: None };
    // A recorder remembers its Events for minutes, to count those that come again, and walks through all of them at each: thousands of objects may
    // become ready at once. Ours tell of changes, which do not come again as they were, so each has a recorder of its own.
    let reporter = Reporter { controller: FIELD_MANAGER.into(), instance: None };
    let recorder = Recorder::new(context.client.clone(), reporter);
    if let Err(error) = call("publish Event", recorder.publish(&event, &object.object_ref(&()))).await {
        let name = object.meta().name.as_deref().unwrap_or_default();
        tracing::warn!(kind = %K::kind(&()), namespace = object.meta().namespace, name, %error, "event not published");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(reason: Reason) -> Verdict {
        Verdict::Bad(Problem::of_spec(reason, "why"))
    }

    #[test]
    fn ready_is_the_first_broken_part() {
        let parts = [
            (ConditionType::AccountReady, Verdict::Waiting(Reason::Resolving, "later".into())),
            (ConditionType::PolicyReady, bad(Reason::PrincipalNotFound)),
        ];
        let findings = findings(&parts, "all good");
        assert_eq!((findings[0].truth, findings[0].reason), (Truth::False, "PrincipalNotFound"));
        assert_eq!((findings[1].truth, findings[1].reason), (Truth::Unknown, "Resolving"));
    }

    #[test]
    fn ready_waits_for_what_is_not_known_and_is_true_when_all_is_good() {
        let waiting = [(ConditionType::AccountReady, Verdict::Waiting(Reason::Resolving, "later".into()))];
        assert_eq!((findings(&waiting, "")[0].truth, findings(&waiting, "")[0].reason), (Truth::False, "Resolving"));
        let good = [(ConditionType::AccountReady, Verdict::Good("made".into()))];
        assert_eq!(
            (findings(&good, "done")[0].truth, findings(&good, "done")[0].message.as_str()),
            (Truth::True, "done")
        );
    }
}
