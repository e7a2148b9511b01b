//! How `rds-db:connect` policies are written.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Scope;

/// How policies are written.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.tags) || self.tags.all(key, size(key) <= 128 && !key.startsWith('aws:') && !key.startsWith('iamdb.dev/') && key != 'app.kubernetes.io/managed-by')")
        .message("keys of tags have at most 128 characters and are none of AWS's or the operator's own")
)]
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
    /// Tags for the policies, beside the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), inner(length(max = 256)))]
    pub tags: BTreeMap<String, String>,
    /// Principals that may connect as every account. Only here: no tenant can ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_access: Option<FullAccess>,
    /// Whether the role of an end-to-end IAM proxy, too, is given the right to connect as the users that go through it.
    #[serde(default)]
    pub grant_proxy_roles: bool,
}

/// Principals that may connect as every account.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FullAccess {
    /// Every account of this server, or of every server of the account and Region, of every engine.
    #[serde(default)]
    pub scope: Scope,
    /// ARNs of IAM roles, users and groups in the database's account.
    #[schemars(
        length(min = 1, max = 16),
        inner(
            length(min = 20, max = 2048),
            regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user|group)/[A-Za-z0-9_+=,.@/-]+$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub principals: Vec<String>,
}

/// Who writes the policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PolicyMode {
    /// The operator writes and attaches them.
    #[default]
    Manage,
    /// The operator writes the documents into a ConfigMap beside the IamDbUser; somebody else attaches them.
    Render,
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
    /// Policies in the principal itself. They count against what all its inline policies may hold together.
    Inline,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
