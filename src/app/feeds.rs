//! All watches.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Resource};

use super::MARKS;
use crate::api;
use crate::controllers::Feeds;
use crate::k8s::feed::Feed;
use crate::rotation::TokenSecret;

/// All watches, slimmed to what is read of them.
pub(super) fn feeds(client: &kube::Client, namespace: &str) -> (Feeds, Vec<BoxFuture<'static, ()>>) {
    let config = watcher::Config::default();
    let ours = config.clone().labels(&format!("{}={}", api::MANAGED_BY_LABEL, api::MANAGED_BY));
    let (servers, watch_servers) = Feed::new(Api::all(client.clone()), config.clone(), own);
    let (users, watch_users) = Feed::new(Api::all(client.clone()), config.clone(), own);
    let (tokens, watch_tokens) = Feed::new(Api::all(client.clone()), config.clone(), own);
    let (namespaces, watch_namespaces) = Feed::new(Api::all(client.clone()), config.clone(), |it: Namespace| {
        let metadata = ObjectMeta { annotations: None, ..it.metadata };
        Namespace { metadata, ..Namespace::default() }
    });
    let api = Api::<PartialObjectMeta<ServiceAccount>>::all(client.clone());
    let (service_accounts, watch_service_accounts) = Feed::new(api, config.clone(), |mut it| {
        it.metadata.labels = None;
        keep_annotations(&mut it.metadata, |key| key == api::ROLE_ARN_ANNOTATION);
        it
    });
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let (config_maps, watch_config_maps) = Feed::new(api, config, |it| ConfigMap { binary_data: None, ..it });
    let api = Api::<PartialObjectMeta<Secret>>::all(client.clone());
    let (secrets, watch_secrets) = Feed::new(api, ours, |it| TokenSecret::of(&MARKS, it.metadata));
    let watches = vec![
        watch_servers.boxed(),
        watch_users.boxed(),
        watch_tokens.boxed(),
        watch_namespaces.boxed(),
        watch_service_accounts.boxed(),
        watch_config_maps.boxed(),
        watch_secrets.boxed(),
    ];
    (Feeds { servers, users, tokens, namespaces, service_accounts, config_maps, secrets }, watches)
}

/// An object of our own kinds without what others put on it: most of all the copy of it that `kubectl apply` leaves there.
fn own<K: Resource>(mut object: K) -> K {
    let meta = object.meta_mut();
    (meta.labels, meta.owner_references) = (None, None);
    keep_annotations(meta, |key| key.split('/').next() == Some(api::GROUP));
    object
}

/// No map is kept that is empty.
fn keep_annotations(meta: &mut ObjectMeta, is_read: impl Fn(&str) -> bool) {
    let mut annotations = meta.annotations.take().unwrap_or_default();
    annotations.retain(|key, _| is_read(key));
    meta.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
}
