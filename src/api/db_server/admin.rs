//! How the operator logs in as the administrator.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
