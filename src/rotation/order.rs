//! What is ordered from the engine, and how it goes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::domain::arn::Principal;
use crate::domain::binding::Binding;
use crate::domain::token::Connect;
use crate::ports::{Fault, FaultKind};

/// With whose rights tokens are signed. It holds all that decides whose credentials these are: two namespaces never share a session, even for one
/// role, because each must prove by its own token that it may assume it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// A ServiceAccount, by its token.
    ServiceAccount {
        /// Region whose STS is asked.
        region: String,
        /// Namespace of the ServiceAccount.
        namespace: String,
        /// Its name.
        name: String,
        /// The role that its annotation names.
        role: Principal,
    },
    /// A role that the operator assumes.
    Role {
        /// Region whose STS is asked.
        region: String,
        /// The role.
        role: Principal,
        /// `<cluster id>/<namespace>`: the role's trust policy says which namespace may have it.
        external_id: String,
    },
}

impl Identity {
    /// The role whose credentials sign.
    #[must_use]
    pub const fn role(&self) -> &Principal {
        match self {
            Self::ServiceAccount { role, .. } | Self::Role { role, .. } => role,
        }
    }
}

/// What one token serves: every Secret of a key gets the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey {
    /// Who signs.
    pub identity: Identity,
    /// What for.
    pub connect: Connect,
}

/// Names a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A Secret that shall always hold a live token.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The Secret.
    pub secret: SecretRef,
    /// The object that owns it: the Secret goes with it.
    pub owner: OwnerReference,
    /// Who signs.
    pub identity: Identity,
    /// What stands in it beside the token.
    pub binding: Binding,
    /// How long before its end a token is replaced.
    pub renew_before: Duration,
    /// Labels, our own included.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the user's.
    pub annotations: BTreeMap<String, String>,
    /// Digest of everything but the token; when it changes, the Secret is written at once, from a new signing.
    pub inputs: String,
}

impl Order {
    /// The key that the Secret's token belongs to.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        TokenKey { identity: self.identity.clone(), connect: self.binding.connect.clone() }
    }
}

/// How an order goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When the published token stops being usable; none while nothing was published.
    pub expires_at: Option<Timestamp>,
    /// Whether what is published is what was ordered, and not an earlier order.
    pub is_current: bool,
    /// What stands in the way of the next write.
    pub problem: Option<Problem>,
}

/// What stands in the way of a write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The signing identity could not be assumed.
    #[error("the signing identity could not be assumed: {0}")]
    Identity(Fault),
    /// A Secret of that name exists and is not ours.
    #[error("a Secret of that name exists and was not made for this object")]
    ForeignSecret,
    /// The Secret could not be written; the apiserver's HTTP status, if it answered.
    #[error("the Secret could not be written{}", .0.map(|code| format!(": HTTP {code}")).unwrap_or_default())]
    Write(Option<u16>),
}

impl Problem {
    /// A word for metrics and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Identity(Fault { kind: FaultKind::Unreachable | FaultKind::Throttled, .. }) => "Unreachable",
            Self::Identity(_) => "IdentityDenied",
            Self::ForeignSecret => "ForeignSecret",
            Self::Write(_) => "RotationFailing",
        }
    }
}
