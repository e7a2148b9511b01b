//! What RDS knows of servers, and the one thing that it is asked to change.

use async_trait::async_trait;

use super::Fault;
use crate::domain::access::Access;

/// What RDS lists a server under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// A DB instance.
    Instance(String),
    /// A DB cluster.
    Cluster(String),
}

/// Host and port, as RDS tells them.
pub type Address = (String, u16);

/// A DB instance or a DB cluster as RDS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdsServer {
    /// `available`, `creating`, ...
    pub state: String,
    /// Its ARN.
    pub arn: String,
    /// `db-...` or `cluster-...`
    pub resource_id: String,
    /// Engine as RDS names it.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// Where writes go; absent while it is being created.
    pub writer: Option<Address>,
    /// Where reads go; a cluster's only.
    pub reader: Option<Address>,
    /// Whether IAM database authentication is on.
    pub iam_authentication: bool,
    /// What waits to be applied.
    pub pending: Pending,
    /// Name of the master user.
    pub master_username: String,
    /// ARN of the secret with the master user's password, where RDS manages it.
    pub master_secret_arn: Option<String>,
    /// CA that signed the certificate.
    pub ca_identifier: Option<String>,
    /// Cluster that the instance is a member of.
    pub member_of: Option<String>,
    /// Custom endpoints of the cluster.
    pub custom: Vec<(String, Address)>,
    /// Members of the cluster that have an endpoint.
    pub instances: Vec<(String, Address)>,
    /// Read replicas of the instance, in its own Region, that have an endpoint.
    pub replicas: Vec<Replica>,
}

/// Changes that RDS has accepted and not applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Whether switching IAM authentication on is among them.
    pub iam_authentication: bool,
    /// The others, in words of ours.
    pub others: Vec<&'static str>,
}

/// A read replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its identifier.
    pub name: String,
    /// `db-...`
    pub resource_id: String,
    /// Where it listens.
    pub address: Address,
}

/// When a change is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// At once, with everything else that is pending.
    Immediately,
    /// In the next maintenance window.
    InMaintenanceWindow,
}

/// What RDS knows of servers.
#[async_trait]
pub trait RdsServers: Send + Sync {
    /// Describes a server with all its endpoints; none when RDS says that there is none of that name.
    async fn describe(&self, access: &Access, name: &ServerName) -> Result<Option<RdsServer>, Fault>;

    /// Maintenance that waits for a server, in words of ours.
    async fn maintenance(&self, access: &Access, arn: &str) -> Result<Vec<&'static str>, Fault>;

    /// Asks RDS to switch IAM database authentication on.
    async fn enable_iam(&self, access: &Access, name: &ServerName, apply: Apply) -> Result<(), Fault>;
}

/// Blue/green deployments.
#[async_trait]
pub trait Deployments: Send + Sync {
    /// The green sides that a server may be switched over to.
    async fn green(&self, access: &Access, arn: &str) -> Result<Vec<ServerName>, Fault>;
}

/// An RDS Proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `available`, `creating`, ...
    pub state: String,
    /// `prx-...`
    pub resource_id: String,
    /// Whether it logs in to the database with IAM tokens of its own.
    pub by_iam: bool,
    /// Role that it uses.
    pub role_arn: Option<String>,
    /// Host name of its default endpoint.
    pub host: Option<String>,
    /// Names and hosts of its further endpoints.
    pub endpoints: Vec<(String, String)>,
    /// Identifiers of the DB instances and clusters that it passes connections to.
    pub targets: Vec<String>,
}

/// RDS Proxies.
#[async_trait]
pub trait Proxies: Send + Sync {
    /// Describes a proxy; none when RDS says that there is none of that name.
    async fn describe(&self, access: &Access, name: &str) -> Result<Option<Proxy>, Fault>;
}
