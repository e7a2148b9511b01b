//! The ways to the apiserver, and which cluster it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::client::ClientBuilder;
use kube::{Api, ResourceExt};
use tower::util::MapRequestLayer;

use super::Failure;
use crate::k8s::call::call;
use crate::k8s::dates::{DateLayer, ServerDate};
use crate::k8s::{feed, fresh};

/// The ways to the apiserver, and what time it thinks it is.
pub(super) struct Apiserver {
    pub(super) client: kube::Client,
    /// The rotation has waits of its own. A retry below them would keep one of its places until the call's deadline, and hide what was answered.
    pub(super) rotating: kube::Client,
    /// So have watches.
    pub(super) watching: kube::Client,
    pub(super) date: Arc<ServerDate>,
}

/// How failures are met.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// kube asks again.
    OfKube,
    /// Whoever asks does.
    Own,
    /// Whoever watches does, and hears of a connection that has died in silence.
    OfWatches,
}

/// For how long a watch may say nothing: its end is due before then.
const LONGEST_SILENCE: Duration = Duration::from_secs(1).saturating_mul(feed::WATCH_LIMIT + 10);

impl Apiserver {
    pub(super) async fn find() -> Result<Self, Failure> {
        let date = Arc::new(ServerDate::default());
        Ok(Self {
            client: client(&date, Patience::OfKube).await?,
            rotating: client(&date, Patience::Own).await?,
            watching: client(&date, Patience::OfWatches).await?,
            date,
        })
    }
}

/// A way to the apiserver, with connections of its own. The dates of its answers are entered into `date`.
pub(super) async fn client(date: &Arc<ServerDate>, patience: Patience) -> Result<kube::Client, Failure> {
    let mut config = kube::Config::infer().await.map_err(|error| Failure::Kubeconfig(Box::new(error)))?;
    config.default_retry = matches!(patience, Patience::OfKube);
    if matches!(patience, Patience::OfWatches) {
        (config.read_timeout, config.reset_reader_on_write) = (Some(LONGEST_SILENCE), true);
    }
    let builder = ClientBuilder::try_from(config).map_err(|error| Failure::NoCluster(Box::new(error)))?;
    Ok(builder.with_layer(&DateLayer::new(date.clone())).with_layer(&MapRequestLayer::new(fresh::consistent)).build())
}

pub(super) async fn cluster_id(client: &kube::Client, given: Option<String>) -> Result<String, Failure> {
    let id = match given {
        Some(id) => id,
        None => uid_of_kube_system(client).await?,
    };
    // It goes into policy names, paths and quoted SQL text.
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=64).contains(&id.len()) && id.bytes().all(ok) { Ok(id) } else { Err(Failure::BadClusterId) }
}

/// An apiserver that has just started forbids for a moment what it allows then.
const STANDING: Duration = Duration::from_secs(10);

/// Waits for an apiserver that does not answer, or does not take our token for the time being. Whoever lost its lease in an outage starts again in it: ending once more would only add the
/// kubelet's back-off to the outage.
async fn uid_of_kube_system(client: &kube::Client) -> Result<String, Failure> {
    let namespaces = Api::<Namespace>::all(client.clone());
    let mut refused_since = None;
    loop {
        match call("read namespace kube-system", namespaces.get("kube-system")).await {
            Ok(found) => return Ok(found.uid().unwrap_or_default()),
            Err(error) if matches!(error.code(), Some(403 | 404)) => {
                if refused_since.get_or_insert_with(Instant::now).elapsed() >= STANDING {
                    return Err(Failure::ClusterId(error));
                }
            }
            Err(error) => {
                refused_since = None;
                tracing::warn!(%error, "the apiserver does not answer, trying again");
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
