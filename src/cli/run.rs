//! `iamdb run`: the operator.

use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

use crate::api::Duration;
use crate::app::{self, Config, Election};
use crate::domain::reach::{self, Reach};
use crate::telemetry::logs::{self, LogFormat};

/// Threads that work. One is busy for half of its time where ten thousand Secrets are written as fast as an apiserver takes them; with one for each
/// core of a large node the allocator would keep a pool for each.
const WORKERS: usize = 2;

#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Args {
    /// Id of this cluster in every mark of ownership; two clusters may share a database, never an id [default: the uid of kube-system].
    #[arg(long, env = "IAMDB_CLUSTER_ID")]
    cluster_id: Option<String>,
    /// Namespace of the operator, where ConfigMaps with CA bundles are.
    #[arg(long, env = "POD_NAMESPACE", default_value = "iamdb-system")]
    operator_namespace: String,
    /// Namespaces to act in, parted by commas: nothing of any other is watched, read or written [default: all].
    #[arg(long, env = "IAMDB_NAMESPACES", value_delimiter = ',', value_parser = reach::namespace)]
    namespaces: Vec<String>,
    /// Whether the operator may list and watch Secrets. Without that right it reads each of its own once, and finds what others did to it when it
    /// renews the token.
    #[arg(long, env = "IAMDB_WATCH_SECRETS", default_value_t = true, action = clap::ArgAction::Set)]
    watch_secrets: bool,
    /// Whether replicas elect the one that acts. Without it this one acts, and nobody else may.
    #[arg(long, env = "IAMDB_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    leader_election: bool,
    /// Name of the Lease that replicas elect by, in the operator's namespace.
    #[arg(long, env = "IAMDB_LEASE", default_value = "iamdb-operator")]
    lease: String,
    /// Who this replica is in the election; under the same name it goes on with its term after a restart [default: a random name].
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// Address for /metrics, /healthz and /readyz.
    #[arg(long, env = "IAMDB_LISTEN", default_value = "[::]:8080")]
    listen: SocketAddr,
    /// How often accounts, policies and servers are compared with the outside although nothing changed in Kubernetes; 10s at least.
    #[arg(long, env = "IAMDB_RESYNC", default_value = "5m", value_parser = resync)]
    resync: Duration,
    /// How much the operator tells of itself: error, warn, info, debug or trace. Libraries tell nothing.
    #[arg(long, env = "IAMDB_LOG", default_value = "info")]
    log: LevelFilter,
    /// How log lines look.
    #[arg(long, env = "IAMDB_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Tag the sessions of roles with iamdb-cluster and iamdb-namespace. Their trust policies must then allow sts:TagSession.
    #[arg(long, env = "IAMDB_SESSION_TAGS")]
    session_tags: bool,
    /// Let databases have loopback and link-local addresses. For tests only: it opens the way to the machine's own services.
    #[arg(long, hide_short_help = true)]
    allow_loopback_databases: bool,
    /// Fetch CA bundles from here instead of from RDS's trust stores, without HTTPS too. For tests only.
    #[arg(long, env = "IAMDB_TRUST_STORE_URL", hide_short_help = true)]
    trust_store_url: Option<String>,
}

/// Databases and AWS are asked in each.
const SHORTEST_RESYNC: std::time::Duration = std::time::Duration::from_secs(10);

fn resync(text: &str) -> Result<Duration, String> {
    let resync: Duration = text.parse().map_err(|error: <Duration as std::str::FromStr>::Err| error.to_string())?;
    if resync.value() < SHORTEST_RESYNC {
        return Err("it must be 10s at least".to_owned());
    }
    Ok(resync)
}

impl Args {
    pub(super) fn run(self) -> Result<(), String> {
        logs::start(self.log, self.log_format);
        let election = Election { lease: self.lease, identity: self.identity.unwrap_or_else(random_name) };
        let config = Config {
            cluster_id: self.cluster_id,
            namespace: self.operator_namespace,
            reach: Reach::of(self.namespaces),
            watch_secrets: self.watch_secrets,
            election: self.leader_election.then_some(election),
            listen: self.listen,
            resync: self.resync.value(),
            allow_loopback_databases: self.allow_loopback_databases,
            session_tags: self.session_tags,
            trust_store_url: self.trust_store_url,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let outcome = runtime.block_on(async {
            let stop = CancellationToken::new();
            let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
            let stopped = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
                tracing::info!("stopping: what is under way is finished");
                stopped.cancel();
            });
            Box::pin(app::run(config, stop)).await.map_err(|error| super::chain(&error))
        });
        // Whatever is still under way is not waited for: a replica that lost its lease has no time.
        runtime.shutdown_background();
        outcome
    }
}

/// A name that no other process has. The standard library's hash keys are random.
fn random_name() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("iamdb-{:016x}", RandomState::new().build_hasher().finish())
}
