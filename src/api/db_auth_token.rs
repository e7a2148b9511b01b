//! `DbAuthToken`: a Secret that always holds a live token, the endpoint and the CA.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::{self, Conditions};
use super::duration::Duration;

/// A live token for an account, kept in a Secret of this namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "iamdb.dev",
    version = "v1alpha1",
    kind = "DbAuthToken",
    plural = "dbauthtokens",
    shortname = "dat",
    category = "iamdb",
    namespaced,
    status = "DbAuthTokenStatus",
    derive = "PartialEq",
    doc = "A Secret that always holds a live token, the endpoint and the CA.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "User", type_ = "string", json_path = ".spec.userRef.name"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".spec.secret.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec.userRef == oldSelf.spec.userRef").message("spec.userRef is immutable"),
    validation = Rule::new("self.spec.secret.name == oldSelf.spec.secret.name")
        .message("spec.secret.name is immutable"),
    validation = Rule::new("!has(self.spec.rotation) || !has(self.spec.rotation.renewBefore) || (duration(self.spec.rotation.renewBefore) >= duration('7m') && duration(self.spec.rotation.renewBefore) <= duration('12m'))")
        .message("spec.rotation.renewBefore must be between 7m and 12m")
)]
#[serde(rename_all = "camelCase")]
pub struct DbAuthTokenSpec {
    /// The IamDbUser, in this namespace, whose account the token is for. Immutable.
    pub user_ref: UserRef,
    /// The endpoint that the token is signed for. Default: the writer.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// The database that clients select; written to the Secret, not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_$-]{1,64}$"))]
    pub database: Option<String>,
    /// With whose rights the token is signed.
    pub identity: Identity,
    /// When tokens are renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// The Secret that is written.
    pub secret: SecretTemplate,
    /// Stops rotation until this is taken back. The Secret goes when its token has run out.
    #[serde(default)]
    pub suspend: bool,
}

/// Names an IamDbUser.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct UserRef {
    /// Name of the IamDbUser.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// An endpoint of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Endpoint {
    /// Which endpoint.
    #[serde(default, rename = "type")]
    pub kind: EndpointType,
}

/// The kinds of endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum EndpointType {
    /// The endpoint that takes writes.
    #[default]
    Writer,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// With whose rights tokens are signed: a `type` and the member of that name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'ServiceAccount' ? has(self.serviceAccount) : !has(self.serviceAccount)")
        .message("serviceAccount is required when type is ServiceAccount, and forbidden otherwise"),
    validation = Rule::new("self.type == 'AssumeRole' ? has(self.assumeRole) : !has(self.assumeRole)")
        .message("assumeRole is required when type is AssumeRole, and forbidden otherwise")
)]
pub struct Identity {
    /// Which member is set.
    #[serde(rename = "type")]
    pub kind: IdentityType,
    /// A ServiceAccount of this namespace, by the role in its IRSA annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountIdentity>,
    /// A role that the operator assumes, where a tenancy rule lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRoleIdentity>,
}

/// The kinds of identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum IdentityType {
    /// A ServiceAccount of this namespace.
    ServiceAccount,
    /// A role that the operator assumes.
    AssumeRole,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Signs with the role of a ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ServiceAccountIdentity {
    /// Name of the ServiceAccount.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Signs with a role that the operator assumes, always with the ExternalId `<cluster id>/<namespace>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssumeRoleIdentity {
    /// ARN of the role.
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")
    )]
    pub role_arn: String,
}

/// When tokens are renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// How long before its end a token is replaced: 7m to 12m. Default: 7m30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Duration>,
}

/// The Secret that is written.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.labels) || self.labels.all(k, !k.contains('iamdb.dev/') && !k.contains('kubernetes.io/') && !k.contains('k8s.io/'))")
        .message("labels must not use the prefixes iamdb.dev/, kubernetes.io/ or k8s.io/"),
    validation = Rule::new("!has(self.annotations) || self.annotations.all(k, !k.contains('iamdb.dev/') && !k.contains('kubernetes.io/') && !k.contains('k8s.io/'))")
        .message("annotations must not use the prefixes iamdb.dev/, kubernetes.io/ or k8s.io/")
)]
pub struct SecretTemplate {
    /// Name of the Secret, in this namespace. Immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// Files beside the binding's own keys.
    #[serde(default = "default_formats")]
    #[schemars(length(min = 1, max = 8))]
    // Not a set: server-side apply would add to the default instead of replacing it.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub formats: Vec<Format>,
    /// Where pods mount the Secret: written where a file must name the CA file.
    /// Default: `/var/run/secrets/iamdb.dev/<secret name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^(/[A-Za-z0-9._-]+)+$"))]
    pub mount_path: Option<String>,
    /// Labels for the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), inner(length(max = 63)))]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), inner(length(max = 1024)))]
    pub annotations: BTreeMap<String, String>,
}

fn default_formats() -> Vec<Format> {
    vec![Format::Binding]
}

/// Files that the Secret can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
pub enum Format {
    /// The keys of the service binding specification; always there.
    Binding,
    /// `my.cnf`, for the clients of MySQL and MariaDB.
    MyCnf,
    /// A format that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What the operator keeps.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DbAuthTokenStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `host:port` that the token is signed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub signed_host: Option<String>,
    /// The role whose credentials sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub principal_arn: Option<String>,
    /// The Secret, as the service binding specification wants it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingRef>,
    /// Ready, IdentityReady, SecretReady, CaReady.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Conditions,
}

/// Names the Secret of a provisioned service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct BindingRef {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub name: String,
}
