//! The clients: all share one pool of HTTPS connections, one identity and its cache; each Region has its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use super::{IamPolicies, OwnCredentials, RdsInstances, SecretsManager, StsSessions};

/// Attempts of one call, the first included.
const ATTEMPTS: u32 = 3;

/// Where AWS's adapters come from.
#[derive(Debug)]
pub struct Aws {
    sdk: SdkConfig,
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
        Self { sdk: loader.load().await }
    }

    /// The Region of the AWS configuration.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        self.sdk.region().map(ToString::to_string)
    }

    /// DB instances.
    #[must_use]
    pub fn instances(&self) -> RdsInstances {
        RdsInstances::new(&self.sdk)
    }

    /// Administrators' logins.
    #[must_use]
    pub fn admin_secrets(&self) -> SecretsManager {
        SecretsManager::new(&self.sdk)
    }

    /// The operator itself.
    #[must_use]
    pub fn own_identity(&self) -> OwnCredentials {
        OwnCredentials::new(&self.sdk)
    }

    /// Policies.
    #[must_use]
    pub fn policies(&self) -> IamPolicies {
        IamPolicies::new(&self.sdk)
    }

    /// Sessions of roles.
    #[must_use]
    pub fn sessions(&self) -> StsSessions {
        StsSessions::new(&self.sdk)
    }
}

/// One client of a service for each Region, made when it is first needed.
pub(super) struct Regional<C> {
    sdk: SdkConfig,
    make: fn(&SdkConfig) -> C,
    clients: Mutex<HashMap<String, C>>,
}

impl<C: Clone> Regional<C> {
    pub(super) fn new(sdk: &SdkConfig, make: fn(&SdkConfig) -> C) -> Self {
        Self { sdk: sdk.clone(), make, clients: Mutex::default() }
    }

    pub(super) fn client(&self, region: &str) -> C {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(region) {
            return client.clone();
        }
        let sdk = self.sdk.to_builder().region(Region::new(region.to_owned())).build();
        let client = (self.make)(&sdk);
        clients.insert(region.to_owned(), client.clone());
        client
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
        let aws = Aws { sdk };
        drop((aws.instances(), aws.admin_secrets(), aws.policies(), aws.sessions()));
        let rds = Regional::new(&aws.sdk, aws_sdk_rds::Client::new);
        assert_eq!(rds.client("eu-west-1").config().region().unwrap().as_ref(), "eu-west-1");
        assert_eq!(rds.client("us-east-1").config().region().unwrap().as_ref(), "us-east-1");
        assert_eq!(rds.clients.lock().unwrap().len(), 2);
        drop(Regional::new(&aws.sdk, aws_sdk_secretsmanager::Client::new).client("eu-west-1"));
        drop(Regional::new(&aws.sdk, aws_sdk_sts::Client::new).client("eu-west-1"));
        drop(Regional::new(&aws.sdk, aws_sdk_iam::Client::new).client("eu-west-1"));
    }
}
