//! Keeps a copy of every bundle of RDS's trust stores that a DbServer needs, in a ConfigMap of the operator's namespace.
//!
//! The ConfigMap is the last good copy: it outlives a restart and a trust store that cannot be reached, everybody reads and watches it like a bundle
//! that an administrator put there, and where egress is closed an administrator may put it there: one without our label is taken as it is. Before the
//! first answer of a trust store that fails, the copy is the one that is built in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::server;
use crate::api::{CaType, MANAGED_BY, MANAGED_BY_LABEL};
use crate::domain::ca::{Bundle, TrustStore};
use crate::domain::schedule;
use crate::k8s::call::{CallError, FIELD_MANAGER, call};
use crate::ports::{Fault, FaultKind, Fetched};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(2);

/// How long a copy is good without a question.
const REFRESH: Duration = Duration::from_secs(86_400);

/// How long a question that failed waits, while there is no copy, and while there is one.
const RETRY_WITHOUT: Duration = Duration::from_secs(15);
const RETRY_WITH: Duration = Duration::from_secs(600);

/// Annotation with the entity tag of the copy.
const ETAG_ANNOTATION: &str = "iamdb.dev/etag";

/// Annotation of a copy that was built in.
const BUILT_IN_ANNOTATION: &str = "iamdb.dev/built-in";

/// Key of the ConfigMap.
pub(super) const KEY: &str = "ca.crt";

/// Why there is no newer copy.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Fetch(#[from] Fault),
    #[error(transparent)]
    Keep(#[from] CallError),
}

/// When a place was looked at, and for how long it need not be looked at again.
struct Look {
    at: Instant,
    wait: Duration,
}

impl Look {
    /// Whoever takes a copy away, or spoils it, wants another one.
    fn is_over(&self, has_copy: bool) -> bool {
        self.at.elapsed() >= if has_copy { self.wait } else { self.wait.min(RETRY_WITHOUT) }
    }
}

/// Works until `stop`.
pub(super) async fn keep(context: &Context, stop: &CancellationToken) {
    let mut looks: HashMap<TrustStore, Look> = HashMap::new();
    while !stop.is_cancelled() {
        let wanted = wanted(context);
        looks.retain(|place, _| wanted.contains(place));
        for place in wanted {
            if looks.get(&place).is_none_or(|look| look.is_over(has_copy(&place, context))) {
                let wait = refresh(&place, context).await;
                looks.insert(place, Look { at: Instant::now(), wait });
            }
        }
        tell_expiry(context);
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(TICK) => {}
        }
    }
}

/// Whether there is a copy that can be used, whoever put it there.
fn has_copy(place: &TrustStore, context: &Context) -> bool {
    let kept = server::kept_bundle(context, place);
    let bundle = kept.and_then(|kept| context.bundles.read(&kept, KEY, context.clock.now()));
    bundle.is_some_and(|bundle| bundle.is_ok())
}

fn wanted(context: &Context) -> BTreeSet<TrustStore> {
    context.feeds.servers.store().state().iter().filter_map(|server| server::trust_store(server)).collect()
}

/// Brings a copy up to date, and returns for how long it need not be looked at again.
async fn refresh(place: &TrustStore, context: &Context) -> Duration {
    let kept = server::kept_bundle(context, place);
    if kept.as_deref().is_some_and(|kept| kept.labels().get(MANAGED_BY_LABEL).is_none_or(|by| by != MANAGED_BY)) {
        return RETRY_WITH; // an administrator's
    }
    match renew(place, kept.as_deref(), context).await {
        Ok(()) => {
            context.bundles.fetched(place);
            REFRESH + schedule::jitter(&place.to_string())
        }
        Err(failure) => {
            tracing::warn!(bundle = %place, %failure, has_copy = kept.is_some(), "CA bundle not refreshed");
            let fault = match failure {
                Failure::Fetch(fault) => fault,
                Failure::Keep(error) => {
                    let code = error.code().map_or_else(|| "timeout".to_owned(), |code| format!("HTTP {code}"));
                    Fault::new(FaultKind::Other, "keep a CA bundle").with_code(code)
                }
            };
            context.bundles.failed(place, fault);
            let has_copy = keep_built_in(place, kept.as_deref(), context).await;
            if has_copy { RETRY_WITH } else { RETRY_WITHOUT }
        }
    }
}

async fn renew(place: &TrustStore, kept: Option<&ConfigMap>, context: &Context) -> Result<(), Failure> {
    let now = context.clock.now();
    // A copy that cannot be used is no reason to be told that it is still the same.
    let is_good = |kept: &&ConfigMap| context.bundles.read(kept, KEY, now).is_some_and(|bundle| bundle.is_ok());
    let etag = kept.filter(is_good).and_then(|kept| kept.annotations().get(ETAG_ANNOTATION));
    let Fetched::New { text, etag } = context.trust_stores.fetch(place, etag.map(String::as_str)).await? else {
        return Ok(());
    };
    let unusable = |_| Fault::new(FaultKind::Unreadable, "read a CA bundle").with_code("unusable");
    let bundle = Bundle::parse(&text, now).map_err(unusable)?;
    let etag = etag.map(|etag| (ETAG_ANNOTATION, etag));
    write(&copy(place, &bundle, etag, kept), kept.is_some(), context).await?;
    tracing::info!(bundle = %place, certificates = bundle.certificates().len(), expires_at = %bundle.expires_at(), "CA bundle fetched");
    Ok(())
}

/// Keeps the copy that is built in where none was ever fetched, or what is kept is of no use any more; tells whether a good one is kept now.
async fn keep_built_in(place: &TrustStore, kept: Option<&ConfigMap>, context: &Context) -> bool {
    let now = context.clock.now();
    let held = kept.and_then(|kept| context.bundles.read(kept, KEY, now)?.ok());
    let is_built_in = kept.is_some_and(|kept| kept.annotations().contains_key(BUILT_IN_ANNOTATION));
    let Some(bundle) = Bundle::built_in(place, now) else { return held.is_some() };
    if held.as_ref().is_some_and(|held| !is_built_in || *held == bundle) {
        return true;
    }
    let annotation = (BUILT_IN_ANNOTATION, "true".to_owned());
    match write(&copy(place, &bundle, Some(annotation), kept), kept.is_some(), context).await {
        Ok(()) => {
            tracing::info!(bundle = %place, "the built-in CA bundle serves until the trust store answers");
            true
        }
        Err(error) => {
            tracing::warn!(bundle = %place, %error, "the built-in CA bundle was not kept");
            held.is_some()
        }
    }
}

fn copy(
    place: &TrustStore,
    bundle: &Bundle,
    annotation: Option<(&str, String)>,
    kept: Option<&ConfigMap>,
) -> ConfigMap {
    let annotations = annotation.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(place.keeper()),
            uid: kept.and_then(ResourceExt::uid),
            resource_version: kept.and_then(ResourceExt::resource_version),
            labels: Some(BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned())])),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(KEY.to_owned(), bundle.pem().to_string())])),
        ..ConfigMap::default()
    }
}

async fn write(copy: &ConfigMap, is_there: bool, context: &Context) -> Result<(), CallError> {
    let api = Api::<ConfigMap>::namespaced(context.client.clone(), &context.settings.namespace);
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    if is_there {
        call("replace the ConfigMap of a CA bundle", api.replace(&copy.name_any(), &parameters, copy)).await.map(drop)
    } else {
        call("create the ConfigMap of a CA bundle", api.create(&parameters, copy)).await.map(drop)
    }
}

/// Tells when the first of the bundles that are in use expires, by where they come from.
fn tell_expiry(context: &Context) {
    let mut ends = BTreeMap::new();
    for object in context.feeds.servers.store().state() {
        let source = match object.spec.ca.kind {
            CaType::Region => "Region",
            CaType::Global => "Global",
            CaType::ConfigMap => "ConfigMap",
            CaType::Unknown => continue,
        };
        if let Ok(bundle) = server::ca(context, &object) {
            let end = bundle.expires_at().as_second();
            ends.entry(source).and_modify(|first: &mut i64| *first = end.min(*first)).or_insert(end);
        }
    }
    context.metrics.ca_expiry(&ends);
}
