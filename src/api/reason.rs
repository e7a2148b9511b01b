//! The closed vocabulary of reasons: the same word in a condition, an Event and a metric.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why a condition is what it is. Later versions add words and never rename one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, for documentation and metrics.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word as it stands in conditions, Events and metric labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What the word means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// Everything that this condition speaks of is in place.
    Ready,
    /// Work is under way and nothing is wrong so far.
    Resolving,
    /// RDS does not know the DB instance that the DbServer names.
    NotFound,
    /// IAM database authentication is switched off for the DB instance.
    IamAuthDisabled,
    /// RDS says that IAM authentication is on, but the server has not loaded the authentication plugin (error 1524).
    PluginMissing,
    /// The database or an AWS endpoint did not answer in time.
    Unreachable,
    /// The server's certificate does not chain to the configured CA or names another host.
    TlsVerificationFailed,
    /// The database or AWS refused the credentials.
    AccessDenied,
    /// The administrator's database login lacks a privilege that this change needs.
    AdminLacksPrivilege,
    /// The secret with the administrator's password cannot be read or has no username and password.
    AdminSecretUnreadable,
    /// The DbServer has no administrator, so accounts cannot be managed.
    NoAdmin,
    /// No DbServer of that name exists.
    ServerRefNotFound,
    /// No IamDbUser of that name exists.
    UserRefNotFound,
    /// No tenancy rule of the DbServer admits the whole request; the message names the field.
    NotAllowed,
    /// The username cannot be used for an IAM account.
    InvalidUsername,
    /// A privilege is outside the list that the operator may grant.
    InvalidPrivilege,
    /// The database, table or routine of a grant does not exist.
    ObjectMissing,
    /// The account is one that the operator never touches.
    Protected,
    /// An account of that name exists and carries no mark of this operator.
    ForeignAccount,
    /// A Secret of that name exists and is not ours.
    ForeignSecret,
    /// An IAM policy of the name that we would use exists and is not ours.
    ForeignPolicy,
    /// A ConfigMap of the name that the policy would be rendered into exists and is not ours.
    ForeignConfigMap,
    /// A quota of AWS's is reached; the message names it.
    QuotaExceeded,
    /// Something differs from the spec and is left as it is, since the DbServer's mode is Observe.
    Drifted,
    /// Another object, cluster or server owns the same thing; the message names it.
    Conflict,
    /// Another account would win the login for this user name.
    ShadowedAccount,
    /// The account is the DEFINER of a view or routine.
    ReferencedAsDefiner,
    /// The IAM role, user or group does not exist.
    PrincipalNotFound,
    /// The principal is of another AWS account than the database.
    PrincipalAccountMismatch,
    /// AWS does not let anybody attach policies to this principal.
    PrincipalUnmodifiable,
    /// The identity that signs tokens could not be assumed.
    IdentityDenied,
    /// The role allows only sessions that are too short to sign from.
    SessionTooShort,
    /// This machine's clock differs too much from the apiserver's or AWS's.
    ClockSkew,
    /// Rotation fails and the published token has little life left.
    RotationFailing,
    /// The published token has expired.
    Expired,
    /// The object is suspended by its spec.
    Suspended,
    /// The IamDbUser of this token is being deleted.
    UserGone,
    /// The DB instance is a member of a cluster: the cluster must be named instead.
    UseDbCluster,
    /// A standard RDS Proxy needs a database user with a password.
    ProxyNeedsPasswordUser,
    /// The API knows this choice, this version of the operator does not.
    NotSupportedYet,
    /// The object is being deleted; the message says what that waits for.
    Deleting,
    /// The database or AWS answered with an error that this version does not know; the message has its code.
    UnexpectedError,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_reason_is_a_valid_condition_reason_with_a_meaning() {
        for reason in Reason::ALL {
            let word = reason.as_str();
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
            assert!(reason.meaning().trim().ends_with('.'), "{word}");
        }
    }
}
