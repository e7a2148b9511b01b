//! What the decisions need from outside Kubernetes: narrow traits, and one way to say what went wrong.
//!
//! Kubernetes itself has no port: its client is already one, and the tests run a real apiserver.

mod rds;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::access::Access;
use crate::domain::account::{AccountStep, Catalogue, Question};
use crate::domain::arn::Principal;
use crate::domain::assume::Assume;
use crate::domain::ca::TrustStore;
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::Username;
use crate::domain::policy::{ObservedPolicies, PolicyHome, PolicyStep};
use crate::domain::secret::Secret;
use crate::domain::token::Credentials;

pub use rds::{Address, Apply, Deployments, Pending, Proxies, Proxy, RdsServer, RdsServers, Replica, ServerName};

/// Something outside did not do what was asked. It carries a code and never a text from outside: texts can hold secrets, and end up in status and logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {kind}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct Fault {
    /// What kind of failure.
    pub kind: FaultKind,
    /// What was attempted, as a verb phrase: `describe DB instance`.
    pub operation: &'static str,
    /// The other side's code: an AWS error code, a MySQL error number.
    pub code: Option<String>,
}

/// The kinds of failure that make a difference to what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// No answer in time, connection refused or broken, name not resolved.
    Unreachable,
    /// The other side asks for patience.
    Throttled,
    /// The credentials were refused.
    Denied,
    /// The role in the database's account cannot be assumed.
    IdentityDenied,
    /// The credentials are good, a right is missing.
    LacksPrivilege,
    /// The certificate does not verify.
    TlsVerification,
    /// The authentication plugin is not loaded (1524).
    PluginMissing,
    /// The server takes no writes: a replica, or a writer that has just failed over (1290, 1836).
    ReadOnly,
    /// Something in the database runs as the account (4006).
    Definer,
    /// What was named does not exist.
    Missing,
    /// It exists already, or somebody else changed it meanwhile.
    Conflict,
    /// AWS lets nobody change it.
    Unmodifiable,
    /// A quota of the other side's is reached.
    Quota,
    /// What was read makes no sense: a secret without a password, an answer without a field.
    Unreadable,
    /// Everything else; the code says what.
    Other,
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "no answer",
            Self::Throttled => "throttled",
            Self::Denied => "access denied",
            Self::IdentityDenied => "the role cannot be assumed",
            Self::LacksPrivilege => "a privilege is missing",
            Self::TlsVerification => "the certificate does not verify",
            Self::PluginMissing => "AWSAuthenticationPlugin is not loaded",
            Self::ReadOnly => "the server is read-only",
            Self::Definer => "something runs as the account",
            Self::Missing => "it does not exist",
            Self::Conflict => "conflict",
            Self::Unmodifiable => "it cannot be modified",
            Self::Quota => "a quota is reached",
            Self::Unreadable => "the answer cannot be read",
            Self::Other => "error",
        })
    }
}

impl Fault {
    /// A fault without a code.
    #[must_use]
    pub const fn new(kind: FaultKind, operation: &'static str) -> Self {
        Self { kind, operation, code: None }
    }

    /// The same with the other side's code.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }
}

/// What an account logs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseCredentials {
    /// Name of the account.
    pub username: String,
    /// Its password, or a token.
    pub password: Secret,
}

/// Secrets with administrators' logins.
#[async_trait]
pub trait AdminSecrets: Send + Sync {
    /// Reads a secret of the form `{"username", "password"}`. Never cached: RDS rotates it.
    async fn read(&self, access: &Access, arn: &str) -> Result<DatabaseCredentials, Fault>;
}

/// Where and how to log in, as an administrator or as whom a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginTarget {
    /// Where; for an administrator the endpoint that takes writes.
    pub endpoint: Endpoint,
    /// As whom.
    pub login: DatabaseCredentials,
    /// PEM of the CA bundle that the server's certificate must chain to.
    pub ca: Arc<str>,
    /// Whether the password is a token, which the server must get in clear text (inside TLS) to check it.
    pub by_token: bool,
}

/// Databases that can be logged in to.
#[async_trait]
pub trait Databases: Send + Sync {
    /// Logs in over verified TLS and asks the server about itself. At most one session a server is open at a time; others wait here.
    async fn open(&self, target: &LoginTarget) -> Result<(ServerFacts, Box<dyn AdminSession>), Fault>;
}

/// What a server says of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account that it was taken for, as `user@host`.
    pub current_user: String,
    /// The cipher of its TLS, by OpenSSL's name; none for one that is not known.
    pub cipher: Option<&'static str>,
}

/// Logins that only prove that they are possible.
#[async_trait]
pub trait LoginProbe: Send + Sync {
    /// Logs in over verified TLS, asks who it is, and leaves.
    async fn log_in(&self, target: &LoginTarget, engine: Engine) -> Result<Login, Fault>;
}

/// An administrator's session. Each call has a deadline. What the server refuses leaves the session usable; after a broken connection or a missed
/// deadline every further call is a fault.
#[async_trait]
pub trait AdminSession: Send {
    /// Reads all that is asked for in one bulk read, of one user as of a thousand. What is not in the answer does not exist.
    async fn observe(&mut self, question: &Question) -> Result<Catalogue, Fault>;

    /// Makes one change.
    async fn apply(&mut self, username: &Username, step: &AccountStep) -> Result<(), Fault>;

    /// Says goodbye to the server.
    async fn close(self: Box<Self>);
}

/// IAM policies.
#[async_trait]
pub trait Policies: Send + Sync {
    /// Reads the policies of a home and which of them are attached. A principal that does not exist has none attached.
    async fn observe(&self, access: &Access, home: &PolicyHome) -> Result<ObservedPolicies, Fault>;

    /// Whether IAM knows a principal of exactly this ARN: its calls take names, and a name does not tell the path.
    async fn exists(&self, access: &Access, principal: &Principal) -> Result<bool, Fault>;

    /// Makes one change. One that is made already is no fault.
    async fn apply(&self, access: &Access, home: &PolicyHome, step: &PolicyStep) -> Result<(), Fault>;
}

/// What IAM allows an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyQuotas {
    /// Managed policies that it may have.
    pub policies_quota: u32,
    /// Characters that a managed policy may have.
    pub policy_size_quota: u32,
}

/// What IAM allows accounts.
#[async_trait]
pub trait AccountQuotas: Send + Sync {
    /// Reads the quotas of an account.
    async fn read(&self, access: &Access, partition: &str) -> Result<PolicyQuotas, Fault>;
}

/// The operator's own AWS identity.
#[async_trait]
pub trait OwnIdentity: Send + Sync {
    /// Credentials that the operator itself signs with.
    async fn credentials(&self) -> Result<Credentials, Fault>;

    /// Credentials that it signs with for a database: of the role of that one's account, where there is one.
    async fn credentials_for(&self, access: &Access) -> Result<Credentials, Fault>;
}

/// STS sessions.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Assumes a role by a ServiceAccount's token.
    async fn by_web_identity(
        &self,
        region: &str,
        role: &Principal,
        token: &Secret,
        life: Duration,
    ) -> Result<Credentials, Fault>;

    /// Assumes a role, with these credentials or with the operator's own.
    async fn by_role(
        &self,
        region: &str,
        assume: &Assume,
        with: Option<&Credentials>,
        life: Duration,
    ) -> Result<Credentials, Fault>;
}

/// What a trust store answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The bundle is the one that the caller has.
    Unchanged,
    /// A bundle, and the tag by which to ask for it next time.
    New {
        /// The text as it came; nobody has looked at it yet.
        text: String,
        /// Its entity tag.
        etag: Option<String>,
    },
}

/// Where CA bundles are published.
#[async_trait]
pub trait TrustStores: Send + Sync {
    /// Gets a bundle, unless it is still the one with this entity tag.
    async fn fetch(&self, place: &TrustStore, etag: Option<&str>) -> Result<Fetched, Fault>;
}

/// What time it is. Read once a decision; an argument everywhere below.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
}
