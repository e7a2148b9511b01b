//! `DbServer`: where a database is, who administers it and who may ask for what. Cluster-scoped, the platform team's.

mod admin;
mod policy;
mod source;
mod status;
mod tenancy;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::iam_db_user::DeletionPolicy;

pub use admin::{Admin, AdminType, IamLogin, SecretLogin, SecretsManagerLogin};
pub use policy::{FullAccess, Policy, PolicyAttach, PolicyMode};
pub use source::{Alias, AliasTarget, HostPort, Identifier, ProxyRef, Source, SourceType, StaticSource};
pub use status::{
    Capabilities, DbServerStatus, Endpoints, NamedEndpoint, PreviousResourceId, ProxyScheme, ProxyStatus, Quotas,
    ReplicaStatus,
};
pub use tenancy::{NamespaceSet, OperatorIdentityRule, TenancyRule};

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
    validation = Rule::new("self.spec.source == oldSelf.spec.source").message("spec.source is immutable"),
    validation = Rule::new("(has(self.spec.aws) && has(self.spec.aws.roleArn) ? self.spec.aws.roleArn : '') == (has(oldSelf.spec.aws) && has(oldSelf.spec.aws.roleArn) ? oldSelf.spec.aws.roleArn : '')")
        .message("spec.aws.roleArn is immutable")
)]
#[serde(rename_all = "camelCase")]
pub struct DbServerSpec {
    /// AWS Region of the database. Required: a token signed for a guessed Region is refused with no explanation.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    pub region: String,
    /// Where the database is. Immutable.
    pub source: Source,
    /// RDS Proxies that clients may connect through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub proxies: Vec<ProxyRef>,
    /// Names that clients dial instead of RDS's own: a CNAME, a tunnel. Tokens are signed for RDS's name all the same, and the operator never dials these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub aliases: Vec<Alias>,
    /// How the operator gets at the AWS account of the database, where that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsAccess>,
    /// How the operator logs in to manage accounts. Without it only tokens for accounts that somebody else makes are possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// What the database's certificate is verified against. It is always verified. Default: the bundle of the Region.
    #[serde(default)]
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
    /// Whether policies also name the read replicas of the DB instance, which have resource ids of their own.
    #[serde(default)]
    pub include_read_replicas: bool,
    /// Whether accounts that carry the mark of another server are taken over: this server was restored from a snapshot of that one.
    #[serde(default)]
    pub accept_restored: bool,
    /// Whether the operator changes accounts and policies, or only tells what it would change.
    #[serde(default)]
    pub mode: Mode,
}

/// How the operator gets at the AWS account of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsAccess {
    /// Role of the database's account that the operator assumes for RDS, IAM and Secrets Manager. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")
    )]
    pub role_arn: Option<String>,
    /// ExternalId that the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = r"^[A-Za-z0-9_+=,.@:/-]+$"))]
    pub external_id: Option<String>,
}

/// Whether the operator changes accounts and policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It tells what it would change, and changes neither accounts nor policies. Tokens rotate all the same.
    Observe,
    /// A choice that this version does not know; nothing is changed.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What certificates are verified against: a `type` and the member of that name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CaType {
    /// The bundle that RDS publishes for the Region; for proxies the roots of Amazon Trust Services.
    #[default]
    Region,
    /// The bundle that RDS publishes for all Regions of the partition; for proxies the roots of Amazon Trust Services.
    Global,
    /// A ConfigMap in the operator's namespace, for proxies too.
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
    /// Switch it on at once, unless other changes are pending: RDS would apply those with it.
    Enable,
    /// Switch it on in the next maintenance window.
    EnableInMaintenanceWindow,
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
