//! Runs the controllers: what wakes each, how many at once, and what failure waits for.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, future, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::problem::{Problem, Retry};
use super::{db_auth_token, db_server, iam_db_user, not_ready, server, trust};
use crate::api::{ConditionType, DbAuthToken, DbServer, GROUP, IamDbUser, Truth};
use crate::k8s::backoff::Backoffs;
use crate::k8s::feed::{Change, Feed, digest, name_digest};
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
    let changed = paced(changes(feed, state, Seen::new()).filter_map(|change| future::ready(applied(change))));
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

fn applied<K>(change: Change<K>) -> Option<Arc<K>> {
    match change {
        Change::Applied(object) => Some(object),
        Change::Deleted(_) => None,
    }
}

/// What wakes an object's own controller: its generation, its finalizers, its deletion, and annotations of ours. Status is not among them, or
/// every status write would be work.
pub(super) fn own_state<K: Resource>(object: &K) -> u64 {
    let ours = object.annotations().iter().filter(|(key, _)| key.split('/').next() == Some(GROUP));
    digest(&(
        object.meta().uid.as_deref(),
        object.meta().generation,
        object.finalizers(),
        object.meta().deletion_timestamp.is_some(),
        ours.collect::<Vec<_>>(),
    ))
}

/// A token is looked at once more when it comes to say that it is not ready: after an outage the rotation may have gone on before the watch told of
/// that status, and nothing would come to put it right.
fn token_state(token: &DbAuthToken) -> u64 {
    let conditions = token.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == ConditionType::Ready.as_str());
    digest(&(own_state(token), ready.any(|condition| condition.status == Truth::False)))
}

fn labels<K: Resource>(object: &K) -> u64 {
    digest(object.labels())
}

/// The feed leaves no annotation on a ServiceAccount but that of its role.
fn role(account: &PartialObjectMeta<ServiceAccount>) -> u64 {
    digest(account.annotations())
}

fn content(config_map: &ConfigMap) -> u64 {
    digest(&config_map.data)
}

/// Fingerprints by a digest of the object's name. Two names of one digest would be looked at more often than they need be, and no less.
type Seen = HashMap<u64, u64>;

/// Changes of a feed, without those that leave the fingerprint as it was `seen`.
fn changes<K>(
    feed: &Feed<K>,
    fingerprint: fn(&K) -> u64,
    mut seen: Seen,
) -> impl Stream<Item = Change<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    feed.subscribe().filter(move |change| {
        let key = name_digest(change.object().as_ref());
        let is_news = match change {
            Change::Applied(object) => {
                let now = fingerprint(object);
                seen.insert(key, now) != Some(now)
            }
            Change::Deleted(_) => {
                seen.remove(&key);
                true
            }
        };
        future::ready(is_news)
    })
}

/// Wakes that changes of one kind bring to another. What is there already brings none: in the beginning everything is looked at anyway.
fn related<K, T>(
    feed: &Feed<K>,
    fingerprint: fn(&K) -> u64,
    whom: impl Fn(&K) -> Vec<ObjectRef<T>> + Send + 'static,
) -> impl Stream<Item = ObjectRef<T>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    T: Resource<DynamicType = ()> + Send + 'static,
{
    let known = feed.store().state().into_iter().map(|it| (name_digest(it.as_ref()), fingerprint(&it))).collect();
    changes(feed, fingerprint, known).flat_map(move |change| stream::iter(whom(change.object())))
}

fn refs<K: Resource<DynamicType = ()>>(objects: &[Arc<K>]) -> Vec<ObjectRef<K>> {
    objects.iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

/// A DbServer looks at its CA, at its users while it is to go, and at the server itself when one of them cannot get at it.
fn server_wakes(context: &Context) -> impl Stream<Item = ObjectRef<DbServer>> + Send + 'static {
    let (feeds, servers) = (&context.feeds, context.feeds.servers.store().clone());
    let of_users = related(&feeds.users, own_state, {
        let servers = servers.clone();
        move |user: &IamDbUser| {
            let server = servers.get(&ObjectRef::new(&user.spec.server_ref.name));
            let is_going = server.filter(|server| server.metadata.deletion_timestamp.is_some());
            is_going.map(|server| ObjectRef::from_obj(server.as_ref())).into_iter().collect()
        }
    });
    let of_config_maps = related(&feeds.config_maps, content, move |config_map| {
        refs(&servers.state_filter(|server| takes_ca_from(server, config_map)))
    });
    let of_failures = context.looks.wanted().map(|name| ObjectRef::new(&name));
    stream::select_all([of_users.boxed(), of_config_maps.boxed(), of_failures.boxed()])
}

/// An IamDbUser looks at its DbServer and that one's CA, at the labels of its namespace, at the roles of its ServiceAccounts, and at others for its
/// account.
fn user_wakes(context: &Arc<Context>) -> impl Stream<Item = ObjectRef<IamDbUser>> + Send + 'static {
    let feeds = &context.feeds;
    let (servers, users) = (feeds.servers.store().clone(), feeds.users.store().clone());
    let of_servers = related(&feeds.servers, db_server::fingerprint, {
        let users = users.clone();
        move |server: &DbServer| users_of(&users, std::slice::from_ref(&server.name_any()))
    });
    let of_config_maps = related(&feeds.config_maps, content, {
        let users = users.clone();
        move |config_map| users_of(&users, &servers_with_ca(&servers, config_map))
    });
    let of_namespaces = related(&feeds.namespaces, labels, {
        let users = users.clone();
        move |namespace: &Namespace| {
            let name = namespace.name_any();
            refs(&users.state_filter(|user| user.namespace().as_deref() == Some(&name)))
        }
    });
    let of_accounts = related(&feeds.service_accounts, role, move |account| {
        refs(&users.state_filter(|user| iam_db_user::names_service_account(user, account)))
    });
    let of_namesakes = related(&feeds.users, own_state, {
        let context = context.clone();
        move |user: &IamDbUser| iam_db_user::namesakes(user, &context)
    });
    stream::select_all([
        of_servers.boxed(),
        of_config_maps.boxed(),
        of_namespaces.boxed(),
        of_accounts.boxed(),
        of_namesakes.boxed(),
    ])
}

/// A DbAuthToken looks at its IamDbUser, that one's DbServer and its CA, at the labels of its namespace, at the role of its ServiceAccount, and at how
/// its rotation goes.
fn token_wakes(
    context: &Context,
    news: impl Stream<Item = ObjectName> + Send + 'static,
) -> impl Stream<Item = ObjectRef<DbAuthToken>> + Send + 'static {
    let feeds = &context.feeds;
    let (servers, users) = (feeds.servers.store().clone(), feeds.users.store().clone());
    let tokens = feeds.tokens.store().clone();
    let of_users = related(&feeds.users, admission_state, {
        let tokens = tokens.clone();
        move |user: &IamDbUser| tokens_of(&tokens, &[ObjectRef::from_obj(user)])
    });
    let of_servers = related(&feeds.servers, db_server::fingerprint, {
        let (users, tokens) = (users.clone(), tokens.clone());
        move |server: &DbServer| tokens_of(&tokens, &users_of(&users, std::slice::from_ref(&server.name_any())))
    });
    let of_config_maps = related(&feeds.config_maps, content, {
        let tokens = tokens.clone();
        move |config_map| tokens_of(&tokens, &users_of(&users, &servers_with_ca(&servers, config_map)))
    });
    let of_namespaces = related(&feeds.namespaces, labels, {
        let tokens = tokens.clone();
        move |namespace: &Namespace| {
            let name = namespace.name_any();
            refs(&tokens.state_filter(|token| token.namespace().as_deref() == Some(&name)))
        }
    });
    let of_accounts = related(&feeds.service_accounts, role, move |account| {
        refs(&tokens.state_filter(|token| db_auth_token::signs_by(token, account)))
    });
    let of_rotation = news.map(|token| ObjectRef::new(&token.name).within(&token.namespace));
    let of_time = seldom(feeds.tokens.store().clone(), context.settings.resync * db_auth_token::SELDOM);
    stream::select_all([
        of_users.boxed(),
        of_servers.boxed(),
        of_config_maps.boxed(),
        of_namespaces.boxed(),
        of_accounts.boxed(),
        of_rotation.boxed(),
        of_time.boxed(),
    ])
}

/// Every object once in a `period`, each at a moment of its own. A timer for each would keep its name twice more.
fn seldom<K>(store: Store<K>, period: Duration) -> impl Stream<Item = ObjectRef<K>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    const MOMENTS: u32 = 60;
    let ticks = stream::iter(0..).then(move |tick: u64| tokio::time::sleep(period / MOMENTS).map(move |()| tick));
    ticks.flat_map(move |tick| {
        let is_its_moment = |object: &K| name_digest(object) % u64::from(MOMENTS) == tick % u64::from(MOMENTS);
        stream::iter(refs(&store.state_filter(is_its_moment)))
    })
}

/// What tokens read of a user: what it asks for, and whether a rule admits it.
fn admission_state(user: &IamDbUser) -> u64 {
    digest(&(own_state(user), user.status.is_some(), db_auth_token::barred(user)))
}

fn takes_ca_from(server: &DbServer, config_map: &ConfigMap) -> bool {
    let name = config_map.name_any();
    let is_named = server.spec.ca.config_map.as_ref().is_some_and(|it| it.name == name);
    is_named || server::trust_store(server).is_some_and(|place| place.keeper() == name)
}

fn servers_with_ca(servers: &Store<DbServer>, config_map: &ConfigMap) -> Vec<String> {
    let found = servers.state_filter(|server| takes_ca_from(server, config_map));
    found.iter().map(|server| server.name_any()).collect()
}

fn users_of(users: &Store<IamDbUser>, servers: &[String]) -> Vec<ObjectRef<IamDbUser>> {
    refs(&users.state_filter(|user| servers.contains(&user.spec.server_ref.name)))
}

fn tokens_of(tokens: &Store<DbAuthToken>, users: &[ObjectRef<IamDbUser>]) -> Vec<ObjectRef<DbAuthToken>> {
    let wanted: HashSet<(Option<&str>, &str)> =
        users.iter().map(|user| (user.namespace.as_deref(), user.name.as_str())).collect();
    refs(&tokens.state_filter(|token| {
        let user = &token.spec.user_ref;
        let home = user.namespace.as_deref().or(token.metadata.namespace.as_deref());
        wanted.contains(&(home, user.name.as_str()))
    }))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::k8s::feed;

    #[test]
    fn a_token_that_comes_to_say_that_it_is_not_ready_is_looked_at_once_more() {
        let token = |status: serde_json::Value| -> DbAuthToken {
            let spec = serde_json::json!({"userRef": {"name": "u"}, "identity": {"type": "Operator"}, "secret": {"name": "s"}});
            let object = serde_json::json!({
                "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbAuthToken", "metadata": {"name": "t"}, "spec": spec,
                "status": status,
            });
            serde_json::from_value(object).unwrap()
        };
        let ready = |is_so: &str| {
            let condition = serde_json::json!({"type": "Ready", "status": is_so, "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-02T03:04:05Z"});
            token_state(&token(serde_json::json!({"conditions": [condition]})))
        };
        let new = token_state(&token(serde_json::json!({"conditions": []})));
        assert_eq!((ready("True"), ready("Unknown")), (new, new), "nothing else that it tells wakes it");
        assert_ne!(ready("False"), new);
    }

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
}
