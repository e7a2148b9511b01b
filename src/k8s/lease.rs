//! Leader election by a Lease of `coordination.k8s.io/v1`.
//!
//! How long a lease is valid is judged by one's own monotonic clock alone: a candidate counts from when it saw the record change, the leader from
//! when it sent its last successful renewal. The times in the record are for people. Every write is conditional, so of two candidates one wins.
//!
//! The leader gives up [`RENEW_DEADLINE`] after the sending of its last successful renewal, a candidate takes over [`DURATION`] after it saw that
//! renewal: the time between is what requests that are under way have to arrive.

mod record;

use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, PostParams, WatchEvent, WatchParams};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::call::{CallError, within};
use super::fence::Fence;
use record::{Observed, Standing};

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

/// One who would lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// With whom the Lease goes.
    owner: Option<OwnerReference>,
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
        Self { api, name, identity, owner: None, wall, observed: Observed::default(), claimed: None }
    }

    /// Lets the Lease go with its owner, so that an uninstalled operator leaves none.
    pub fn owned_by(&mut self, owner: OwnerReference) {
        self.owner = Some(owner);
    }

    /// Waits until it leads, and opens the fence; false when it was told to `stop` before. An attempt that is under way then is finished, and if its
    /// claim is accepted it leads all the same. A claim whose answer was lost is given back if it has arrived by then.
    pub async fn win(&mut self, fence: &Fence, stop: &CancellationToken) -> bool {
        let mut is_unsure = false;
        while !stop.is_cancelled() {
            let attempt = self.attempt(REQUEST).await;
            is_unsure = !matches!(attempt, Ok(Standing::Theirs(_)));
            match attempt {
                Ok(Standing::Ours) => {
                    fence.open_until(self.end());
                    return true;
                }
                Ok(Standing::Theirs(_)) => {
                    stop.run_until_cancelled(self.follow()).await;
                    continue;
                }
                Ok(Standing::Free) => {} // it changed between look and write
                Err(error) => tracing::warn!(%error, "cannot take part in the election, trying again"),
            }
            stop.run_until_cancelled(sleep(RETRY)).await;
        }
        if is_unsure {
            self.give_back_if_ours().await.unwrap_or_else(|error| not_released(&error));
        }
        false
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
                Ok(Standing::Ours) if fence.prolong_until(self.end()) => {}
                Ok(Standing::Ours) => {
                    tracing::warn!("the lease was renewed too late: it had run out before the answer was seen");
                    break;
                }
                Ok(Standing::Theirs(_)) => break,
                Ok(Standing::Free) => {}
                Err(error) => tracing::warn!(%error, ?left, "the lease was not renewed"),
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
        self.give_back().await.unwrap_or_else(|error| not_released(&error));
    }

    async fn give_back(&mut self) -> Result<(), CallError> {
        let released = self.observed.release(&self.name, (self.wall)());
        if self.put(&released, REQUEST).await?.is_some() {
            return Ok(());
        }
        // A renewal was under way, most likely.
        self.give_back_if_ours().await
    }

    async fn give_back_if_ours(&mut self) -> Result<(), CallError> {
        self.look(REQUEST).await?;
        if self.observed.standing(&self.identity, Instant::now()) == Standing::Ours {
            let released = self.observed.release(&self.name, (self.wall)());
            self.put(&released, REQUEST).await?;
        }
        Ok(())
    }

    /// The renew deadline; now, where there was no claim.
    fn end(&self) -> Instant {
        self.claimed.map_or_else(Instant::now, |claimed| claimed + RENEW_DEADLINE)
    }

    /// What is left until then.
    fn left(&self) -> Duration {
        self.end().saturating_duration_since(Instant::now())
    }

    /// Claims the lead if it is free or ours; `Ours` only if the claim was accepted. A leader claims without a look, since it remembers
    /// the record; when that has changed it looks.
    async fn attempt(&mut self, limit: Duration) -> Result<Standing, CallError> {
        if self.claimed.is_none() || self.observed.lease.is_none() {
            self.look(limit).await?;
        }
        let now = Instant::now();
        let standing = self.observed.standing(&self.identity, now);
        if let Standing::Theirs(_) = standing {
            return Ok(standing);
        }
        let claim = self.observed.claim(&self.name, &self.identity, self.owner.as_ref(), (self.wall)());
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

    async fn look(&mut self, limit: Duration) -> Result<(), CallError> {
        let found = within(limit, "read the lease", self.api.get_opt(&self.name)).await?;
        self.observed.see(found, Instant::now());
        Ok(())
    }

    /// Writes the record if it is as it was seen; none if it is not.
    async fn put(&mut self, lease: &Lease, limit: Duration) -> Result<Option<Lease>, CallError> {
        let parameters = PostParams::default();
        let (answer, changed): (_, &[u16]) = if lease.metadata.resource_version.is_some() {
            (within(limit, "write the lease", self.api.replace(&self.name, &parameters, lease)).await, &[404, 409])
        } else {
            (within(limit, "create the lease", self.api.create(&parameters, lease)).await, &[409])
        };
        match answer {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.code().is_some_and(|code| changed.contains(&code)) => Ok(None),
            // Some clusters let nobody name an owner who may not delete what is owned: then it is done without.
            Err(error) if error.code() == Some(403) && self.owner.take().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Listens to another's renewals until they stop, or the lead is given back. A watch tells a release at once, and asks less than looking
    /// again and again; when it breaks there is a pause and then a look.
    async fn follow(&mut self) {
        let version = self.observed.lease.as_ref().and_then(|it| it.metadata.resource_version.clone());
        let only_it = WatchParams::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH);
        let watch = self.api.watch(&only_it, version.as_deref().unwrap_or_default());
        let Ok(changes) = within(REQUEST, "watch the lease", watch).await else {
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

fn not_released(error: &CallError) {
    tracing::warn!(%error, "the lease was not released: the next leader waits until it has run out");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_gives_up_well_before_another_takes_over() {
        assert!(RENEW_DEADLINE + 2 * RETRY < DURATION);
        assert!(2 * (RETRY + REQUEST) <= RENEW_DEADLINE, "one request may hang");
    }
}
