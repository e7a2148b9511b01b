//! What every controller has at hand.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;

use super::bundles::Bundles;
use super::iam_db_user::{Desks, Turnstile};
use super::looks::Looks;
use super::policies::Entitlements;
use super::refusals::Refusals;
use crate::api::{DbAuthToken, DbServer, IamDbUser};
use crate::domain::reach::Reach;
use crate::k8s::feed::{Feed, Index, digest};
use crate::ports::{
    AccountQuotas, AdminSecrets, Clock, Databases, Deployments, OwnIdentity, Policies, Proxies, RdsServers, TrustStores,
};
use crate::rotation::{Engine, TokenSecret};
use crate::telemetry::metrics::Metrics;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Id of this cluster, in every mark of ownership.
    pub cluster_id: String,
    /// Namespace of the operator, where ConfigMaps with CAs are.
    pub namespace: String,
    /// Where it acts.
    pub reach: Reach,
    /// Whether sessions are tagged with cluster and namespace.
    pub session_tags: bool,
    /// How often everything is looked at again although nothing changed in Kubernetes.
    pub resync: Duration,
}

/// The watches.
pub struct Feeds {
    /// All DbServers.
    pub servers: Feed<DbServer>,
    /// All IamDbUsers where the operator acts, by [`username`](Self::by_username).
    pub users: Feed<IamDbUser>,
    /// All DbAuthTokens there, by [`user`](Self::by_user).
    pub tokens: Feed<DbAuthToken>,
    /// All namespaces, for the labels that tenancy rules select.
    pub namespaces: Feed<Namespace>,
    /// All ServiceAccounts there, for the roles that their annotations name.
    pub service_accounts: Feed<PartialObjectMeta<ServiceAccount>>,
    /// ConfigMaps of the operator's namespace.
    pub config_maps: Feed<ConfigMap>,
    /// The operator's own Secrets: what must be known of them, and nothing of their contents; none where it has no right to watch them.
    pub secrets: Option<Feed<TokenSecret>>,
}

impl Feeds {
    /// What IamDbUsers are indexed by.
    #[must_use]
    pub fn by_username(user: &IamDbUser) -> u64 {
        digest(&user.spec.username)
    }

    /// All IamDbUsers of this username, on whatever server.
    pub(super) fn users_called(&self, username: &str) -> impl Iterator<Item = Arc<IamDbUser>> {
        let found = self.users.index().about(&username);
        found.into_iter().filter(move |user| user.spec.username == username)
    }

    /// What DbAuthTokens are indexed by: namespace and name of their IamDbUser.
    #[must_use]
    pub fn by_user(token: &DbAuthToken) -> u64 {
        digest(&home_of_user(token))
    }
}

/// Namespace and name of the IamDbUser of a token.
fn home_of_user(token: &DbAuthToken) -> (Option<&str>, &str) {
    let user = &token.spec.user_ref;
    (user.namespace.as_deref().or(token.metadata.namespace.as_deref()), &user.name)
}

/// The DbAuthTokens of an IamDbUser.
pub(super) fn tokens_of(tokens: &Index<DbAuthToken>, user: &ObjectRef<IamDbUser>) -> Vec<Arc<DbAuthToken>> {
    let home = (user.namespace.as_deref(), user.name.as_str());
    let mut found = tokens.about(&home);
    found.retain(|token| home_of_user(token) == home);
    found
}

/// What every controller has at hand.
pub struct Context {
    /// The apiserver.
    pub client: kube::Client,
    /// What the command line decided.
    pub settings: Settings,
    /// The watches.
    pub feeds: Feeds,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// DB instances and clusters in RDS.
    pub rds: Arc<dyn RdsServers>,
    /// RDS Proxies.
    pub proxies: Arc<dyn Proxies>,
    /// Blue/green deployments in RDS.
    pub deployments: Arc<dyn Deployments>,
    /// Secrets Manager.
    pub admin_secrets: Arc<dyn AdminSecrets>,
    /// The operator's own AWS identity.
    pub own_identity: Arc<dyn OwnIdentity>,
    /// MySQL and MariaDB.
    pub databases: Arc<dyn Databases>,
    /// IAM.
    pub policies: Arc<dyn Policies>,
    /// What IAM allows accounts.
    pub quotas: Arc<dyn AccountQuotas>,
    /// When DbServers are looked at.
    pub looks: Looks,
    /// Where RDS publishes its CAs.
    pub trust_stores: Arc<dyn TrustStores>,
    /// Since when objects are refused.
    pub refusals: Refusals,
    /// CA bundles that were read.
    pub bundles: Bundles,
    /// Who may connect as whom, as far as this process has worked it out.
    pub entitlements: Entitlements,
    /// The administrators' sessions, and what they have read.
    pub desks: Desks,
    /// How many IamDbUsers of a server and of a namespace are worked on at a time.
    pub turnstile: Turnstile,
    /// The rotation engine.
    pub engine: Arc<Engine>,
}

impl Context {
    /// The pause before an object that is well is looked at again, spread so that objects made together do not stay together.
    #[must_use]
    pub fn resync_after(&self, uid: &str) -> Duration {
        let spread = crate::domain::schedule::share(uid);
        self.settings.resync.mul_f64(0.8_f64 + 0.4 * spread)
    }
}
