//! Conditions: what one is, the types that the kinds use, and the schema of the list that holds them.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Deserializer, Serialize};

use super::Reason;

/// The conditions of an object, a map keyed by `type`.
pub type Conditions = Vec<Condition>;

/// One aspect of an object. k8s-openapi's own has four texts of its own; here those that most objects have cost nothing. Any other is kept as it is:
/// another version may have told it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// When the status flipped last.
    pub last_transition_time: Time,
    /// What an on-call person should read.
    #[serde(default, deserialize_with = "text")]
    pub message: Cow<'static, str>,
    /// Generation of the spec that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Why, in a word of [`Reason`].
    #[serde(default, deserialize_with = "text")]
    pub reason: Cow<'static, str>,
    /// Whether it is so.
    pub status: Truth,
    /// Of what it speaks, in a word of [`ConditionType`].
    #[serde(default, deserialize_with = "text", rename = "type")]
    pub type_: Cow<'static, str>,
}

/// A text that is known beforehand is not kept once more.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let types = ConditionType::ALL.iter().map(|kind| kind.as_str());
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    let known = types.chain(reasons).chain(sentence::ALL).find(|known| *known == text);
    Ok(known.map_or(Cow::Owned(text), Cow::Borrowed))
}

/// Messages of most objects.
pub mod sentence {
    /// The Secret of a DbAuthToken is as it should be.
    pub const TOKEN_LIVES: &str = "the Secret holds a live token";
    /// Who signs is known and lets the operator sign.
    pub const IDENTITY_ASSUMED: &str = "the signing identity can be assumed";
    /// The Secret holds the CA bundle.
    pub const CA_IN_SECRET: &str = "the CA bundle is in the Secret";
    /// The Secret is to hold no CA bundle.
    pub const CA_OF_CLIENTS: &str = "clients bring their own CA bundle";
    /// An IamDbUser is as it should be.
    pub const ACCOUNT_USABLE: &str = "the account can be used";
    /// `management.account` is External.
    pub const ACCOUNT_OF_OTHERS: &str = "somebody else makes the account (spec.management)";
    /// `management.grants` is External.
    pub const GRANTS_OF_OTHERS: &str = "somebody else grants privileges (spec.management)";
    /// `management.policy` is External.
    pub const POLICY_OF_OTHERS: &str = "somebody else writes the policy (spec.management)";

    pub(super) const ALL: [&str; 8] = [
        TOKEN_LIVES,
        IDENTITY_ASSUMED,
        CA_IN_SECRET,
        CA_OF_CLIENTS,
        ACCOUNT_USABLE,
        ACCOUNT_OF_OTHERS,
        GRANTS_OF_OTHERS,
        POLICY_OF_OTHERS,
    ];
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Truth {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is not known yet. The schema admits no other word.
    #[serde(other)]
    Unknown,
}

/// The condition types of all kinds. All are positive: `True` is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The object does its job.
    Ready,
    /// DbServer: the endpoint and the resource id are known.
    Resolved,
    /// DbServer: the administrator can log in.
    AdminReachable,
    /// DbServer: IAM database authentication is on, in RDS and in the server.
    IamAuthentication,
    /// IamDbUser: the accounts exist, with the plugin and TLS required.
    AccountReady,
    /// IamDbUser: the accounts hold exactly the grants of the spec.
    GrantsReady,
    /// IamDbUser: the `rds-db:connect` policies are attached.
    PolicyReady,
    /// DbAuthToken: the signing identity can be assumed.
    IdentityReady,
    /// DbAuthToken: the Secret holds a live token.
    SecretReady,
    /// DbAuthToken: the CA bundle is known and valid.
    CaReady,
    /// DbAuthToken: a login with the published token succeeded.
    LoginVerified,
}

impl ConditionType {
    const ALL: [Self; 11] = [
        Self::Ready,
        Self::Resolved,
        Self::AdminReachable,
        Self::IamAuthentication,
        Self::AccountReady,
        Self::GrantsReady,
        Self::PolicyReady,
        Self::IdentityReady,
        Self::SecretReady,
        Self::CaReady,
        Self::LoginVerified,
    ];

    /// The type as it stands in the object.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Resolved => "Resolved",
            Self::AdminReachable => "AdminReachable",
            Self::IamAuthentication => "IamAuthentication",
            Self::AccountReady => "AccountReady",
            Self::GrantsReady => "GrantsReady",
            Self::PolicyReady => "PolicyReady",
            Self::IdentityReady => "IdentityReady",
            Self::SecretReady => "SecretReady",
            Self::CaReady => "CaReady",
            Self::LoginVerified => "LoginVerified",
        }
    }
}

/// Schema of a condition list. Written by hand because k8s-openapi's own carries neither list type nor limits.
pub(super) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What becomes of a condition that is read, and what of the same in k8s-openapi's words.
    fn read(condition: &serde_json::Value) -> (Condition, String) {
        let theirs: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition =
            serde_json::from_value(condition.clone()).unwrap();
        (serde_json::from_value(condition.clone()).unwrap(), serde_json::to_string(&theirs).unwrap())
    }

    #[test]
    fn what_is_told_of_most_objects_is_not_kept_for_each() {
        let told = json!({"type": "SecretReady", "status": "True", "reason": "Ready", "observedGeneration": 1,
            "message": sentence::TOKEN_LIVES, "lastTransitionTime": "2026-01-02T03:04:05Z"});
        let (condition, theirs) = read(&told);
        for text in [&condition.type_, &condition.reason, &condition.message] {
            assert!(matches!(text, Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(serde_json::to_string(&condition).unwrap(), theirs, "byte for byte");
    }

    #[test]
    fn what_another_version_told_is_kept() {
        let told = json!({"type": "OfTomorrow", "status": "Unknown", "reason": "Later", "message": "who knows",
            "lastTransitionTime": "2026-01-02T03:04:05Z"});
        let (condition, theirs) = read(&told);
        assert_eq!((&*condition.type_, &*condition.reason, &*condition.message), ("OfTomorrow", "Later", "who knows"));
        assert_eq!(serde_json::to_string(&condition).unwrap(), theirs);
    }
}
