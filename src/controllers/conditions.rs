//! Conditions by the Kubernetes convention: `lastTransitionTime` moves only when the status flips.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Condition, Truth};

/// A condition as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The condition's type.
    pub(super) kind: &'static str,
    /// Its status.
    pub(super) truth: Truth,
    /// Its reason.
    pub(super) reason: &'static str,
    /// What an on-call person should read.
    pub(super) message: String,
}

/// The conditions after `findings`. Conditions that no finding speaks of go.
pub(super) fn merge(
    current: &[Condition],
    findings: &[Finding],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let merge_one = |finding: &Finding| {
        let before = current.iter().find(|condition| condition.type_ == finding.kind);
        let flipped = before.is_none_or(|before| before.status != finding.truth);
        let since =
            before.filter(|_| !flipped).map_or_else(|| whole_second(now), |before| before.last_transition_time.clone());
        Condition {
            type_: finding.kind.into(),
            status: finding.truth,
            reason: finding.reason.into(),
            message: finding.message.clone().into(),
            observed_generation: generation,
            last_transition_time: since,
        }
    };
    findings.iter().map(merge_one).collect()
}

/// Whether a condition is `True`.
pub(super) fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == Truth::True)
}

/// The reason of a condition, if it is there.
pub(super) fn reason<'c>(conditions: &'c [Condition], kind: &str) -> Option<&'c str> {
    conditions.iter().find(|condition| condition.type_ == kind).map(|condition| &*condition.reason)
}

/// The API keeps whole seconds: with a fraction, what we hold would never equal what we read.
fn whole_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(truth: Truth, reason: &'static str) -> Finding {
        Finding { kind: "Ready", truth, reason, message: String::new() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let first = merge(&[], &[finding(Truth::False, "Unreachable")], Some(1), at(10));
        let second = merge(&first, &[finding(Truth::False, "AccessDenied")], Some(2), at(20));
        assert_eq!((second[0].last_transition_time.0, second[0].observed_generation), (at(10), Some(2)));
        let third = merge(&second, &[finding(Truth::True, "Ready")], Some(2), at(30));
        assert_eq!(third[0].last_transition_time.0, at(30));
        assert_eq!(merge(&third, &[finding(Truth::True, "Ready")], Some(2), at(40)), third);
    }

    #[test]
    fn conditions_are_read_by_type() {
        let conditions = merge(&[], &[finding(Truth::True, "Ready")], None, at(1));
        assert!(is_true(&conditions, "Ready"));
        assert!(!is_true(&conditions, "Other"));
        assert_eq!(reason(&conditions, "Ready"), Some("Ready"));
    }
}
