//! `DbAuthToken`: a Secret that always holds a live token, the endpoint and the CA.

mod identity;
mod secret;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::{self, Conditions};
use super::duration::Duration;

pub use identity::{AssumeRoleIdentity, Identity, IdentityType, ServiceAccountIdentity};
pub use secret::{Format, SecretTemplate};

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
        .message("spec.rotation.renewBefore must be between 7m and 12m"),
    validation = Rule::new("!has(self.spec.ca) || !has(self.spec.ca.type) || self.spec.ca.type != 'None' || !has(self.spec.secret.formats) || self.spec.secret.formats.all(f, f != 'Pkcs12' && f != 'P7b')")
        .message("the formats Pkcs12 and P7b hold the CA bundle: spec.ca.type must not be None")
)]
#[serde(rename_all = "camelCase")]
pub struct DbAuthTokenSpec {
    /// The IamDbUser whose account the token is for. Immutable.
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
    /// The CA bundle in the Secret.
    #[serde(default)]
    pub ca: TokenCa,
    /// Whether the operator logs in with what it publishes, and tells in `LoginVerified` what came of it. Rotation never waits for it.
    #[serde(default)]
    pub verify_login: VerifyLogin,
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
    /// Its namespace. Default: this one. The IamDbUser of another must list this namespace in its `tokenConsumers`, and a tenancy rule must admit this
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
}

/// An endpoint of the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[x_kube(
    validation = Rule::new("self.type in ['Custom', 'Instance', 'Replica', 'Proxy'] ? has(self.name) : !has(self.name)")
        .message("name is required when type is Custom, Instance, Replica or Proxy, and forbidden otherwise"),
    validation = Rule::new("!has(self.alias) || self.type in ['Writer', 'Reader']")
        .message("an alias stands for the writer or the reader")
)]
pub struct Endpoint {
    /// Which endpoint.
    #[serde(default, rename = "type")]
    pub kind: EndpointType,
    /// Name of the custom endpoint, the instance, the read replica, or the proxy; `<proxy>/<endpoint>` for a further endpoint of a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127), regex(pattern = r"^[A-Za-z0-9-]+(/[A-Za-z0-9-]+)?$"))]
    pub name: Option<String>,
    /// Name of one of the DbServer's aliases: what clients dial instead. The token is signed for RDS's name all the same, and clients verify the CA
    /// alone, because no RDS certificate names an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub alias: Option<String>,
}

/// The kinds of endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum EndpointType {
    /// The endpoint that takes writes.
    #[default]
    Writer,
    /// The endpoint for reads.
    Reader,
    /// A custom endpoint of a cluster.
    Custom,
    /// An instance of a cluster.
    Instance,
    /// A read replica of a DB instance.
    Replica,
    /// A proxy.
    Proxy,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The CA bundle in the Secret.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[x_kube(
    validation = Rule::new("!has(self.key) || self.type == 'Server'").message("key is forbidden when type is None"),
    validation = Rule::new("!has(self.key) || !(self.key in ['type', 'provider', 'host', 'port', 'username', 'password', 'uri', 'database', 'token-expires-at', 'my.cnf', 'database.url', 'jdbc.properties', 'go.dsn', 'truststore.p12', 'truststore.password', 'ca.p7b'])")
        .message("key is the name of another key of the Secret")
)]
pub struct TokenCa {
    /// Which bundle.
    #[serde(default, rename = "type")]
    pub kind: TokenCaType,
    /// Key of the Secret that holds it. Default: `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: Option<String>,
}

/// The CA bundles that a Secret can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TokenCaType {
    /// What the server's certificate is verified against.
    #[default]
    Server,
    /// None: clients bring their own.
    None,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Whether the operator logs in with what it publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum VerifyLogin {
    /// It does not.
    #[default]
    Never,
    /// With the first token, and the first after a change of the object.
    OnCreate,
    /// With every token.
    Always,
    /// A choice that this version does not know; nothing is verified.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// When tokens are renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// How long before its end a token is replaced: 7m to 12m. Default: 7m30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Duration>,
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
    /// `host:port` that clients dial, where it is not the one that the token is signed for. They verify the CA alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub alias: Option<String>,
    /// The role whose credentials sign; none when that is the operator itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub principal_arn: Option<String>,
    /// The Secret, as the service binding specification wants it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingRef>,
    /// Ready, IdentityReady, SecretReady, CaReady, LoginVerified.
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
