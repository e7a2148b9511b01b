//! All watches.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;

use crate::api;
use crate::controllers::Feeds;
use crate::k8s::feed::Feed;

/// All watches, slimmed to what is read of them.
pub(super) fn feeds(client: &kube::Client, namespace: &str) -> (Feeds, Vec<BoxFuture<'static, ()>>) {
    let config = watcher::Config::default();
    let ours = config.clone().labels(&format!("{}={}", api::MANAGED_BY_LABEL, api::MANAGED_BY));
    let (servers, watch_servers) = Feed::new(Api::all(client.clone()), config.clone(), |_| ());
    let (users, watch_users) = Feed::new(Api::all(client.clone()), config.clone(), |_| ());
    let (tokens, watch_tokens) = Feed::new(Api::all(client.clone()), config.clone(), |_| ());
    let (namespaces, watch_namespaces) = Feed::new(Api::all(client.clone()), config.clone(), |it: &mut Namespace| {
        it.metadata.annotations = None;
        it.spec = None;
        it.status = None;
    });
    let api = Api::<PartialObjectMeta<ServiceAccount>>::all(client.clone());
    let (service_accounts, watch_service_accounts) = Feed::new(api, config.clone(), |it| {
        it.metadata.labels = None;
        it.metadata.annotations.get_or_insert_default().retain(|key, _| key == api::ROLE_ARN_ANNOTATION);
    });
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let (config_maps, watch_config_maps) = Feed::new(api, config, |it| it.binary_data = None);
    let api = Api::<PartialObjectMeta<Secret>>::all(client.clone());
    let (secrets, watch_secrets) = Feed::new(api, ours, |_| ());
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
