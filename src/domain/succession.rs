//! A server that gets another resource id: it was restored or made anew under its name, or switched over to its green side.

use std::time::Duration;

use jiff::Timestamp;

use super::schedule;

/// For so long policies name the former id beside the new one. A switch-over is undone by a second one, clients hold the old server's address
/// in caches of their own, and IAM agrees with itself only after a while: within the hour nobody is locked out on either side. Longer would
/// let principals into a server that is no longer the one that the DbServer names.
pub const GRACE: Duration = Duration::from_hours(1);

/// More former ids than this are not kept: the oldest go first.
const KEPT: usize = 8;

/// An id that a server had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// `db-...` or `cluster-...`
    pub resource_id: String,
    /// Until when policies name it.
    pub until: Timestamp,
}

/// The former ids of a server that was known by `last` and is known by `current` now. What has run out goes, and so does an id that the server
/// has again.
#[must_use]
pub fn former(before: Vec<Former>, last: Option<&str>, current: &str, now: Timestamp) -> Vec<Former> {
    let mut former = before;
    if let Some(last) = last.filter(|last| *last != current) {
        former.retain(|it| it.resource_id != last);
        let until = schedule::whole_second(schedule::plus(now, GRACE));
        former.push(Former { resource_id: last.to_owned(), until });
    }
    former.retain(|it| it.resource_id != current && it.until > now);
    former.sort_by(|left, right| (left.until, &left.resource_id).cmp(&(right.until, &right.resource_id)));
    former.drain(..former.len().saturating_sub(KEPT));
    former
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ids(former: &[Former]) -> Vec<(&str, i64)> {
        former.iter().map(|it| (it.resource_id.as_str(), it.until.as_second())).collect()
    }

    #[test]
    fn a_former_id_is_kept_for_the_grace_period_and_no_longer() {
        let first = former(Vec::new(), None, "db-A", at(0));
        assert_eq!(first, []);
        let changed = former(first, Some("db-A"), "db-B", at(10));
        assert_eq!(ids(&changed), [("db-A", 3_610)]);
        let later = former(changed.clone(), Some("db-B"), "db-B", at(3_609));
        assert_eq!(later, changed, "looking again moves nothing");
        assert_eq!(former(later, Some("db-B"), "db-B", at(3_610)), []);
    }

    #[test]
    fn there_and_back_again_leaves_each_id_in_one_place() {
        let there = former(Vec::new(), Some("db-A"), "db-B", at(10));
        let back = former(there, Some("db-B"), "db-A", at(20));
        assert_eq!(ids(&back), [("db-B", 3_620)]);
        let again = former(back, Some("db-A"), "db-B", at(30));
        assert_eq!(ids(&again), [("db-A", 3_630)]);
        let on = former(again, Some("db-B"), "db-C", at(40));
        assert_eq!(ids(&on), [("db-A", 3_630), ("db-B", 3_640)]);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut kept = Vec::new();
        for n in 0..12 {
            kept = former(kept, Some(&format!("db-{n}")), &format!("db-{}", n + 1), at(n));
        }
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].resource_id, "db-4");
    }
}
