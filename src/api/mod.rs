//! What users write: the three kinds of `iamdb.dev/v1alpha1`, their validation and printer columns.
//!
//! Types only, no decisions and no I/O. Every union is a `type` and a member of the same name; every list says how it
//! merges; every string and list has a maximum; durations are strings. What is missing here is added later as optional
//! fields, nothing is renamed.

#![allow(unreachable_pub, reason = "kube's derives copy the types, private modules and all")]

mod condition;
mod db_auth_token;
mod db_server;
mod duration;
mod iam_db_user;
mod reason;

pub use condition::{Condition, ConditionType, Conditions, Truth, sentence};
pub use db_auth_token::*;
pub use db_server::*;
pub use duration::Duration;
pub use iam_db_user::*;
pub use reason::Reason;

/// API group of all three kinds.
pub const GROUP: &str = "iamdb.dev";

/// API version and kind of [`DbAuthToken`], which Secrets name as their owner's.
pub const TOKEN_KIND: (&str, &str) = ("iamdb.dev/v1alpha1", "DbAuthToken");

/// Finalizer that stands on an object from before its first outside effect until that effect is undone.
pub const FINALIZER: &str = "iamdb.dev/cleanup";

/// Label on everything that the operator makes; its watches select on it.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "iamdb-operator";

/// Label that names the uid of the object that owns what the operator made.
pub const OWNER_UID_LABEL: &str = "iamdb.dev/owner-uid";

/// Label on a token Secret: when the token stops being usable, as `20260102T030405Z` (a label value takes no colon).
pub const EXPIRES_AT_LABEL: &str = "iamdb.dev/expires-at";

/// Annotation on a token Secret: when the token was signed, RFC 3339.
pub const ISSUED_AT_ANNOTATION: &str = "iamdb.dev/issued-at";

/// Annotation on a token Secret: the same instant as [`EXPIRES_AT_LABEL`], RFC 3339.
pub const EXPIRES_AT_ANNOTATION: &str = "iamdb.dev/expires-at";

/// Annotation on a token Secret: digest of everything but the token that went into it.
pub const INPUTS_ANNOTATION: &str = "iamdb.dev/inputs";

/// Annotation on a token Secret: which labels and annotations of the user's stand on it by the operator's hand.
pub const APPLIED_ANNOTATION: &str = "iamdb.dev/applied";

/// Annotation on a `DbAuthToken`: a new value asks for a rotation at once.
pub const ROTATE_ANNOTATION: &str = "iamdb.dev/rotate-requested-at";

/// Annotation on a ServiceAccount that names its IAM role (IRSA).
pub const ROLE_ARN_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// Label that a Secret with an administrator's login must carry: no other Secret of the operator's namespace is ever read as one.
pub const ADMIN_CREDENTIALS_LABEL: &str = "iamdb.dev/admin-credentials";

/// Type of the Secrets that hold a token: the service binding specification's, for MySQL.
pub const SECRET_TYPE: &str = "servicebinding.io/mysql";

/// The `CustomResourceDefinition`s of all kinds, in the order in which they depend on each other.
#[must_use]
pub fn definitions() -> Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>
{
    use kube::CustomResourceExt;
    vec![DbServer::crd(), IamDbUser::crd(), DbAuthToken::crd()]
}

#[cfg(test)]
mod tests {
    use kube::Resource;

    use super::*;

    #[test]
    fn secrets_name_their_owner_as_the_definition_does() {
        assert_eq!(TOKEN_KIND, (&*DbAuthToken::api_version(&()), &*DbAuthToken::kind(&())));
    }
}
