//! `DbServer`: where a database is, who administers it and who may ask for what. Cluster-scoped, the platform team's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::{self, Conditions};
use super::iam_db_user::{DeletionPolicy, Privilege};

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

/// How the operator logs in as the administrator: a `type` and the member of that name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'SecretsManager' ? has(self.secretsManager) : !has(self.secretsManager)")
        .message("secretsManager is required when type is SecretsManager, and forbidden otherwise"),
    validation = Rule::new("self.type == 'SecretRef' ? has(self.secretRef) : !has(self.secretRef)")
        .message("secretRef is required when type is SecretRef, and forbidden otherwise"),
    validation = Rule::new("self.type == 'Iam' ? has(self.iam) : !has(self.iam)")
        .message("iam is required when type is Iam, and forbidden otherwise")
)]
pub struct Admin {
    /// Which kind of credentials.
    #[serde(rename = "type")]
    pub kind: AdminType,
    /// A secret in AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<SecretsManagerLogin>,
    /// A Secret in the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretLogin>,
    /// A login of the operator's own, with IAM tokens: no static password is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamLogin>,
}

/// A login in AWS Secrets Manager: JSON with `username` and `password`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct SecretsManagerLogin {
    /// ARN of the secret.
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$")
    )]
    pub arn: String,
}

/// A login in a Secret of the operator's namespace that carries the label `iamdb.dev/admin-credentials=true`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretLogin {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// Key that holds the user name.
    #[serde(default = "default_username_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub username_key: String,
    /// Key that holds the password.
    #[serde(default = "default_password_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub password_key: String,
}

fn default_username_key() -> String {
    "username".to_owned()
}

fn default_password_key() -> String {
    "password".to_owned()
}

/// An account that the operator uses with tokens that it signs itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct IamLogin {
    /// Name of the account.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$"))]
    pub username: String,
}

/// The kinds of administrator credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AdminType {
    /// The master user's secret that RDS manages, found by describing the instance. Read at each use, since RDS rotates it.
    MasterUserSecret,
    /// A secret in AWS Secrets Manager.
    SecretsManager,
    /// A Secret in the operator's namespace.
    SecretRef,
    /// IAM tokens of the operator's own.
    Iam,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
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

/// One rule: these namespaces may ask for this. A request must fit one rule whole.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenancyRule {
    /// Name of the rule, for messages.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Namespaces that the rule is for.
    pub namespaces: NamespaceSet,
    /// Globs over usernames; `${namespace}` stands for the object's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub usernames: Vec<String>,
    /// Globs over literal database names; `_` and `%` are ordinary characters; `${namespace}` stands for the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub databases: Vec<String>,
    /// Privileges that grants may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub privileges: Vec<Privilege>,
    /// Host patterns that accounts may have, compared literally.
    #[serde(default = "any_host")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    // Not a set: server-side apply would add to the default instead of replacing it.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub hosts: Vec<String>,
    /// ARN patterns of the principals that policies may be attached to; `*` does not match `/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub principals: Vec<String>,
    /// ARN patterns of the roles that the operator may assume to sign tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 2048)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub assume_roles: Vec<String>,
    /// Whether policies may reach every server of the account and Region that has an account of the name.
    #[serde(default)]
    pub allow_account_region_scope: bool,
}

fn any_host() -> Vec<String> {
    vec!["%".to_owned()]
}

/// Namespaces, by name or by label. Both may be given; either admits.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[x_kube(
    validation = Rule::new("has(self.names) || has(self.selector)").message("give names or a selector")
)]
pub struct NamespaceSet {
    /// Namespaces by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Namespaces by label. An empty selector matches every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
}

/// Schema of a label selector. By hand, because the generated one has no limits.
fn label_selector(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 63}
            },
            "matchExpressions": {
                "type": "array", "maxItems": 32, "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "maxLength": 317},
                        "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                        "values": {
                            "type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string", "maxLength": 63}
                        }
                    }
                }
            }
        }
    })
}

/// What applies where an object says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// What becomes of an account when its IamDbUser goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

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
