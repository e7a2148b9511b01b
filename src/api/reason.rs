//! The closed vocabulary of reasons: the same word in a condition, an Event and a metric.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $what_to_do:literal,)+) => {
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

            /// What to do about it, for the person on call. Begins with `Reserved: ` where this version does not use the word.
            #[must_use]
            pub const fn what_to_do(self) -> &'static str {
                match self { $(Self::$name => $what_to_do,)+ }
            }
        }
    };
}

reasons! {
    /// Everything that this condition speaks of is in place.
    Ready => "Nothing.",
    /// Work is under way and nothing is wrong so far.
    Resolving => "Wait; if it stays, look at the DbServer it waits for; start the database if RDS says that it is stopped.",
    /// RDS knows no DB instance, cluster or proxy of that name, or the proxy leads to another database.
    NotFound => "Compare `spec.region`, `spec.source` and `spec.proxies` with RDS.",
    /// IAM database authentication is off for the DB instance or cluster; the message says what switching it on waits for.
    IamAuthDisabled => "`aws rds modify-db-instance --enable-iam-database-authentication` (for a cluster: `modify-db-cluster`), or `spec.iamAuthentication: Enable`.",
    /// RDS says that IAM authentication is on, but the server has not loaded the authentication plugin (error 1524).
    PluginMissing => "Wait for the change to be applied; if it stays, reboot the instance.",
    /// The database or an AWS endpoint did not answer in time.
    Unreachable => "Security groups, routes, DNS, failover under way; the message says which call.",
    /// The server's certificate does not chain to the configured CA or names another host.
    TlsVerificationFailed => "Does the ConfigMap hold the CA of the instance's `caIdentifier`? Never switch verification off.",
    /// The database or AWS refused the credentials.
    AccessDenied => "After a rotation of the master password: wait. Else the operator's role: [aws.md](aws.md). In `LoginVerified`: the account and the policy of the IamDbUser, and whether the role that signs is among its principals.",
    /// The administrator's database login lacks a privilege that this change needs.
    AdminLacksPrivilege => "Give it; the message has the error number or AWS's code.",
    /// The secret with the administrator's password cannot be read or has no username and password.
    AdminSecretUnreadable => "`--manage-master-user-password` on? `secretsmanager:GetSecretValue` allowed? The Secret labelled `iamdb.dev/admin-credentials=true`?",
    /// The DbServer has no administrator, so accounts cannot be managed.
    NoAdmin => "Add it, or let somebody else make the accounts (`management.account: External`).",
    /// No DbServer of that name exists.
    ServerRefNotFound => "Correct `spec.serverRef`, or create it.",
    /// No IamDbUser of that name exists.
    UserRefNotFound => "Correct `spec.userRef`, or create it.",
    /// No tenancy rule of the DbServer admits the whole request; the message names the field.
    NotAllowed => "The platform team extends **one** rule, or the app team asks for less. Where the message names a value that no rule can allow (a host that is not RDS's, a system schema), correct it; where it names the IamDbUser's reason, look there.",
    /// The IamDbUser is of another namespace and does not list this one in its `tokenConsumers`.
    NoConsent => "Its owners list the namespace in `spec.tokenConsumers` of the IamDbUser.",
    /// What the object refers to is of a namespace that this operator does not act in.
    OutOfScope => "Refer to something of a namespace in the operator's scope, or have the platform team extend that: `scope.namespaces` of its chart.",
    /// The username cannot be used for an IAM account.
    InvalidUsername => "1 to 32 letters, digits, `_`, `.`, `-`, of which the first is a letter, a digit or `_`.",
    /// A privilege is outside the list that the operator may grant.
    InvalidPrivilege => "Only privileges from the CRD's list, and only where they apply.",
    /// A role cannot be granted: it opens more than a role of a tenant may, or the server cannot make it a default role.
    InvalidRole => "Ask the platform team for a role that holds privileges on databases alone; on MariaDB for one role that holds the others.",
    /// The database, table, routine or role of a grant does not exist.
    ObjectMissing => "Create it, or correct `spec.grants` or `spec.roles`.",
    /// The account is one that the operator never touches: a name of the server, of RDS or of the operator.
    Protected => "Choose another username, which does not begin with `rds`, `aws_`, `mysql.` or `mariadb.` either.",
    /// An account of that name exists and carries no mark of this operator.
    ForeignAccount => "Choose another username; or drop the account after you know whose it is; or have it adopted (`spec.existingUser`, where a rule lists it).",
    /// A Secret of that name exists and is not ours.
    ForeignSecret => "Choose another `spec.secret.name`, or delete the Secret.",
    /// An IAM policy of the name that we would use exists and is not ours.
    ForeignPolicy => "Find out who made it; delete it or give the cluster another id.",
    /// A ConfigMap of the name that the policy would be rendered into exists and is not ours.
    ForeignConfigMap => "Delete the ConfigMap after you know whose it is, or rename the IamDbUser.",
    /// A quota of AWS's is reached; the message names it.
    QuotaExceeded => "Have AWS raise it, or make room: detach or delete what is not needed. It is tried again at each resync.",
    /// Another object, cluster or server owns the same thing; the message names it.
    Conflict => "Two objects for one account, two clusters with one id, or a restored snapshot (`spec.acceptRestored` of the DbServer): decide who keeps it. A cluster that was made anew takes over with `clusterId` of the chart.",
    /// Another account would win the login for this user name.
    ShadowedAccount => "Drop the account that the message names, or choose another username. There is no policy until then.",
    /// A grant would shadow a wider one that the account has from somebody else, and so take away what that one opens.
    ShadowedGrant => "Ask in `spec.grants` for what the wider grant opens, too; or revoke that one, or let `spec.grantPolicy` be Authoritative, which does.",
    /// Something in the database runs as the account: it is locked instead of dropped, and not made anew.
    ReferencedAsDefiner => "Give the views, routines, triggers or events that it is the DEFINER of to another account, or drop them; then drop the locked account.",
    /// The account, its grants or its policies differ from the spec, and the DbServer's mode is Observe.
    Drifted => "`status.drift` says what would be changed. Change it by hand, or set the DbServer's `spec.mode` to Enforce.",
    /// An account that was there before has been made an IAM account of ours.
    Adopted => "Nothing, if that was meant: the password that the account had has stopped working.",
    /// Open sessions of an account that is locked or dropped could not be ended.
    SessionsLeft => "The message has the error number. End them by hand, or give the administrator's login what `iamdb admin-sql` gives.",
    /// The IAM role, user or group does not exist.
    PrincipalNotFound => "Create it, or correct `spec.principals`.",
    /// The principal is of another AWS account than the database.
    PrincipalAccountMismatch => "Let the workload assume a role in the database's account.",
    /// AWS does not let anybody attach policies to this principal.
    PrincipalUnmodifiable => "Use another role.",
    /// The identity that signs tokens could not be assumed.
    IdentityDenied => "Trust policy of the role: ServiceAccount and audience `sts.amazonaws.com`, or ExternalId `<cluster id>/<namespace>`; for a DbServer's `spec.aws.roleArn` its `externalId`. Does the ServiceAccount have `eks.amazonaws.com/role-arn`? If the operator may not create its tokens: `tenantServiceAccounts` of the chart.",
    /// The role allows only sessions that are too short to sign from.
    SessionTooShort => "Let the role have sessions of at least an hour (MaxSessionDuration), or do without a chain of roles.",
    /// This machine's clock differs too much from the apiserver's or AWS's.
    ClockSkew => "Set the clock of the operator's node: NTP, chrony. Nothing is signed until it is right.",
    /// Rotation fails and the published token has little life left.
    RotationFailing => "The message says why. Logins fail when the token dies.",
    /// The published token has expired.
    Expired => "As for `RotationFailing`, now.",
    /// The token is too long for an option file of MariaDB's client, so there is no `my.cnf`.
    MyCnfTooLongForMariaDb => "Let the client read the token from `password`; or sign as a role whose sessions have shorter tokens.",
    /// The database refused the login, and the policy that allows it may not have reached it yet.
    IamPropagating => "Wait a minute: policies take a while to reach RDS.",
    /// The last certificate of the CA bundle expires within 90 days.
    CaExpiresSoon => "Renew the bundle in the ConfigMap, or use the Region's.",
    /// The object is suspended by its spec.
    Suspended => "Take `spec.suspend` back. A DbAuthToken's Secret goes when its token has run out.",
    /// The IamDbUser of this token is being deleted.
    UserGone => "Delete the DbAuthToken too.",
    /// The DB instance is a member of a cluster: the cluster must be named instead.
    UseDbCluster => "Name the cluster: `spec.source.type: DbCluster`.",
    /// A standard RDS Proxy logs in with a password, so the account behind it cannot be an IAM account.
    ProxyNeedsPasswordUser => "Leave `spec.includeProxies` out, or have the account made elsewhere (`management.account: External`), or move the proxy to end-to-end IAM.",
    /// The API knows this choice, this version of the operator does not.
    NotSupportedYet => "Choose another, or wait for a later version.",
    /// The object is being deleted; the message says what that waits for.
    Deleting => "Delete who uses it; for a database that is gone see `spec.onUnreachable`.",
    /// The database or AWS answered with an error that this version does not know; the message has its code.
    UnexpectedError => "Look the code up; report it if it is ours.",
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
    fn every_reason_is_a_valid_condition_reason_with_a_meaning_and_something_to_do() {
        for reason in Reason::ALL {
            let word = reason.as_str();
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
            assert!(reason.meaning().trim().ends_with('.'), "{word}");
            assert!(reason.what_to_do().ends_with(['.', '?']), "{word}");
            // Both are cells of a table.
            assert!(!format!("{}{}", reason.meaning(), reason.what_to_do()).contains(['|', '\n']), "{word}");
        }
    }
}
