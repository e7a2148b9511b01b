//! The closed list of reasons, as they stand in the log.

/// Why a login was let in or refused.
///
/// The order is the order of the checks: a login that is wrong in two ways gets the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every check passed.
    Accepted,
    /// The client left before it sent a token, as a client does that refuses to send clear text.
    NoToken,
    /// The connection is not encrypted.
    NotTls,
    /// The configuration is missing or cannot be read.
    Unconfigured,
    /// No endpoint of the configuration has the address at which the login arrived.
    UnknownEndpoint,
    /// The endpoint has IAM database authentication switched off.
    IamOff,
    /// The token is not a presigned `connect` URL: shape, escapes, a parameter that is missing, doubled or not of its
    /// form, another action, algorithm or set of signed headers, or two dates that differ.
    Malformed,
    /// The token was signed for another host or port.
    WrongEndpoint,
    /// The token was signed for another Region.
    WrongRegion,
    /// The token was signed for another service than `rds-db`.
    WrongService,
    /// Nobody has this access key.
    UnknownKey,
    /// The temporary credentials that signed the token have ended.
    KeyExpired,
    /// The session token is missing, another one, or given with a key that has none.
    SessionTokenMismatch,
    /// The signature does not fit: another secret key, or something was changed after signing.
    SignatureMismatch,
    /// The token asks for a longer life than 900 seconds.
    ExpiresTooLong,
    /// The token was signed in the future.
    NotYetValid,
    /// The token's life has ended.
    Expired,
    /// The token names another database user, if only by case.
    WrongUser,
    /// The principal's policy has a statement that cannot be understood, so that none of it counts.
    PolicyUnreadable,
    /// A `Deny` statement applies, or may apply.
    PolicyDeniesExplicitly,
    /// No `Allow` statement applies.
    PolicyDenies,
    /// The proxy let the client in, but its own role may not connect to the database as this user.
    ProxyRoleDenied,
    /// The plugin itself failed.
    Internal,
}

impl Reason {
    /// The word in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NoToken => "no-token",
            Self::NotTls => "not-tls",
            Self::Unconfigured => "unconfigured",
            Self::UnknownEndpoint => "unknown-endpoint",
            Self::IamOff => "iam-off",
            Self::Malformed => "malformed",
            Self::WrongEndpoint => "wrong-endpoint",
            Self::WrongRegion => "wrong-region",
            Self::WrongService => "wrong-service",
            Self::UnknownKey => "unknown-key",
            Self::KeyExpired => "key-expired",
            Self::SessionTokenMismatch => "session-token-mismatch",
            Self::SignatureMismatch => "signature-mismatch",
            Self::ExpiresTooLong => "expires-too-long",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::WrongUser => "wrong-user",
            Self::PolicyUnreadable => "policy-unreadable",
            Self::PolicyDeniesExplicitly => "policy-denies-explicitly",
            Self::PolicyDenies => "policy-denies",
            Self::ProxyRoleDenied => "proxy-role-denied",
            Self::Internal => "internal",
        }
    }
}

/// What became of one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The endpoint the login arrived at, once that is known.
    pub endpoint: Option<String>,
    /// The owner of the access key that the token names. It is proven only when the reason is one that comes after
    /// [`Reason::SignatureMismatch`].
    pub principal: Option<String>,
    /// Why.
    pub reason: Reason,
}

impl Verdict {
    /// A refusal before the token's owner is known.
    pub const fn refused(endpoint: Option<String>, reason: Reason) -> Self {
        Self { endpoint, principal: None, reason }
    }

    /// Whether the login is let in.
    pub fn accepted(&self) -> bool {
        self.reason == Reason::Accepted
    }
}
