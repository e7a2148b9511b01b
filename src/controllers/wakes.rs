//! What wakes whom: which changes of an object are work for its own controller, and which for that of another kind.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, future, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::context::{Context, tokens_of};
use super::{db_auth_token, db_server, iam_db_user, server};
use crate::api::{ConditionType, DbAuthToken, DbServer, GROUP, IamDbUser, Truth};
use crate::k8s::feed::{Change, Feed, Index, digest, name_digest};
use crate::rotation::ObjectName;

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
pub(super) fn token_state(token: &DbAuthToken) -> u64 {
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
pub(super) type Seen = HashMap<u64, u64>;

/// Changes of a feed, without those that leave the fingerprint as it was `seen`.
pub(super) fn changes<K>(
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
pub(super) fn server_wakes(context: &Context) -> impl Stream<Item = ObjectRef<DbServer>> + Send + 'static {
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
pub(super) fn user_wakes(context: &Arc<Context>) -> impl Stream<Item = ObjectRef<IamDbUser>> + Send + 'static {
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
pub(super) fn token_wakes(
    context: &Context,
    news: impl Stream<Item = ObjectName> + Send + 'static,
) -> impl Stream<Item = ObjectRef<DbAuthToken>> + Send + 'static {
    let feeds = &context.feeds;
    let (servers, users) = (feeds.servers.store().clone(), feeds.users.store().clone());
    let (tokens, index) = (feeds.tokens.store().clone(), feeds.tokens.index().clone());
    let of_users = related(&feeds.users, admission_state, {
        let tokens = index.clone();
        move |user: &IamDbUser| refs(&tokens_of(&tokens, &ObjectRef::from_obj(user)))
    });
    let of_servers = related(&feeds.servers, db_server::fingerprint, {
        let (users, tokens) = (users.clone(), index.clone());
        move |server: &DbServer| tokens_of_all(&tokens, &users_of(&users, std::slice::from_ref(&server.name_any())))
    });
    let of_config_maps = related(&feeds.config_maps, content, {
        let tokens = index.clone();
        move |config_map| tokens_of_all(&tokens, &users_of(&users, &servers_with_ca(&servers, config_map)))
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

fn tokens_of_all(tokens: &Index<DbAuthToken>, users: &[ObjectRef<IamDbUser>]) -> Vec<ObjectRef<DbAuthToken>> {
    users.iter().flat_map(|user| refs(&tokens_of(tokens, user))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
