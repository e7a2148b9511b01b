//! The operator's own credentials, from wherever the SDK's default chain finds them.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use jiff::Timestamp;

use crate::domain::secret::Secret;
use crate::domain::token::Credentials;
use crate::ports::{Fault, FaultKind, OwnIdentity};

const FIND: &str = "find the operator's own AWS credentials";

/// What the default chain provides.
#[derive(Debug)]
pub struct OwnCredentials {
    provider: Option<SharedCredentialsProvider>,
}

impl OwnCredentials {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self { provider: sdk.credentials_provider() }
    }
}

#[async_trait]
impl OwnIdentity for OwnCredentials {
    async fn credentials(&self) -> Result<Credentials, Fault> {
        let denied = || Fault::new(FaultKind::Denied, FIND);
        let provider = self.provider.as_ref().ok_or_else(denied)?;
        let found = provider.provide_credentials().await.map_err(|_| denied())?;
        Ok(Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: Secret::new(found.secret_access_key()),
            session_token: found.session_token().map(Secret::new),
            expires_at: found.expiry().and_then(|end| Timestamp::try_from(end).ok()),
        })
    }
}
