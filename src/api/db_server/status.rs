//! What the operator found out about a server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::HostPort;
use crate::api::Conditions;
use crate::api::condition;

/// What the operator found out about the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DbServerStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `db-...`: what policies name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub resource_id: Option<String>,
    /// ARN of the DB instance.
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
    /// Ready, Resolved, AdminReachable, IamAuthentication.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Conditions,
}

/// Endpoints of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Endpoints {
    /// The endpoint that takes writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<HostPort>,
    /// The endpoint for reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<HostPort>,
}
