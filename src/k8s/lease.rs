//! Leader election by a Lease of `coordination.k8s.io/v1`.
//!
//! How long a lease is valid is judged by one's own monotonic clock alone: a candidate counts from when it saw the record change, the leader from
//! when it sent its last successful renewal. The times in the record are for people. Every write is conditional, so of two candidates one wins.
//!
//! The leader gives up [`RENEW_DEADLINE`] after the sending of its last successful renewal, a candidate takes over [`DURATION`] after it saw that
//! renewal: the time between is what requests that are under way have to arrive.

use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams, WatchEvent, WatchParams};
use tokio::time::{sleep, timeout};

use super::fence::Fence;

/// A record that does not change for this long is nobody's.
pub const DURATION: Duration = Duration::from_secs(15);

/// The leader gives up when its last successful renewal was sent this long ago.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The leader renews this often; whatever failed is tried again after it.
pub const RETRY: Duration = Duration::from_secs(2);

/// No request takes longer, so that one which hangs leaves time for others before the deadline.
const REQUEST: Duration = Duration::from_secs(3);

/// A candidate asks for the changes of the record for this long at a time, in seconds.
const WATCH: u32 = 240;

/// What a record says of the leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nobody leads, or whoever did has fallen silent.
    Free,
    /// We lead.
    Ours,
    /// Another leads, until then unless the record changes.
    Theirs(Instant),
}

/// What is known of the record.
#[derive(Debug, Default)]
struct Observed {
    lease: Option<Lease>,
    /// The last holder and the end of its term, counted from when the record was first seen as it is. It outlives the record's deletion.
    term: Option<(String, Instant)>,
}

impl Observed {
    /// Takes note of the record, absent or present.
    fn see(&mut self, lease: Option<Lease>, now: Instant) {
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(|it| it.metadata.resource_version.clone());
        if version(&lease) != version(&self.lease)
            && let Some(spec) = lease.as_ref().and_then(|it| it.spec.as_ref())
        {
            self.term = holder(spec).map(|holder| (holder.to_owned(), now + valid_for(spec)));
        }
        self.lease = lease;
    }

    fn standing(&self, identity: &str, now: Instant) -> Standing {
        match &self.term {
            Some((holder, _)) if holder == identity && self.lease.is_some() => Standing::Ours,
            Some((holder, end)) if holder != identity && now < *end => Standing::Theirs(*end),
            _ => Standing::Free,
        }
    }

    /// The record with which `identity` leads: new, taken over or renewed.
    fn claim(&self, name: &str, identity: &str, wall: Timestamp) -> Lease {
        let now = || Some(MicroTime(wall));
        let spec = self.lease.as_ref().and_then(|it| it.spec.clone());
        let is_ours = spec.as_ref().and_then(holder) == Some(identity);
        let before = spec.unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0);
        let is_taken_over = !is_ours && self.lease.is_some();
        self.with(
            name,
            LeaseSpec {
                holder_identity: Some(identity.to_owned()),
                lease_duration_seconds: Some(seconds(DURATION)),
                renew_time: now(),
                acquire_time: if is_ours { before.acquire_time } else { now() },
                lease_transitions: Some(transitions.saturating_add(i32::from(is_taken_over))),
                ..LeaseSpec::default()
            },
        )
    }

    /// The record that says that nobody leads.
    fn release(&self, name: &str, wall: Timestamp) -> Lease {
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

/// One who would lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    wall: fn() -> Timestamp,
    observed: Observed,
    /// When the last successful claim was sent.
    claimed: Option<Instant>,
}

impl Candidate {
    /// A candidate for a Lease of a namespace. The client should have no retries of its own. Whoever comes back under the same `identity`
    /// goes on with its term, so no two processes may share one.
    #[must_use]
    pub fn new(client: kube::Client, namespace: &str, name: String, identity: String, wall: fn() -> Timestamp) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name, identity, wall, observed: Observed::default(), claimed: None }
    }

    /// Waits until it leads, and opens the fence.
    pub async fn win(&mut self, fence: &Fence) {
        loop {
            match self.attempt(REQUEST).await {
                Ok(Standing::Ours) => break,
                Ok(Standing::Theirs(_)) => self.follow().await,
                Ok(Standing::Free) => sleep(RETRY).await, // it changed between look and write
                Err(problem) => {
                    tracing::warn!(%problem, "cannot take part in the election, trying again");
                    sleep(RETRY).await;
                }
            }
        }
        self.extend(fence);
    }

    /// Keeps the lead, and the fence open. Ends when the lead is lost, and the fence is closed then.
    pub async fn keep(&mut self, fence: &Fence) {
        loop {
            sleep(RETRY.min(self.left())).await;
            let left = self.left();
            if left.is_zero() {
                break;
            }
            match self.attempt(left.min(REQUEST)).await {
                Ok(Standing::Ours) => self.extend(fence),
                Ok(Standing::Theirs(_)) => break,
                Ok(Standing::Free) => {}
                Err(problem) => tracing::warn!(%problem, ?left, "the lease was not renewed"),
            }
        }
        fence.close();
    }

    /// Closes the fence and says that nobody leads, so that another need not wait. To be called when all work has ended.
    pub async fn release(&mut self, fence: &Fence) {
        fence.close();
        if self.left().is_zero() {
            return; // whoever leads by now is not to be disturbed
        }
        if let Err(problem) = self.give_back().await {
            tracing::warn!(%problem, "the lease was not released: the next leader waits until it has run out");
        }
    }

    async fn give_back(&mut self) -> Result<(), Problem> {
        let released = self.observed.release(&self.name, (self.wall)());
        if self.put(&released, REQUEST).await?.is_some() {
            return Ok(());
        }
        // A renewal was under way, most likely.
        self.look(REQUEST).await?;
        if self.observed.standing(&self.identity, Instant::now()) == Standing::Ours {
            let released = self.observed.release(&self.name, (self.wall)());
            self.put(&released, REQUEST).await?;
        }
        Ok(())
    }

    fn extend(&self, fence: &Fence) {
        if let Some(claimed) = self.claimed {
            fence.open_until(claimed + RENEW_DEADLINE);
        }
    }

    /// What is left until the renew deadline.
    fn left(&self) -> Duration {
        self.claimed.map_or(Duration::ZERO, |claimed| RENEW_DEADLINE.saturating_sub(claimed.elapsed()))
    }

    /// Claims the lead if it is free or ours; `Ours` only if the claim was accepted. A leader claims without a look, since it remembers
    /// the record; when that has changed it looks.
    async fn attempt(&mut self, limit: Duration) -> Result<Standing, Problem> {
        if self.claimed.is_none() || self.observed.lease.is_none() {
            self.look(limit).await?;
        }
        let now = Instant::now();
        let standing = self.observed.standing(&self.identity, now);
        if let Standing::Theirs(_) = standing {
            return Ok(standing);
        }
        let claim = self.observed.claim(&self.name, &self.identity, (self.wall)());
        if let Some(accepted) = self.put(&claim, limit).await? {
            self.observed.see(Some(accepted), now);
            self.claimed = Some(now);
            return Ok(Standing::Ours);
        }
        // The record is not as it was remembered. If that was somebody's label, or our own write whose answer was lost, the next attempt
        // succeeds.
        self.look(limit).await?;
        let standing = self.observed.standing(&self.identity, Instant::now());
        Ok(if standing == Standing::Ours { Standing::Free } else { standing })
    }

    async fn look(&mut self, limit: Duration) -> Result<(), Problem> {
        let found = request("read the lease", limit, self.api.get_opt(&self.name)).await?;
        self.observed.see(found, Instant::now());
        Ok(())
    }

    /// Writes the record if it is as it was seen; none if it is not.
    async fn put(&self, lease: &Lease, limit: Duration) -> Result<Option<Lease>, Problem> {
        let parameters = PostParams::default();
        let (answer, changed): (_, &[u16]) = if lease.metadata.resource_version.is_some() {
            (request("write the lease", limit, self.api.replace(&self.name, &parameters, lease)).await, &[404, 409])
        } else {
            (request("create the lease", limit, self.api.create(&parameters, lease)).await, &[409])
        };
        match answer {
            Ok(lease) => Ok(Some(lease)),
            Err(Problem { code: Some(code), .. }) if changed.contains(&code) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Listens to another's renewals until they stop, or the lead is given back. A watch tells a release at once, and asks less than looking
    /// again and again; when it breaks there is a pause and then a look.
    async fn follow(&mut self) {
        let version = self.observed.lease.as_ref().and_then(|it| it.metadata.resource_version.clone());
        let only_it = WatchParams::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH);
        let watch = self.api.watch(&only_it, version.as_deref().unwrap_or_default());
        let Ok(changes) = request("watch the lease", REQUEST, watch).await else {
            return sleep(RETRY).await;
        };
        let mut changes = std::pin::pin!(changes);
        while let Standing::Theirs(end) = self.observed.standing(&self.identity, Instant::now()) {
            let seen = match timeout(end.saturating_duration_since(Instant::now()), changes.next()).await {
                Err(_) => return,
                Ok(Some(Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)))) => Some(lease),
                Ok(Some(Ok(WatchEvent::Deleted(_)))) => None,
                Ok(Some(Ok(WatchEvent::Bookmark(_)))) => continue,
                Ok(Some(Ok(WatchEvent::Error(_)) | Err(_)) | None) => return sleep(RETRY).await,
            };
            self.observed.see(seen, Instant::now());
        }
    }
}

/// The apiserver did not do what was asked. Without the texts that it may quote.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {}", told(*code))]
struct Problem {
    operation: &'static str,
    code: Option<u16>,
}

fn told(code: Option<u16>) -> String {
    code.map_or_else(|| "no answer".to_owned(), |code| format!("refused with {code}"))
}

async fn request<T>(
    operation: &'static str,
    limit: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Problem> {
    match timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Problem { operation, code: Some(status.code) }),
        Ok(Err(_)) | Err(_) => Err(Problem { operation, code: None }),
    }
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
        let spec = observed.claim("lease", ME, wall()).spec.unwrap();
        assert_eq!(spec.acquire_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
        assert_eq!(spec.lease_transitions, Some(3));
    }

    #[test]
    fn a_take_over_is_conditional_and_counted() {
        let (mut observed, start) = (Observed::default(), Instant::now());
        let mut lease = held_by("other", "7");
        lease.metadata.labels = Some([("of".to_owned(), "somebody".to_owned())].into());
        observed.see(Some(lease), start);
        let claim = observed.claim("lease", ME, wall());
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
        let claim = Observed::default().claim("lease", ME, wall());
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
    fn the_leader_gives_up_well_before_another_takes_over() {
        assert!(RENEW_DEADLINE + 2 * RETRY < DURATION);
        assert!(2 * (RETRY + REQUEST) <= RENEW_DEADLINE, "one request may hang");
    }
}
