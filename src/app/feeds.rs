//! All watches.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource};

use super::MARKS;
use crate::api;
use crate::controllers::{Feeds, Settings};
use crate::domain::reach::Reach;
use crate::k8s::feed::Feed;
use crate::rotation::TokenSecret;

/// All watches, slimmed to what is read of them. Secrets are watched where the operator has the right to.
pub(super) fn feeds(
    client: &kube::Client,
    settings: &Settings,
    watch_secrets: bool,
) -> (Feeds, Vec<BoxFuture<'static, ()>>) {
    let (namespace, reach) = (&settings.namespace, &settings.reach);
    let config = watcher::Config::default();
    let ours = config.clone().labels(&format!("{}={}", api::MANAGED_BY_LABEL, api::MANAGED_BY));
    let (servers, watch_servers) = Feed::new(vec![Api::all(client.clone())], config.clone(), own, None);
    let (users, watch_users) = Feed::new(within(reach, client), config.clone(), own, Some(Feeds::by_username));
    let (tokens, watch_tokens) = Feed::new(within(reach, client), config.clone(), own, Some(Feeds::by_user));
    let all = vec![Api::all(client.clone())];
    let (namespaces, watch_namespaces) = Feed::new(
        all,
        config.clone(),
        |it: Namespace| {
            let metadata = ObjectMeta { annotations: None, ..it.metadata };
            Namespace { metadata, ..Namespace::default() }
        },
        None,
    );
    let apis = within::<PartialObjectMeta<ServiceAccount>>(reach, client);
    let (service_accounts, watch_service_accounts) = Feed::new(
        apis,
        config.clone(),
        |mut it| {
            it.metadata.labels = None;
            keep_annotations(&mut it.metadata, |key| key == api::ROLE_ARN_ANNOTATION);
            it
        },
        None,
    );
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let (config_maps, watch_config_maps) =
        Feed::new(vec![api], config, |it| ConfigMap { binary_data: None, ..it }, None);
    let secrets = watch_secrets.then(|| {
        let apis = within::<PartialObjectMeta<Secret>>(reach, client);
        Feed::new(apis, ours, |it| TokenSecret::of(&MARKS, it.metadata), None)
    });
    let (secrets, watch_secrets) = secrets.unzip();
    let mut watches = vec![
        watch_servers.boxed(),
        watch_users.boxed(),
        watch_tokens.boxed(),
        watch_namespaces.boxed(),
        watch_service_accounts.boxed(),
        watch_config_maps.boxed(),
    ];
    watches.extend(watch_secrets.map(FutureExt::boxed));
    (Feeds { servers, users, tokens, namespaces, service_accounts, config_maps, secrets }, watches)
}

/// A kind in the namespaces where the operator acts: one watch for all of them, or one for each.
fn within<K>(reach: &Reach, client: &kube::Client) -> Vec<Api<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match reach {
        Reach::Everywhere => vec![Api::all(client.clone())],
        Reach::Only(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
    }
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
