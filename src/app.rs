//! The composition root: the only place that names adapters. Builds everything, starts it, and stops it in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::adapters::aws::Aws;
use crate::adapters::mysql::{AdminRights, Deadlines, MySqlDatabases, UnquotableName, admin_sql};
use crate::api;
use crate::controllers::{Bundles, Context, Entitlements, Feeds, Refusals, Settings, run_all};
use crate::domain::engine::Engine;
use crate::domain::names::{DatabaseName, Username};
use crate::domain::privilege::Privilege;
use crate::k8s::feed::Feed;
use crate::k8s::status::{CallError, FIELD_MANAGER, call};
use crate::ports::Clock;
use crate::rotation::{self, CredentialCache, Marks};
use crate::telemetry::http::{self, Readiness};
use crate::telemetry::metrics::Metrics;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Id of this cluster in marks of ownership; by default the uid of the namespace kube-system.
    pub cluster_id: Option<String>,
    /// Namespace of the operator.
    pub namespace: String,
    /// Where metrics and probes are served.
    pub listen: SocketAddr,
    /// How often everything is looked at again.
    pub resync: Duration,
    /// Whether databases may be on this machine. For tests.
    pub allow_loopback_databases: bool,
}

/// Why the operator could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no way to the apiserver.
    #[error("no Kubernetes configuration: neither a kubeconfig nor a ServiceAccount's files can be used")]
    NoCluster(#[source] Box<kube::Error>),
    /// The kubeconfig cannot be read.
    #[error("the Kubernetes configuration cannot be read")]
    Kubeconfig(#[source] Box<kube::config::InferConfigError>),
    /// The cluster id could not be found out.
    #[error(
        "the namespace kube-system cannot be read, whose uid is the cluster id; give --cluster-id or the right to get it"
    )]
    ClusterId(#[source] CallError),
    /// The cluster id cannot be used.
    #[error("the cluster id must be 1 to 64 letters, digits, ., _ or -")]
    BadClusterId,
    /// The address for metrics and probes cannot be used.
    #[error("cannot listen on {0} for metrics and probes")]
    Listen(SocketAddr, #[source] std::io::Error),
}

/// The wall clock.
struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the time is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Runs the operator until `stop`; what is under way is finished.
///
/// # Errors
/// [`Failure`] says why it could not start.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let client = client().await?;
    let cluster_id = cluster_id(&client, config.cluster_id).await?;
    tracing::info!(cluster_id, namespace = config.namespace, version = env!("CARGO_PKG_VERSION"), "starting");
    let settings = Settings { cluster_id, namespace: config.namespace, resync: config.resync };
    let readiness = Readiness::default();
    let (context, watches, news) = compose(client, settings, config.allow_loopback_databases).await;
    let watching = tokio::spawn(future::join_all(watches));
    let serving = http::serve(config.listen, context.metrics.clone(), readiness.clone());
    let outcome = tokio::select! {
        served = serving => served.map_err(|error| Failure::Listen(config.listen, error)),
        () = work(context, news, readiness, stop) => Ok(()),
    };
    watching.abort();
    outcome
}

/// Uids of tokens whose rotation has something to tell.
type News = mpsc::UnboundedReceiver<String>;

/// Everything that works, put together; nothing of it has started.
async fn compose(
    client: kube::Client,
    settings: Settings,
    allow_loopback_databases: bool,
) -> (Arc<Context>, Vec<BoxFuture<'static, ()>>, News) {
    let (feeds, watches) = feeds(&client, &settings.namespace);
    let (news_in, news_out) = mpsc::unbounded_channel();
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let metrics = Metrics::new();
    let aws = Aws::load().await;
    let credentials = CredentialCache::new(client.clone(), Arc::new(aws.sessions()), clock.clone());
    let secrets = feeds.secrets.store().clone();
    let engine =
        rotation::Engine::new(client.clone(), MARKS, secrets, credentials, clock.clone(), metrics.clone(), news_in);
    let reporter = Reporter { controller: FIELD_MANAGER.into(), instance: None };
    let context = Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        settings,
        feeds,
        clock,
        metrics,
        instances: Arc::new(aws.instances()),
        admin_secrets: Arc::new(aws.admin_secrets()),
        own_identity: Arc::new(aws.own_identity()),
        databases: Arc::new(MySqlDatabases::new(Deadlines::default(), allow_loopback_databases)),
        policies: Arc::new(aws.policies()),
        refusals: Refusals::default(),
        bundles: Bundles::default(),
        entitlements: Entitlements::default(),
        engine,
    };
    (Arc::new(context), watches, news_out)
}

/// The SQL that gives the operator a login with no more rights than it uses.
///
/// # Errors
/// When a name cannot be quoted; parsed names always can.
pub fn operator_login_sql(
    engine: Engine,
    partial_revokes: bool,
    username: Username,
    ceiling: Vec<(DatabaseName, Vec<Privilege>)>,
) -> Result<String, UnquotableName> {
    admin_sql(&AdminRights { engine, partial_revokes, username, ceiling })
}

/// Waits for the watches to catch up, then works until `stop`.
async fn work(context: Arc<Context>, news: News, readiness: Readiness, stop: CancellationToken) {
    let feeds = &context.feeds;
    let caught_up = future::join_all([
        feeds.servers.caught_up().boxed(),
        feeds.users.caught_up().boxed(),
        feeds.tokens.caught_up().boxed(),
        feeds.namespaces.caught_up().boxed(),
        feeds.service_accounts.caught_up().boxed(),
        feeds.config_maps.caught_up().boxed(),
        feeds.secrets.caught_up().boxed(),
    ]);
    tokio::select! {
        _ = caught_up => readiness.ready(),
        () = stop.cancelled() => return,
    }
    tracing::info!("watches have caught up");
    let rotation = context.engine.clone().run(feeds.secrets.subscribe(), stop.clone());
    let news = stream::unfold(news, |mut news| async move { news.recv().await.map(|uid| (uid, news)) });
    future::join(rotation, run_all(context.clone(), news.boxed(), stop)).await;
    tracing::info!("stopped");
}

const MARKS: Marks = Marks {
    secret_type: api::SECRET_TYPE,
    owner_uid: api::OWNER_UID_LABEL,
    expires_at_label: api::EXPIRES_AT_LABEL,
    expires_at: api::EXPIRES_AT_ANNOTATION,
    issued_at: api::ISSUED_AT_ANNOTATION,
    inputs: api::INPUTS_ANNOTATION,
};

async fn client() -> Result<kube::Client, Failure> {
    let config = kube::Config::infer().await.map_err(|error| Failure::Kubeconfig(Box::new(error)))?;
    kube::Client::try_from(config).map_err(|error| Failure::NoCluster(Box::new(error)))
}

async fn cluster_id(client: &kube::Client, given: Option<String>) -> Result<String, Failure> {
    let id = if let Some(id) = given {
        id
    } else {
        let namespaces = Api::<Namespace>::all(client.clone());
        let found = call("read namespace kube-system", namespaces.get("kube-system")).await;
        found.map_err(Failure::ClusterId)?.uid().unwrap_or_default()
    };
    // It goes into policy names, paths and quoted SQL text.
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=64).contains(&id.len()) && id.bytes().all(ok) { Ok(id) } else { Err(Failure::BadClusterId) }
}

/// All watches, slimmed to what is read of them.
fn feeds(client: &kube::Client, namespace: &str) -> (Feeds, Vec<BoxFuture<'static, ()>>) {
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
