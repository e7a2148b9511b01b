//! Who may ask for what.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::Privilege;

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
    /// MySQL roles that may be granted, by their exact names. Never RDS's own, nor one that holds more than privileges on schemas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roles: Vec<String>,
    /// For which accounts the operator may sign as itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_identity: Option<OperatorIdentityRule>,
    /// Existing accounts that may be adopted, by their exact names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 32)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub adopt: Vec<String>,
    /// Whether policies may reach every server of the account and Region that has an account of the name.
    #[serde(default)]
    pub allow_account_region_scope: bool,
}

fn any_host() -> Vec<String> {
    vec!["%".to_owned()]
}

/// For which accounts the operator may sign as itself.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct OperatorIdentityRule {
    /// Globs over usernames; `${namespace}` stands for the object's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub usernames: Vec<String>,
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
