//! The composition root: the only place that names adapters. Builds everything, starts it, and stops it in order.

mod apiserver;
mod commands;
mod feeds;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use futures::{FutureExt, StreamExt, future, stream};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::adapters::aws::Aws;
use crate::adapters::mysql::{Deadlines, MySqlDatabases};
use crate::adapters::trust_store::{HttpsTrustStores, NoRoots};
use crate::api;
use crate::controllers::{Bundles, Context, Desks, Entitlements, Looks, Refusals, Settings, Turnstile, run_all};
use crate::domain::reach::Reach;
use crate::k8s::call::CallError;
use crate::k8s::dates::ServerDate;
use crate::k8s::feed::{self, Feed};
use crate::k8s::fence::Fence;
use crate::k8s::lease::Candidate;
use crate::k8s::whoami::own_account;
use crate::ports::Clock;
use crate::rotation::{self, CredentialCache, Logins, Marks, ObjectName, Sight};
use crate::telemetry::http::{self, Readiness};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::pulse::Pulse;

use apiserver::{Apiserver, Patience, client, cluster_id};
pub use commands::{CannotSign, Signing, operator_login_sql, sign};

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Id of this cluster in marks of ownership; by default the uid of the namespace kube-system.
    pub cluster_id: Option<String>,
    /// Namespace of the operator.
    pub namespace: String,
    /// Where it acts.
    pub reach: Reach,
    /// Whether it may list and watch Secrets. Without that right it reads each of its own once.
    pub watch_secrets: bool,
    /// How replicas agree on which one acts; without it this one acts, and must be the only one.
    pub election: Option<Election>,
    /// Where metrics and probes are served.
    pub listen: SocketAddr,
    /// How often everything is looked at again.
    pub resync: Duration,
    /// Whether databases may be on this machine. For tests.
    pub allow_loopback_databases: bool,
    /// Whether sessions are tagged with cluster and namespace.
    pub session_tags: bool,
    /// Where CA bundles are published instead of at AWS. For tests.
    pub trust_store_url: Option<String>,
}

/// A replica's part in the election of the one that acts.
#[derive(Clone, Debug)]
pub struct Election {
    /// Name of the Lease in the operator's namespace.
    pub lease: String,
    /// Who this replica is there. No two that run at the same time may share it.
    pub identity: String,
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
    /// No CA bundle could be fetched.
    #[error("CA bundles cannot be fetched")]
    TrustStores(#[from] NoRoots),
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
    /// The lease could not be renewed in time, or another replica has it.
    #[error("the lease was lost: another replica acts, or will")]
    LeaseLost,
    /// A bug.
    #[error("the operator panicked")]
    Panicked(#[source] JoinError),
}

/// The wall clock.
struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the time is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Runs the operator until `stop`; what is under way is finished. When it ends because the lease is lost, the process must end too.
///
/// # Errors
/// [`Failure`] says why it could not start, or had to stop.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let (metrics, probes) = (Metrics::new(), Probes::default());
    // Before anything is asked of the apiserver: a replica that waits for it is alive.
    let serving = http::serve(config.listen, metrics.clone(), probes.readiness.clone(), probes.pulse.clone());
    let listen = config.listen;
    tokio::select! {
        served = serving => served.map_err(|error| Failure::Listen(listen, error)),
        ended = operate(config, metrics, probes, stop) => ended,
    }
}

/// What the operator tells of itself to whoever probes it.
#[derive(Default)]
struct Probes {
    readiness: Readiness,
    pulse: Pulse,
}

async fn operate(
    config: Config,
    metrics: Arc<Metrics>,
    probes: Probes,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let apiserver = Apiserver::find().await?;
    let mut candidate = match &config.election {
        Some(election) => Some(candidate(&apiserver.date, &config.namespace, election.clone()).await?),
        None => None,
    };
    // The first question waits until the apiserver answers; whoever asked the second one meanwhile would be told nothing.
    let asked = async {
        let cluster_id = cluster_id(&apiserver.client, config.cluster_id.clone()).await?;
        Ok::<_, Failure>((cluster_id, own_account(&apiserver.client, &config.namespace).await))
    };
    let (cluster_id, account) = tokio::select! {
        told = asked => told?,
        () = stop.cancelled() => return Ok(()),
    };
    if let Some(candidate) = &mut candidate {
        match account {
            Ok(owner) => owner.into_iter().for_each(|owner| candidate.owned_by(owner)),
            Err(error) => tracing::warn!(%error, "the lease will outlive the operator"),
        }
    }
    let Config { namespace, reach, session_tags, resync, .. } = config.clone();
    tracing::info!(cluster_id, namespace, ?reach, version = env!("CARGO_PKG_VERSION"), "starting");
    let settings = Settings { cluster_id, namespace, reach, session_tags, resync };
    let (context, watches, news) = compose(apiserver, settings, metrics, &config).await?;
    // Each is a task of its own: thousands of objects are read by all threads. They end with this, and this with any that panics: nobody must act by
    // what stands still.
    let mut watching: JoinSet<()> = watches.into_iter().collect();
    tokio::select! {
        ended = work(context, news, probes, candidate, stop).boxed() => ended,
        Some(Err(panicked)) = watching.join_next() => Err(Failure::Panicked(panicked)),
    }
}

/// Tokens whose rotation has something to tell.
type News = mpsc::UnboundedReceiver<ObjectName>;

/// Everything that works, put together; nothing of it has started.
async fn compose(
    apiserver: Apiserver,
    settings: Settings,
    metrics: Arc<Metrics>,
    config: &Config,
) -> Result<(Arc<Context>, Vec<BoxFuture<'static, ()>>, News), Failure> {
    let Apiserver { client, rotating, watching, date } = apiserver;
    let (feeds, watches) = feeds::feeds(&watching, &settings, config.watch_secrets);
    let (news_in, news_out) = mpsc::unbounded_channel();
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let aws = Aws::load(None).await;
    let own_identity = Arc::new(aws.own_identity());
    let databases = Arc::new(MySqlDatabases::new(Deadlines::default(), config.allow_loopback_databases));
    let sessions = Arc::new(aws.sessions());
    let engine = rotation::Engine::new(rotation::Parts {
        client: rotating.clone(),
        marks: MARKS,
        sight: match &feeds.secrets {
            Some(secrets) => Sight::Watched(secrets.store().clone()),
            None => Sight::Asked(client.clone()),
        },
        credentials: CredentialCache::new(rotating, sessions, own_identity.clone(), clock.clone()),
        logins: Logins::new(databases.clone(), clock.clone()),
        server_date: date,
        clock: clock.clone(),
        metrics: metrics.clone(),
        news: news_in,
    });
    let context = Context {
        client,
        settings,
        feeds,
        clock,
        metrics,
        rds: Arc::new(aws.rds()),
        proxies: Arc::new(aws.proxies()),
        deployments: Arc::new(aws.deployments()),
        admin_secrets: Arc::new(aws.admin_secrets()),
        own_identity,
        databases,
        policies: Arc::new(aws.policies()),
        quotas: Arc::new(aws.quotas()),
        looks: Looks::default(),
        trust_stores: Arc::new(HttpsTrustStores::new(config.trust_store_url.clone())?),
        refusals: Refusals::default(),
        bundles: Bundles::default(),
        entitlements: Entitlements::default(),
        desks: Desks::default(),
        turnstile: Turnstile::default(),
        engine,
    };
    Ok((Arc::new(context), watches, news_out))
}

/// Waits for the watches to catch up and, in an election, for the lead; then acts until `stop` or until the lead is lost. A replica that does not
/// lead keeps its watches, so it can act at once.
async fn work(
    context: Arc<Context>,
    news: News,
    probes: Probes,
    candidate: Option<Candidate>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let feeds = &context.feeds;
    let caught_up = future::join_all([
        feeds.servers.caught_up().boxed(),
        feeds.users.caught_up().boxed(),
        feeds.tokens.caught_up().boxed(),
        feeds.namespaces.caught_up().boxed(),
        feeds.service_accounts.caught_up().boxed(),
        feeds.config_maps.caught_up().boxed(),
        OptionFuture::from(feeds.secrets.as_ref().map(Feed::caught_up)).map(|_| ()).boxed(),
    ]);
    tokio::select! {
        _ = caught_up => probes.readiness.ready(),
        () = stop.cancelled() => return Ok(()),
    }
    tracing::info!("watches have caught up");
    let Some(mut candidate) = candidate else {
        return act(context, news, Fence::open(), probes.pulse, stop).await.map_err(Failure::Panicked);
    };
    let fence = Fence::closed();
    if !candidate.win(&fence, &stop).await {
        return Ok(());
    }
    tracing::info!("leading");
    // A task of its own, so that no work delays a renewal.
    let mut acting = tokio::spawn(act(context, news, fence.clone(), probes.pulse, stop));
    let ended = tokio::select! {
        ended = &mut acting => ended,
        () = candidate.keep(&fence) => return Err(Failure::LeaseLost),
    };
    candidate.release(&fence).await;
    ended.and_then(|ended| ended).map_err(Failure::Panicked)
}

/// Acts until `stop`; what is under way is finished, as long as the fence is open. Everything that has effects outside starts here.
async fn act(
    context: Arc<Context>,
    news: News,
    fence: Fence,
    pulse: Pulse,
    stop: CancellationToken,
) -> Result<(), JoinError> {
    context.metrics.leads();
    let secrets = match &context.feeds.secrets {
        Some(secrets) => secrets.subscribe().boxed(),
        None => stream::empty().boxed(),
    };
    // A task of its own, so that no reconciliation delays it.
    let rotation = tokio::spawn(context.engine.clone().run(secrets, fence.clone(), pulse, stop.clone()));
    future::try_join(rotation, run_all(context, feed::stream(news), fence, stop).map(Ok)).await?;
    tracing::info!("stopped");
    Ok(())
}

/// How Secrets are marked.
pub const MARKS: Marks = Marks {
    secret_type: api::SECRET_TYPE,
    owner_kind: api::TOKEN_KIND,
    managed_by: (api::MANAGED_BY_LABEL, api::MANAGED_BY),
    owner_uid: api::OWNER_UID_LABEL,
    expires_at_label: api::EXPIRES_AT_LABEL,
    expires_at: api::EXPIRES_AT_ANNOTATION,
    issued_at: api::ISSUED_AT_ANNOTATION,
    inputs: api::INPUTS_ANNOTATION,
    applied: api::APPLIED_ANNOTATION,
};

/// The election has a client of its own: no other request stands in its way, and a retry would outlive the lease.
async fn candidate(date: &Arc<ServerDate>, namespace: &str, election: Election) -> Result<Candidate, Failure> {
    let client = client(date, Patience::Own).await?;
    let Election { lease, identity } = election;
    Ok(Candidate::new(client, namespace, lease, identity, || WallClock.now()))
}
