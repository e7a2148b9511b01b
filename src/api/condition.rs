//! Conditions: the types that the kinds use, and the schema of the list that holds them.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The conditions of an object, a map keyed by `type`.
pub type Conditions = Vec<Condition>;

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
