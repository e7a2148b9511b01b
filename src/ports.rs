//! What the decisions need from outside Kubernetes: narrow traits, and one way to say what went wrong.
//!
//! Kubernetes itself has no port: its client is already one, and the tests run a real apiserver.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::access::Access;
use crate::domain::account::{AccountStep, ObservedUser};
use crate::domain::arn::Principal;
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::ServerFacts;
use crate::domain::names::Username;
use crate::domain::policy::{ObservedPolicies, PolicyHome, PolicyStep};
use crate::domain::secret::Secret;
use crate::domain::token::Credentials;

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
    /// The credentials are good, a right is missing.
    LacksPrivilege,
    /// The certificate does not verify.
    TlsVerification,
    /// The authentication plugin is not loaded (1524).
    PluginMissing,
    /// The server takes no writes: a replica, or a writer that has just failed over (1290, 1836).
    ReadOnly,
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
            Self::LacksPrivilege => "a privilege is missing",
            Self::TlsVerification => "the certificate does not verify",
            Self::PluginMissing => "AWSAuthenticationPlugin is not loaded",
            Self::ReadOnly => "the server is read-only",
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

/// A DB instance as RDS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `available`, `creating`, ...
    pub status: String,
    /// ARN of the instance.
    pub arn: String,
    /// `db-...`
    pub resource_id: String,
    /// Engine as RDS names it.
    pub engine: String,
    /// Engine version.
    pub engine_version: String,
    /// Host and port; absent while the instance is being created.
    pub endpoint: Option<(String, u16)>,
    /// Whether IAM database authentication is on.
    pub iam_authentication: bool,
    /// Name of the master user.
    pub master_username: String,
    /// ARN of the secret with the master user's password, where RDS manages it.
    pub master_secret_arn: Option<String>,
    /// CA that signed the instance's certificate.
    pub ca_identifier: Option<String>,
    /// Cluster that the instance is a member of.
    pub cluster: Option<String>,
}

/// What RDS knows of DB instances.
#[async_trait]
pub trait Instances: Send + Sync {
    /// Describes an instance; none when RDS says that there is none of that name.
    async fn describe(&self, access: &Access, identifier: &str) -> Result<Option<Instance>, Fault>;
}

/// A login of the administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminLogin {
    /// Name of the account.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Secrets with administrators' logins.
#[async_trait]
pub trait AdminSecrets: Send + Sync {
    /// Reads a secret of the form `{"username", "password"}`. Never cached: RDS rotates it.
    async fn read(&self, access: &Access, arn: &str) -> Result<AdminLogin, Fault>;
}

/// Where and how to log in as administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTarget {
    /// The endpoint that takes writes.
    pub endpoint: Endpoint,
    /// The login.
    pub login: AdminLogin,
    /// PEM of the CA bundle that the server's certificate must chain to.
    pub ca: Arc<str>,
    /// Whether the password is a token, which the server must get in clear text (inside TLS) to check it.
    pub by_token: bool,
}

/// Databases that can be logged in to.
#[async_trait]
pub trait Databases: Send + Sync {
    /// Logs in over verified TLS and asks the server about itself. At most one session a server is open at a time; others wait here.
    async fn open(&self, target: &AdminTarget) -> Result<(ServerFacts, Box<dyn AdminSession>), Fault>;
}

/// An administrator's session. Each call has a deadline; after a fault the session is of no more use.
#[async_trait]
pub trait AdminSession: Send {
    /// Reads every account of a user name, with marks and grants, in one bulk read. What is not in the answer does not exist.
    async fn observe(&mut self, username: &Username) -> Result<ObservedUser, Fault>;

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

/// The operator's own AWS identity.
#[async_trait]
pub trait OwnIdentity: Send + Sync {
    /// Credentials that the operator itself signs with.
    async fn credentials(&self) -> Result<Credentials, Fault>;
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

    /// Assumes a role with the operator's own credentials.
    async fn by_role(
        &self,
        region: &str,
        role: &Principal,
        external_id: &str,
        life: Duration,
    ) -> Result<Credentials, Fault>;
}

/// What time it is. Read once a decision; an argument everywhere below.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
}
