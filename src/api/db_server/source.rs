//! Where a database is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a database is: a `type` and the member of that name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'DbInstance' ? has(self.dbInstance) : !has(self.dbInstance)")
        .message("dbInstance is required when type is DbInstance, and forbidden otherwise"),
    validation = Rule::new("self.type == 'DbCluster' ? has(self.dbCluster) : !has(self.dbCluster)")
        .message("dbCluster is required when type is DbCluster, and forbidden otherwise"),
    validation = Rule::new("self.type == 'Static' ? has(self.static) : !has(self.static)")
        .message("static is required when type is Static, and forbidden otherwise")
)]
pub struct Source {
    /// Which member is set.
    #[serde(rename = "type")]
    pub kind: SourceType,
    /// A DB instance, found by DescribeDBInstances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_instance: Option<Identifier>,
    /// An Aurora or Multi-AZ DB cluster, found by DescribeDBClusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_cluster: Option<Identifier>,
    /// Everything said here, for operators without describe rights.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub fixed: Option<StaticSource>,
}

/// The kinds of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SourceType {
    /// A DB instance that is not a member of a cluster.
    DbInstance,
    /// A DB cluster.
    DbCluster,
    /// Nothing is looked up.
    Static,
    /// A type that this version does not know. It is never written, only met.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Identifier of a DB instance or cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Identifier {
    /// The identifier as RDS lists it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub identifier: String,
}

/// A database described by hand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticSource {
    /// Account that owns the database.
    #[schemars(length(min = 12, max = 12), regex(pattern = r"^[0-9]{12}$"))]
    pub account_id: String,
    /// `db-...` or `cluster-...`.
    #[schemars(length(min = 4, max = 64), regex(pattern = r"^(db|cluster)-[A-Z0-9]+$"))]
    pub resource_id: String,
    /// `mysql`, `mariadb` or `aurora-mysql`.
    #[schemars(length(min = 1, max = 32))]
    pub engine: String,
    /// Endpoint that takes writes.
    pub writer: HostPort,
    /// Endpoint for reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<HostPort>,
}

/// A host name and a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct HostPort {
    /// Host name, lower case.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9.-]+$"))]
    pub host: String,
    /// TCP port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// An RDS Proxy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ProxyRef {
    /// Name by which tokens ask for it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The proxy as RDS lists it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9-]*$"))]
    pub identifier: String,
}

/// A name that clients dial instead of an endpoint's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Alias {
    /// Name by which tokens ask for it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The endpoint behind it.
    #[serde(rename = "for")]
    pub target: AliasTarget,
    /// Host name that clients dial, lower case.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub host: String,
    /// Port that clients dial.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
}

/// The endpoints that an alias can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AliasTarget {
    /// The endpoint that takes writes.
    Writer,
    /// The endpoint for reads.
    Reader,
    /// An endpoint that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
