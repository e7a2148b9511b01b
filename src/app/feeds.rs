//! All watches.

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource};

use crate::api;
use crate::controllers::{Feeds, Settings};
use crate::domain::reach::Reach;
use crate::k8s::feed::Feed;

/// All watches, slimmed to what is read of them. Secrets are watched where the operator has the right to.
pub(super) fn feeds(
    client: &kube::Client,
    settings: &Settings,
    watch_secrets: bool,
) -> (Feeds, Vec<BoxFuture<'static, ()>>) {
    let (namespace, reach) = (&settings.namespace, &settings.reach);
    let config = watcher::Config::default();
    let ours = config.clone().labels(&format!("{}={}", api::MANAGED_BY_LABEL, api::MANAGED_BY));
    let (servers, watch_servers) = Feed::new(vec![Api::all(client.clone())], config.clone(), |_| ());
    let (users, watch_users) = Feed::new(within(reach, client), config.clone(), |_| ());
    let (tokens, watch_tokens) = Feed::new(within(reach, client), config.clone(), |_| ());
    let all = vec![Api::all(client.clone())];
    let (namespaces, watch_namespaces) = Feed::new(all, config.clone(), |it: &mut Namespace| {
        it.metadata.annotations = None;
        it.spec = None;
        it.status = None;
    });
    let apis = within::<PartialObjectMeta<ServiceAccount>>(reach, client);
    let (service_accounts, watch_service_accounts) = Feed::new(apis, config.clone(), |it| {
        it.metadata.labels = None;
        it.metadata.annotations.get_or_insert_default().retain(|key, _| key == api::ROLE_ARN_ANNOTATION);
    });
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let (config_maps, watch_config_maps) = Feed::new(vec![api], config, |it| it.binary_data = None);
    let secrets = watch_secrets.then(|| Feed::new(within::<PartialObjectMeta<Secret>>(reach, client), ours, |_| ()));
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
