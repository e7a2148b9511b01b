//! `DbServer`: where a database is, who administers it and who may ask for what. Cluster-scoped, the platform team's.

mod admin;
mod source;
mod status;
mod tenancy;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::iam_db_user::DeletionPolicy;

pub use admin::{Admin, AdminType, IamLogin, SecretLogin, SecretsManagerLogin};
pub use source::{HostPort, Identifier, Source, SourceType, StaticSource};
pub use status::{DbServerStatus, Endpoints};
pub use tenancy::{NamespaceSet, TenancyRule};

/// A database server on RDS, and the rules by which tenants may use it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "iamdb.dev",
    version = "v1alpha1",
    kind = "DbServer",
    plural = "dbservers",
    shortname = "dbs",
    category = "iamdb",
    status = "DbServerStatus",
    derive = "PartialEq",
    doc = "Where a database is, who administers it, and who may ask for what.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Engine", type_ = "string", json_path = ".status.engine"),
    printcolumn(name = "Resource", type_ = "string", json_path = ".status.resourceId"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec.region == oldSelf.spec.region").message("spec.region is immutable"),
    validation = Rule::new("self.spec.source == oldSelf.spec.source").message("spec.source is immutable")
)]
#[serde(rename_all = "camelCase")]
pub struct DbServerSpec {
    /// AWS Region of the database. Required: a token signed for a guessed Region is refused with no explanation.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    pub region: String,
    /// Where the database is. Immutable.
    pub source: Source,
    /// How the operator logs in to manage accounts. Without it only tokens for accounts that somebody else makes are possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// What the database's certificate is verified against. It is always verified.
    pub ca: Ca,
    /// What to do about IAM database authentication being off.
    #[serde(default)]
    pub iam_authentication: IamAuthentication,
    /// How `rds-db:connect` policies are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Who may ask for what. A request fits one rule whole or is refused; an empty list admits nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tenancy: Vec<TenancyRule>,
    /// What applies where an object says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
}

/// What certificates are verified against: a `type` and the member of that name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'ConfigMap' ? has(self.configMap) : !has(self.configMap)")
        .message("configMap is required when type is ConfigMap, and forbidden otherwise")
)]
pub struct Ca {
    /// Which member is set.
    #[serde(rename = "type")]
    pub kind: CaType,
    /// A ConfigMap in the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapKey>,
}

/// The kinds of CA sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CaType {
    /// A ConfigMap in the operator's namespace.
    ConfigMap,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// One key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ConfigMapKey {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// Key that holds PEM certificates.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}

/// What to do about IAM database authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum IamAuthentication {
    /// Report when it is off.
    #[default]
    Check,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How policies are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Whether the operator writes policies itself.
    #[serde(default)]
    pub mode: PolicyMode,
    /// IAM path of the policies. Default: `/iamdb/<cluster id>/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 200), regex(pattern = r"^/([A-Za-z0-9_.,+@=-]+/)+$"))]
    pub path: Option<String>,
    /// What kind of policy.
    #[serde(default)]
    pub attach: PolicyAttach,
}

/// Who writes the policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PolicyMode {
    /// The operator writes and attaches them.
    #[default]
    Manage,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The kind of policy that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PolicyAttach {
    /// Customer managed policies, attached to the principal.
    #[default]
    ManagedPolicy,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What applies where an object says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// What becomes of an account when its IamDbUser goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}
