//! What is ordered from the engine, and how it goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::arn::Principal;
use crate::domain::assume::Assume;
use crate::domain::binding::Binding;
use crate::domain::digest::Digest;
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
        /// The role that this one assumes to sign with.
        then: Option<Assume>,
    },
    /// A role that the operator assumes.
    Role {
        /// Region whose STS is asked.
        region: String,
        /// The role.
        assume: Assume,
    },
    /// The operator itself.
    Operator,
}

impl Identity {
    /// The role whose credentials sign; none for the operator itself.
    #[must_use]
    pub const fn role(&self) -> Option<&Principal> {
        match self {
            Self::ServiceAccount { then: Some(assume), .. } | Self::Role { assume, .. } => Some(&assume.role),
            Self::ServiceAccount { role, then: None, .. } => Some(role),
            Self::Operator => None,
        }
    }
}

/// What one token serves: every Secret of a key gets the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey {
    /// Who signs.
    pub identity: Arc<Identity>,
    /// What for.
    pub connect: Arc<Connect>,
}

/// Names a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The object that a Secret belongs to, in the Secret's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its uid, by which the order is known; one copy for the engine.
    pub uid: Arc<str>,
}

/// Names the object that placed an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// Its namespace, which is that of the Secret.
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
    pub owner: Owner,
    /// Who signs; one copy for all orders of a key.
    pub identity: Arc<Identity>,
    /// What stands in it beside the token.
    pub binding: Binding,
    /// How long before its end a token is replaced.
    pub renew_before: Duration,
    /// Labels of the user's.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the user's.
    pub annotations: BTreeMap<String, String>,
    /// Whether what is published is logged in with.
    pub verify: Verify,
    /// PEM of the CA bundle that the operator's own login verifies the server against.
    pub ca: Arc<str>,
    /// Hosts of the account that such a login must be taken for; any, where it is not known.
    pub hosts: Vec<String>,
    /// Digest of everything but the token; when it changes, the Secret is written at once, from a new signing.
    pub inputs: Digest,
}

/// Whether what is published is logged in with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// No.
    #[default]
    Never,
    /// The first token of these inputs.
    OnCreate,
    /// Every token.
    Always,
}

impl Order {
    /// The key that the Secret's token belongs to.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        TokenKey { identity: self.identity.clone(), connect: self.binding.connect.clone() }
    }

    /// The object that placed it.
    #[must_use]
    pub fn object(&self) -> ObjectName {
        ObjectName { namespace: self.secret.namespace.clone(), name: self.owner.name.clone() }
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
    /// What came of the last login with it, as far as this process has tried one.
    pub login: Option<LoginFinding>,
    /// Whether the Secret had to do without its `my.cnf`; not known before this process has written it.
    pub omits_my_cnf: Option<bool>,
}

/// What came of a login with a published token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFinding {
    /// It succeeded, over TLS with this cipher, where that is one with a name that is known.
    Verified {
        /// OpenSSL's name of the cipher.
        cipher: Option<&'static str>,
    },
    /// It succeeded, but the server took it for another account of the name.
    OtherAccount,
    /// It was refused so soon after the beginning that the policy may not have reached the database yet.
    Propagating,
    /// It failed.
    Failed(FaultKind),
}

/// What stands in the way of a write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The signing identity could not be assumed.
    #[error("the signing identity could not be assumed: {0}")]
    Identity(Fault),
    /// The role gives only sessions that are too short to sign from.
    #[error("the role gives no session that lives as long as a token; it must allow sessions of an hour")]
    SessionTooShort,
    /// The clock is off.
    #[error(
        "this machine's clock is more than a minute off the apiserver's: a database would refuse what is signed by it"
    )]
    ClockSkew,
    /// A Secret of that name exists and is not ours.
    #[error("a Secret of that name exists and was not made for this object")]
    ForeignSecret,
    /// The Secret could not be written; the apiserver's HTTP status, if it answered.
    #[error("the Secret could not be written{}", .0.map(|code| format!(": HTTP {code}")).unwrap_or_default())]
    Write(Option<u16>),
    /// The apiserver forbids a request that it takes.
    #[error(
        "the operator may not {0} (HTTP 403): the right is missing, or a quota or an admission policy is against it"
    )]
    Forbidden(&'static str),
}

impl Problem {
    /// A word for metrics and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Identity(Fault { kind: FaultKind::Unreachable | FaultKind::Throttled, .. }) => "Unreachable",
            Self::Identity(_) => "IdentityDenied",
            Self::SessionTooShort => "SessionTooShort",
            Self::ClockSkew => "ClockSkew",
            Self::ForeignSecret => "ForeignSecret",
            Self::Write(_) | Self::Forbidden(_) => "RotationFailing",
        }
    }
}
