//! With whose rights tokens are signed.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// The operator itself, where a tenancy rule lists the account in its `operatorIdentity`.
    Operator,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Signs with the role of a ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountIdentity {
    /// Name of the ServiceAccount.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// A role, of the database's account say, that the ServiceAccount's role assumes to sign with, always with the ExternalId
    /// `<cluster id>/<namespace>`. A tenancy rule must list it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")
    )]
    pub then_assume: Option<String>,
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
