//! What the operator found out about a server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::HostPort;
use crate::api::condition;
use crate::api::{AttachmentStatus, Conditions};

/// What the operator found out about the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DbServerStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `db-...` or `cluster-...`: what policies name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub resource_id: Option<String>,
    /// Resource ids that the server had before, which policies still name for a while: it was restored or made anew under its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["resourceId".into()]))]
    pub previous_resource_ids: Vec<PreviousResourceId>,
    /// Resource ids that the server may get at any moment: the green side of a blue/green deployment. Policies name them from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 255)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub upcoming_resource_ids: Vec<String>,
    /// ARN of the DB instance or cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub arn: Option<String>,
    /// Account that owns the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12))]
    pub account_id: Option<String>,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub partition: Option<String>,
    /// Engine as RDS names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub engine: Option<String>,
    /// Engine version as RDS tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub engine_version: Option<String>,
    /// Whether RDS says that IAM database authentication is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_authentication: Option<bool>,
    /// Name of the master user, which no IamDbUser may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub master_username: Option<String>,
    /// ARN of the secret with the master user's password, which RDS manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub admin_secret_arn: Option<String>,
    /// CA that signed the instance's certificate, as RDS names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub ca_identifier: Option<String>,
    /// Where clients connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// What the server and the administrator's login can do, as the last login found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// What IAM allows the database's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// The principals of `spec.policy.fullAccess`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["principal".into(), "path".into()]))]
    pub attachments: Vec<AttachmentStatus>,
    /// Ready, Resolved, AdminReachable, IamAuthentication; PolicyReady where `spec.policy.fullAccess` is set.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Conditions,
}

/// A resource id that a server had before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviousResourceId {
    /// `db-...` or `cluster-...`.
    #[schemars(length(max = 255))]
    pub resource_id: String,
    /// Until when policies still name it, RFC 3339.
    #[schemars(length(max = 64))]
    pub until: String,
}

/// What a server and the administrator's login can do. What is not said is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Whether the administrator may grant roles and make them default roles: all, or those that it may pass on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<bool>,
    /// Whether the administrator may end other accounts' sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_sessions: Option<bool>,
    /// Whether accounts carry the mark of ownership themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<bool>,
}

/// What IAM allows an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quotas {
    /// Managed policies that it may have.
    pub policies_quota: u32,
    /// Characters that a managed policy may have.
    pub policy_size_quota: u32,
}

/// Endpoints of a server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Endpoints {
    /// The endpoint that takes writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<HostPort>,
    /// The endpoint for reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<HostPort>,
    /// Custom endpoints of a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub custom: Vec<NamedEndpoint>,
    /// Instances of a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub instances: Vec<NamedEndpoint>,
    /// Read replicas of a DB instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub replicas: Vec<ReplicaStatus>,
    /// Proxies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub proxies: Vec<ProxyStatus>,
}

/// An endpoint with a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct NamedEndpoint {
    /// Its name, as RDS lists it.
    #[schemars(length(max = 255))]
    pub name: String,
    /// Host name.
    #[schemars(length(max = 253))]
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A read replica of a DB instance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// Its identifier.
    #[schemars(length(max = 255))]
    pub name: String,
    /// `db-...`: its own.
    #[schemars(length(max = 255))]
    pub resource_id: String,
    /// Host name.
    #[schemars(length(max = 253))]
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A proxy.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyStatus {
    /// Its name in the spec.
    #[schemars(length(max = 63))]
    pub name: String,
    /// `prx-...`: what policies name for it.
    #[schemars(length(max = 255))]
    pub resource_id: String,
    /// How it logs in to the database.
    pub scheme: ProxyScheme,
    /// Role that it logs in with, where that is by IAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub role_arn: Option<String>,
    /// Host name of its default endpoint.
    #[schemars(length(max = 253))]
    pub host: String,
    /// TCP port of all its endpoints.
    pub port: u16,
    /// Further endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub endpoints: Vec<NamedEndpoint>,
}

/// How a proxy logs in to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ProxyScheme {
    /// As a user with a password that it keeps in Secrets Manager: the account in the database is no IAM account.
    Standard,
    /// With IAM tokens of its own role: the account in the database is an IAM account.
    EndToEndIam,
    /// A way that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
