//! The record of the lease: what it says of the leadership, and what it is to say next. No I/O; instants are arguments.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};

use super::DURATION;

/// What a record says of the leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody leads, or whoever did has fallen silent.
    Free,
    /// We lead.
    Ours,
    /// Another leads, until then unless the record changes.
    Theirs(Instant),
}

/// What is known of the record.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) lease: Option<Lease>,
    /// The last holder and the end of its term, counted from when the record was first seen as it is. It outlives the record's deletion.
    term: Option<(String, Instant)>,
}

impl Observed {
    /// Takes note of the record, absent or present.
    pub(super) fn see(&mut self, lease: Option<Lease>, now: Instant) {
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(|it| it.metadata.resource_version.clone());
        if version(&lease) != version(&self.lease)
            && let Some(spec) = lease.as_ref().and_then(|it| it.spec.as_ref())
        {
            self.term = holder(spec).map(|holder| (holder.to_owned(), now + valid_for(spec)));
        }
        self.lease = lease;
    }

    pub(super) fn standing(&self, identity: &str, now: Instant) -> Standing {
        match &self.term {
            Some((holder, _)) if holder == identity && self.lease.is_some() => Standing::Ours,
            Some((holder, end)) if holder != identity && now < *end => Standing::Theirs(*end),
            _ => Standing::Free,
        }
    }

    /// The record with which `identity` leads: new, taken over or renewed. It belongs to `owner`.
    pub(super) fn claim(&self, name: &str, identity: &str, owner: Option<&OwnerReference>, wall: Timestamp) -> Lease {
        let now = || Some(MicroTime(wall));
        let spec = self.lease.as_ref().and_then(|it| it.spec.clone());
        let is_ours = spec.as_ref().and_then(holder) == Some(identity);
        let before = spec.unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0);
        let is_taken_over = !is_ours && self.lease.is_some();
        let mut claim = self.with(
            name,
            LeaseSpec {
                holder_identity: Some(identity.to_owned()),
                lease_duration_seconds: Some(seconds(DURATION)),
                renew_time: now(),
                acquire_time: if is_ours { before.acquire_time } else { now() },
                lease_transitions: Some(transitions.saturating_add(i32::from(is_taken_over))),
                ..LeaseSpec::default()
            },
        );
        let owners = claim.metadata.owner_references.get_or_insert_default();
        if let Some(owner) = owner.filter(|owner| owners.iter().all(|it| it.uid != owner.uid)) {
            owners.push(owner.clone());
        }
        claim
    }

    /// The record that says that nobody leads.
    pub(super) fn release(&self, name: &str, wall: Timestamp) -> Lease {
        let before = self.lease.as_ref().and_then(|it| it.spec.clone()).unwrap_or_default();
        self.with(
            name,
            LeaseSpec {
                holder_identity: Some(String::new()),
                // An empty duration is refused by the apiserver.
                lease_duration_seconds: Some(1),
                renew_time: Some(MicroTime(wall)),
                ..before
            },
        )
    }

    /// The record with another spec, as a whole: what others wrote beside it stays, and its version makes the write conditional.
    fn with(&self, name: &str, spec: LeaseSpec) -> Lease {
        let fresh = || ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Lease { metadata: self.lease.as_ref().map_or_else(fresh, |it| it.metadata.clone()), spec: Some(spec) }
    }
}

/// Who holds the lease; a released one has an empty holder.
fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

fn valid_for(spec: &LeaseSpec) -> Duration {
    let told = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|told| *told > 0);
    told.map_or(DURATION, Duration::from_secs)
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "me";

    fn wall() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn held_by(holder: &str, version: &str) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() };
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(3),
            acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            // A clock that is years ahead, or behind, means nothing.
            renew_time: Some(MicroTime(Timestamp::MAX)),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    #[test]
    fn a_record_that_changes_is_held_whatever_its_times_say() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        for n in 0..10 {
            observed.see(Some(held_by("other", &n.to_string())), at(start, 10 * n));
            let standing = observed.standing(ME, at(start, 10 * n + 9));
            assert_eq!(standing, Standing::Theirs(at(start, 10 * n + 15)));
        }
    }

    #[test]
    fn a_record_that_stands_still_is_free_after_its_duration_and_not_before() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        for look in 0..=14 {
            observed.see(Some(held_by("other", "1")), at(start, look));
            assert_eq!(observed.standing(ME, at(start, look)), Standing::Theirs(at(start, 15)));
        }
        assert_eq!(observed.standing(ME, at(start, 15)), Standing::Free);
    }

    #[test]
    fn a_released_or_absent_record_is_free_at_once() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        observed.see(None, start);
        assert_eq!(observed.standing(ME, start), Standing::Free);
        observed.see(Some(held_by("other", "1")), start);
        observed.see(Some(held_by("", "2")), at(start, 1));
        assert_eq!(observed.standing(ME, at(start, 1)), Standing::Free);
    }

    #[test]
    fn who_deletes_the_record_does_not_end_the_term() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        observed.see(Some(held_by("other", "1")), start);
        observed.see(None, at(start, 5));
        assert_eq!(observed.standing(ME, at(start, 6)), Standing::Theirs(at(start, 15)));
        assert_eq!(observed.standing("other", at(start, 6)), Standing::Free, "the leader itself writes it again");
        assert_eq!(observed.standing(ME, at(start, 15)), Standing::Free);
    }

    #[test]
    fn a_term_is_gone_on_with_after_a_restart_under_the_same_identity() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        observed.see(Some(held_by(ME, "1")), start);
        assert_eq!(observed.standing(ME, start), Standing::Ours);
        let spec = observed.claim("lease", ME, None, wall()).spec.unwrap();
        assert_eq!(spec.acquire_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
        assert_eq!(spec.lease_transitions, Some(3));
    }

    #[test]
    fn a_take_over_is_conditional_and_counted() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        let mut lease = held_by("other", "7");
        lease.metadata.labels = Some([("of".to_owned(), "somebody".to_owned())].into());
        observed.see(Some(lease), start);
        let claim = observed.claim("lease", ME, None, wall());
        assert_eq!(claim.metadata.resource_version.as_deref(), Some("7"));
        assert!(claim.metadata.labels.is_some(), "what others wrote stays");
        let spec = claim.spec.unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some(ME));
        assert_eq!(spec.lease_transitions, Some(4));
        assert_eq!(spec.acquire_time, Some(MicroTime(wall())));
        assert_eq!(spec.lease_duration_seconds, Some(15));
    }

    #[test]
    fn a_first_claim_creates_the_record() {
        let claim = Observed::default().claim("lease", ME, None, wall());
        assert_eq!(claim.metadata.name.as_deref(), Some("lease"));
        assert_eq!(claim.metadata.resource_version, None);
        assert_eq!(claim.spec.unwrap().lease_transitions, Some(0));
    }

    #[test]
    fn a_release_names_nobody() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        observed.see(Some(held_by(ME, "7")), start);
        let released = observed.release("lease", wall());
        assert_eq!(released.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(released.spec.and_then(|spec| spec.holder_identity).as_deref(), Some(""));
    }

    #[test]
    fn the_record_belongs_to_its_owner_beside_others() {
        let owner = |uid: &str| OwnerReference { uid: uid.into(), ..OwnerReference::default() };
        let (mut observed, now) = (Observed::default(), Instant::now());
        let mut lease = held_by("other", "1");
        lease.metadata.owner_references = Some(vec![owner("theirs")]);
        observed.see(Some(lease), now);
        let claim = observed.claim("lease", ME, Some(&owner("ours")), wall());
        assert_eq!(claim.metadata.owner_references, Some(vec![owner("theirs"), owner("ours")]));
        observed.see(Some(claim.clone()), now);
        assert_eq!(observed.claim("lease", ME, Some(&owner("ours")), wall()).metadata, claim.metadata);
    }
}
