//! What became of policies, as a status says it. Pure.

use std::collections::BTreeMap;

use super::wants::Wants;
use super::{Granted, Parted, rendered};
use crate::api::{AttachmentState, AttachmentStatus, PolicyStatus, Reason};
use crate::controllers::problem::Problem;
use crate::controllers::report::Verdict;
use crate::domain::policy::PolicyHome;

/// How a rendered policy stands in the status.
const CONFIG_MAP: &str = "configmap/";

/// The condition: the first thing that is wrong, else what was done.
pub(in crate::controllers) fn verdict(granted: &Granted) -> Verdict {
    let rendered = granted.rendered.iter().filter_map(|result| result.as_ref().err());
    let attached = granted.attachments.iter().filter_map(|it| it.result.as_ref().err());
    let drift = granted.attachments.iter().flat_map(|it| &it.drift).next();
    if let Some(problem) = Problem::of_several(rendered.chain(attached)) {
        return Verdict::Bad(problem);
    }
    if let Some(drift) = drift {
        return Verdict::Bad(Problem::standing(Reason::Drifted, drift.clone()));
    }
    Verdict::Good(match &granted.rendered {
        Some(Ok(name)) => format!("rendered into ConfigMap {name}; nothing is attached (DbServer spec.policy.mode)"),
        _ => format!("{} principals may connect", granted.attachments.len()),
    })
}

/// The policies.
pub(in crate::controllers) fn policies(granted: &Granted) -> Vec<PolicyStatus> {
    let written = granted.attachments.iter().filter_map(|it| it.result.as_ref().ok()).flatten().cloned();
    let rendered = granted.rendered.iter().flatten().map(|name| format!("{CONFIG_MAP}{name}"));
    let mut all: Vec<String> = written.chain(rendered).collect();
    all.sort();
    all.dedup();
    all.into_iter().map(|arn| PolicyStatus { arn }).collect()
}

/// Whether the status says that a ConfigMap was rendered for an object of this name.
pub(super) fn says_rendered(policies: &[PolicyStatus], object: &str) -> bool {
    let name = format!("{CONFIG_MAP}{}", rendered::name_of(object));
    policies.iter().any(|policy| policy.arn == name)
}

/// What is left of policies when all that were attached are gone: those that were only rendered.
pub(in crate::controllers) fn unattached(policies: Vec<PolicyStatus>) -> Vec<PolicyStatus> {
    policies.into_iter().filter(|policy| policy.arn.starts_with(CONFIG_MAP)).collect()
}

/// Every principal that is wanted, attached or not, and every former one that could not be taken off.
pub(in crate::controllers) fn state(granted: &Granted) -> Vec<AttachmentStatus> {
    let of = |it: &super::Attachment| {
        let state = if it.result.is_ok() { AttachmentState::Attached } else { AttachmentState::Pending };
        AttachmentStatus { principal: it.home.principal.to_string(), path: it.home.place.to_string(), state }
    };
    sorted(granted.attachments.iter().map(of))
}

/// What the status remembers, and what is about to be attached: an entry leaves it only when the policy is known to be off that principal.
pub(in crate::controllers) fn intended(remembered: &[AttachmentStatus], wants: &Wants) -> Vec<AttachmentStatus> {
    sorted(wants.written().map(pending).chain(remembered.iter().cloned()))
}

/// What is remembered, but for the homes that were left; and those that could not be.
pub(in crate::controllers) fn remaining(remembered: Vec<AttachmentStatus>, parted: &Parted) -> Vec<AttachmentStatus> {
    let is_gone = |it: &AttachmentStatus| parted.gone.iter().any(|home| is_at(it, home));
    let refused = parted.refused.iter().map(|(home, _)| pending(home));
    sorted(refused.chain(remembered.into_iter().filter(|it| !is_gone(it))))
}

fn pending(home: &PolicyHome) -> AttachmentStatus {
    let (principal, path) = (home.principal.to_string(), home.place.to_string());
    AttachmentStatus { principal, path, state: AttachmentState::Pending }
}

/// Whether an entry of the status is about this home.
pub(super) fn is_at(attachment: &AttachmentStatus, home: &PolicyHome) -> bool {
    attachment.principal == home.principal.arn().as_str() && attachment.path == home.place.to_string()
}

/// By principal and place, the last of each.
fn sorted(all: impl Iterator<Item = AttachmentStatus>) -> Vec<AttachmentStatus> {
    let by_home: BTreeMap<(String, String), AttachmentStatus> =
        all.map(|it| ((it.principal.clone(), it.path.clone()), it)).collect();
    by_home.into_values().collect()
}

/// What differs, where nothing is changed.
pub(in crate::controllers) fn drift(granted: &Granted) -> Vec<String> {
    granted.attachments.iter().flat_map(|it| it.drift.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Attachment;
    use super::*;
    use crate::domain::policy::Place;

    fn attachment(role: &str, result: Result<Vec<String>, Problem>) -> Attachment {
        let principal = format!("arn:aws:iam::123456789012:role/{role}").parse().unwrap();
        let home = PolicyHome { principal, place: Place::Inline, cluster: "c".into() };
        Attachment { home, result, drift: Vec::new() }
    }

    fn remembered(role: &str, state: AttachmentState) -> AttachmentStatus {
        let principal = format!("arn:aws:iam::123456789012:role/{role}");
        AttachmentStatus { principal, path: "inline".into(), state }
    }

    #[test]
    fn a_principal_is_attached_or_pending() {
        let refused = Problem::of_spec(Reason::QuotaExceeded, "full");
        let granted = Granted {
            attachments: vec![attachment("b", Err(refused)), attachment("a", Ok(vec!["p".into()]))],
            rendered: None,
        };
        let expected = [remembered("a", AttachmentState::Attached), remembered("b", AttachmentState::Pending)];
        assert_eq!(state(&granted), expected);
        assert!(matches!(verdict(&granted), Verdict::Bad(problem) if problem.reason == Reason::QuotaExceeded));
        assert_eq!(policies(&granted), [PolicyStatus { arn: "p".into() }]);
    }

    #[test]
    fn a_home_that_was_left_is_forgotten_and_another_of_that_principal_is_not() {
        let elsewhere = AttachmentStatus { path: "/iamdb/".into(), ..remembered("a", AttachmentState::Attached) };
        let all = vec![remembered("a", AttachmentState::Pending), elsewhere.clone()];
        let home = |role: &str| attachment(role, Ok(Vec::new())).home;
        let refused = vec![(home("b"), Problem::standing(Reason::ForeignPolicy, "not ours"))];
        let parted = Parted { gone: [home("a")].into(), refused };
        assert_eq!(remaining(all, &parted), [elsewhere, remembered("b", AttachmentState::Pending)]);
    }

    #[test]
    fn what_is_rendered_is_said_to_be_and_remembered() {
        let granted = Granted { attachments: Vec::new(), rendered: Some(Ok("app-iam-policy".into())) };
        let Verdict::Good(message) = verdict(&granted) else { panic!("not good") };
        assert!(message.contains("app-iam-policy") && message.contains("nothing is attached"), "{message}");
        assert!(says_rendered(&policies(&granted), "app"));
        assert!(!says_rendered(&policies(&granted), "other"));
    }

    #[test]
    fn drift_is_told_and_is_not_ready() {
        let mut drifted = attachment("a", Ok(Vec::new()));
        drifted.drift = vec!["something".into()];
        let granted = Granted { attachments: vec![drifted], rendered: None };
        assert!(matches!(verdict(&granted), Verdict::Bad(problem) if problem.reason == Reason::Drifted));
        assert_eq!(drift(&granted), ["something"]);
    }
}
