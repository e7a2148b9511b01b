//! What the operator made for a user.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{Conditions, condition};

/// What the operator made.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IamDbUserStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The accounts in the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["host".into()]))]
    pub accounts: Vec<AccountStatus>,
    /// What differs from the spec and is left as it is, since the DbServer's mode is Observe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub drift: Vec<String>,
    /// The policies that name this account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["arn".into()]))]
    pub policies: Vec<PolicyStatus>,
    /// The principals that may connect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["principal".into(), "path".into()]))]
    pub attachments: Vec<AttachmentStatus>,
    /// Ready, AccountReady, GrantsReady, PolicyReady.
    #[serde(default)]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Conditions,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct AccountStatus {
    /// Host pattern of the account.
    #[schemars(length(max = 255))]
    pub host: String,
    /// What the operator knows of it.
    pub state: AccountState,
}

/// What the operator knows of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AccountState {
    /// It is there and as it shall be.
    Ready,
    /// It is to go, or gone wrong; the conditions say why.
    Pending,
    /// A state that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct PolicyStatus {
    /// ARN of the policy. An inline policy has none and stands behind its principal's (`<principal>/<name>`); a rendered one is
    /// `configmap/<name>`.
    #[schemars(length(max = 2304))]
    pub arn: String,
}

/// One principal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct AttachmentStatus {
    /// ARN of the role, user or group.
    #[schemars(length(max = 2048))]
    pub principal: String,
    /// IAM path of its policies; `inline` for policies in the principal itself.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub path: String,
    /// Whether the policy is attached.
    pub state: AttachmentState,
}

/// Whether a policy is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AttachmentState {
    /// The principal's policies admit the account.
    Attached,
    /// Not yet, or no longer.
    Pending,
    /// A state that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
