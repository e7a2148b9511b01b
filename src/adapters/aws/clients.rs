//! The clients: all share one pool of HTTPS connections and one identity; each Region has its own, and so has each account that the operator
//! gets at by a role.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use parking_lot::Mutex;

use super::role::RoleCredentials;
use super::{IamPolicies, IamQuotas, OwnCredentials, Rds, RdsDeployments, RdsProxies, SecretsManager, StsSessions};
use crate::domain::access::{Access, AccountRole};

/// Attempts of one call, the first included.
const ATTEMPTS: u32 = 3;

/// Where AWS's adapters come from.
#[derive(Debug)]
pub struct Aws {
    identities: Identities,
}

impl Aws {
    /// Finds out who the operator is, by the SDK's default chain: environment, web identity, container, instance profile. A
    /// Region of its own the operator needs only for that; a server's comes with the server. `profile` is one of the AWS
    /// configuration, instead of its default.
    pub async fn load(profile: Option<String>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(10))
            .operation_timeout(Duration::from_secs(20))
            .build();
        // The crates' default features would bring a second TLS stack, so there is no default HTTP client either: without this
        // one every call, those of the credentials chain included, fails at run time.
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .pool_idle_timeout(Duration::from_secs(30))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        Self { identities: Identities::new(loader.load().await) }
    }

    /// The Region of the AWS configuration.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        self.identities.sdk.region().map(ToString::to_string)
    }

    /// DB instances and clusters.
    #[must_use]
    pub fn rds(&self) -> Rds {
        Rds::new(&self.identities)
    }

    /// RDS Proxies.
    #[must_use]
    pub fn proxies(&self) -> RdsProxies {
        RdsProxies::new(&self.identities)
    }

    /// Blue/green deployments.
    #[must_use]
    pub fn deployments(&self) -> RdsDeployments {
        RdsDeployments::new(&self.identities)
    }

    /// Administrators' logins.
    #[must_use]
    pub fn admin_secrets(&self) -> SecretsManager {
        SecretsManager::new(&self.identities)
    }

    /// The operator itself.
    #[must_use]
    pub fn own_identity(&self) -> OwnCredentials {
        OwnCredentials::new(&self.identities)
    }

    /// Policies.
    #[must_use]
    pub fn policies(&self) -> IamPolicies {
        IamPolicies::new(&self.identities)
    }

    /// Quotas.
    #[must_use]
    pub fn quotas(&self) -> IamQuotas {
        IamQuotas::new(&self.identities)
    }

    /// Sessions of roles.
    #[must_use]
    pub fn sessions(&self) -> StsSessions {
        StsSessions::new(&self.identities)
    }
}

/// Who the operator is: itself, or a role of a database's account.
#[derive(Clone, Debug)]
pub(super) struct Identities {
    sdk: SdkConfig,
    /// One session a role for all clients.
    roles: Arc<Mutex<HashMap<AccountRole, SharedCredentialsProvider>>>,
}

impl Identities {
    fn new(sdk: SdkConfig) -> Self {
        Self { sdk, roles: Arc::default() }
    }

    /// The configuration of clients for this Region and account.
    fn sdk(&self, access: &Access) -> SdkConfig {
        let sdk = self.sdk.to_builder().region(Region::new(access.region.clone()));
        match &access.role {
            Some(role) => sdk.credentials_provider(self.role(role, &access.region)).build(),
            None => sdk.build(),
        }
    }

    /// Where the credentials for this account come from; none if the operator has no identity at all.
    pub(super) fn credentials(&self, access: &Access) -> Option<SharedCredentialsProvider> {
        match &access.role {
            Some(role) => Some(self.role(role, &access.region)),
            None => self.sdk.credentials_provider(),
        }
    }

    fn role(&self, role: &AccountRole, region: &str) -> SharedCredentialsProvider {
        let mut roles = self.roles.lock();
        let make = || SharedCredentialsProvider::new(RoleCredentials::new(&self.sdk(&Access::own(region)), role));
        roles.entry(role.clone()).or_insert_with(make).clone()
    }
}

/// One client of a service for each Region and account, made when it is first needed.
pub(super) struct Regional<C> {
    identities: Identities,
    make: fn(&SdkConfig) -> C,
    clients: Mutex<HashMap<Access, C>>,
}

impl<C: Clone> Regional<C> {
    pub(super) fn new(identities: &Identities, make: fn(&SdkConfig) -> C) -> Self {
        Self { identities: identities.clone(), make, clients: Mutex::default() }
    }

    pub(super) fn client(&self, access: &Access) -> C {
        let mut clients = self.clients.lock();
        clients.entry(access.clone()).or_insert_with(|| (self.make)(&self.identities.sdk(access))).clone()
    }
}

impl<C> std::fmt::Debug for Regional<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Regional").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_client_can_be_built() {
        // What is missing in a configuration makes the SDK panic here, not when it compiles.
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(
                aws_smithy_http_client::Builder::new()
                    .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
                    .build_https(),
            )
            .region(Region::new("us-east-1"))
            .build();
        let aws = Aws { identities: Identities::new(sdk) };
        drop((
            aws.rds(),
            aws.proxies(),
            aws.deployments(),
            aws.admin_secrets(),
            aws.policies(),
            aws.quotas(),
            aws.sessions(),
        ));
        let identities = &aws.identities;
        let rds = Regional::new(identities, aws_sdk_rds::Client::new);
        let role = |external_id: Option<&str>| Access {
            region: "us-east-1".into(),
            role: Some(AccountRole {
                role: "arn:aws:iam::210987654321:role/iamdb".parse().unwrap(),
                external_id: external_id.map(str::to_owned),
            }),
        };
        for (access, region) in [
            (Access::own("eu-west-1"), "eu-west-1"),
            (Access::own("us-east-1"), "us-east-1"),
            (role(None), "us-east-1"),
            (role(Some("x")), "us-east-1"),
            (role(None).in_region("eu-west-1"), "eu-west-1"),
        ] {
            assert_eq!(rds.client(&access).config().region().unwrap().as_ref(), region);
            drop(Regional::new(identities, aws_sdk_secretsmanager::Client::new).client(&access));
            drop(Regional::new(identities, aws_sdk_sts::Client::new).client(&access));
            drop(Regional::new(identities, aws_sdk_iam::Client::new).client(&access));
        }
        assert_eq!(rds.clients.lock().len(), 5);
        assert_eq!(identities.roles.lock().len(), 2, "one session a role and external id");
        assert!(identities.credentials(&Access::own("us-east-1")).is_none());
    }
}
