//! Runs the controllers: what wakes each, how many at once, and what failure waits for.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, future, stream};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::problem::{Problem, Retry};
use super::wakes::{Seen, changes, own_state, server_wakes, token_state, token_wakes, user_wakes};
use super::{db_auth_token, db_server, iam_db_user, not_ready, trust};
use crate::api::{DbAuthToken, DbServer, IamDbUser};
use crate::k8s::backoff::Backoffs;
use crate::k8s::feed::{Change, Feed};
use crate::k8s::fence::Fence;
use crate::rotation::ObjectName;

/// How a kind is worked at.
#[derive(Clone, Copy)]
struct Pace {
    /// Objects that are reconciled at the same time; 0 is no limit.
    concurrency: u16,
    /// Changes that come together within this are looked at once.
    debounce: Duration,
}

const SERVERS: Pace = Pace { concurrency: 16, debounce: Duration::from_millis(50) };

/// No limit: IamDbUsers wait at a turnstile of their own, so that those of a server that does not answer hold up nobody else.
const USERS: Pace = Pace { concurrency: 0, debounce: Duration::from_millis(50) };

/// A look at a token is cheap, and somebody waits for its Secret.
const TOKENS: Pace = Pace { concurrency: 16, debounce: Duration::from_millis(2) };

/// The longest wait after a failure: what was broken is found mended within a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// So many wakes pass at once, and no more before a [`PAUSE`], in which as many can be looked at.
const BURST: usize = 128;
const PAUSE: Duration = Duration::from_millis(10);

/// What a reconciliation leaves to do: when it is to be looked at again, or what stands in the way.
pub(super) type Outcome = Result<Action, Problem>;

/// Runs all controllers until `stop`; what is under way is finished. `news` are the tokens whose rotation has something to tell.
/// Reconciliations go on only while the fence is open.
pub async fn run_all(
    context: Arc<Context>,
    news: impl Stream<Item = ObjectName> + Send + 'static,
    fence: Fence,
    stop: CancellationToken,
) {
    let feeds = &context.feeds;
    let (servers, users, tokens) = (server_wakes(&context), user_wakes(&context), token_wakes(&context, news));
    future::join5(
        run::<DbServer, _>(
            (&feeds.servers, own_state),
            servers,
            db_server::reconcile,
            SERVERS,
            &context,
            &fence,
            &stop,
        ),
        run::<IamDbUser, _>((&feeds.users, own_state), users, iam_db_user::reconcile, USERS, &context, &fence, &stop),
        run::<DbAuthToken, _>(
            (&feeds.tokens, token_state),
            tokens,
            db_auth_token::reconcile,
            TOKENS,
            &context,
            &fence,
            &stop,
        ),
        db_auth_token::withdraw_deleted(&context, &stop),
        fence.clone().hold(future::join(trust::keep(&context, &stop), not_ready::tell(&context, &stop))),
    )
    .await;
}

/// Looks at the objects of a feed whenever their state, by this fingerprint, is another.
async fn run<K, F>(
    (feed, state): (&Feed<K>, fn(&K) -> u64),
    wakes: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    reconcile: fn(Arc<K>, Arc<Context>) -> F,
    pace: Pace,
    context: &Arc<Context>,
    fence: &Fence,
    stop: &CancellationToken,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let kind: &'static str = leak_kind::<K>();
    let backoffs = Arc::new(Backoffs::<ObjectRef<K>>::new(Duration::from_secs(2), LONGEST_WAIT));
    let changed = paced(changes(feed, state, Seen::new()).filter_map({
        let backoffs = backoffs.clone();
        move |change| future::ready(applied(change, &backoffs))
    }));
    let reconcile_one = {
        let (backoffs, fence) = (backoffs.clone(), fence.clone());
        move |object: Arc<K>, context: Arc<Context>| {
            let (backoffs, fence) = (backoffs.clone(), fence.clone());
            async move {
                let started = Instant::now();
                let key = ObjectRef::from_obj(object.as_ref());
                let outcome = fence.hold(reconcile(object.clone(), context.clone())).await;
                context.metrics.reconciled(kind, started.elapsed());
                match outcome {
                    Ok(action) => {
                        backoffs.reset(&key);
                        Ok(action)
                    }
                    Err(problem) => {
                        context.metrics.failed(kind, problem.reason.as_str());
                        match problem.retry {
                            Retry::OnChange => {
                                backoffs.reset(&key);
                                Ok(Action::await_change())
                            }
                            Retry::Resync => {
                                backoffs.reset(&key);
                                Ok(Action::requeue(context.resync_after(&object.uid().unwrap_or_default())))
                            }
                            Retry::Backoff => Err(problem),
                        }
                    }
                }
            }
        }
    };
    let error_policy = move |object: Arc<K>, problem: &Problem, _: Arc<Context>| {
        let key = ObjectRef::from_obj(object.as_ref());
        let wait = backoffs.after_failure(key);
        tracing::debug!(kind, namespace = object.namespace(), name = object.name_any(), %problem, ?wait, "will try again");
        Action::requeue(wait)
    };
    Controller::for_shared_stream(changed, feed.store().clone())
        .reconcile_on(paced(wakes))
        .with_config(Config::default().concurrency(pace.concurrency).debounce(pace.debounce))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile_one, error_policy, context.clone())
        .for_each(|_| future::ready(()))
        .await;
}

/// Few wakes pass at once, thousands in bursts. All objects wake when the operator starts, and what waits in kube's queue has a name in each of its
/// tables, which stay as large as they were at their fullest.
fn paced<T: Send>(wakes: impl Stream<Item = T> + Send) -> impl Stream<Item = T> + Send {
    // A channel hands out fewer than are in it at a time, so it is counted over several.
    let mut passed = 0;
    let bursts = wakes.ready_chunks(BURST).then(move |burst: Vec<T>| {
        passed += burst.len();
        let is_full = passed >= BURST;
        passed %= BURST;
        async move {
            if is_full {
                tokio::time::sleep(PAUSE).await;
            }
            stream::iter(burst)
        }
    });
    bursts.flatten()
}

/// The kind's name as a label of metrics: one small leak a kind and process.
fn leak_kind<K: Resource<DynamicType = ()>>() -> &'static str {
    Box::leak(K::kind(&()).into_owned().into_boxed_str())
}

/// What is to be looked at. Of what is gone nothing is remembered: kube calls nobody for it.
fn applied<K: Resource<DynamicType = ()>>(change: Change<K>, backoffs: &Backoffs<ObjectRef<K>>) -> Option<Arc<K>> {
    match change {
        Change::Applied(object) => Some(object),
        Change::Deleted(object) => {
            backoffs.reset(&ObjectRef::from_obj(object.as_ref()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::k8s::feed;

    #[tokio::test]
    async fn few_wakes_wait_for_nothing_and_of_many_none_is_lost() {
        let few = paced(stream::iter(0..3).chain(stream::pending())).take(3).collect::<Vec<_>>();
        assert_eq!(few.now_or_never(), Some(vec![0, 1, 2]));
        let (sender, receiver) = unbounded_channel();
        let many = 3 * BURST + 1;
        (0..many).for_each(|wake| sender.send(wake).unwrap());
        drop(sender);
        let started = Instant::now();
        assert_eq!(paced(feed::stream(receiver)).collect::<Vec<_>>().await, (0..many).collect::<Vec<_>>());
        assert!(started.elapsed() >= 3 * PAUSE);
    }

    #[test]
    fn an_object_that_is_gone_leaves_no_wait_to_its_namesake() {
        let backoffs = Backoffs::new(Duration::from_secs(2), LONGEST_WAIT);
        let mut namespace = k8s_openapi::api::core::v1::Namespace::default();
        namespace.metadata.name = Some("shop".into());
        let namespace = Arc::new(namespace);
        let key = || ObjectRef::from_obj(namespace.as_ref());
        (0..8).for_each(|_| _ = backoffs.after_failure(key()));
        assert!(applied(Change::Applied(namespace.clone()), &backoffs).is_some());
        assert!(backoffs.after_failure(key()) > Duration::from_secs(10));
        assert!(applied(Change::Deleted(namespace.clone()), &backoffs).is_none());
        assert!(backoffs.after_failure(key()) < Duration::from_secs(3));
    }
}
