//! The operator's own credentials, from wherever the SDK's default chain finds them, and those of the roles that it assumes.

use async_trait::async_trait;
use aws_credential_types::provider::ProvideCredentials;
use jiff::Timestamp;

use super::classify;
use super::clients::Identities;
use crate::domain::access::Access;
use crate::domain::secret::Secret;
use crate::domain::token::Credentials;
use crate::ports::{Fault, FaultKind, OwnIdentity};

const FIND: &str = "find the operator's own AWS credentials";
const ASSUME: &str = "assume the role of the database's account";

/// What the default chain provides, and what can be had with it.
#[derive(Debug)]
pub struct OwnCredentials {
    identities: Identities,
}

impl OwnCredentials {
    pub(super) fn new(identities: &Identities) -> Self {
        Self { identities: identities.clone() }
    }
}

#[async_trait]
impl OwnIdentity for OwnCredentials {
    async fn credentials(&self) -> Result<Credentials, Fault> {
        self.credentials_for(&Access::own("")).await
    }

    async fn credentials_for(&self, access: &Access) -> Result<Credentials, Fault> {
        let operation = if access.role.is_some() { ASSUME } else { FIND };
        let provider = self.identities.credentials(access).ok_or_else(|| Fault::new(FaultKind::Denied, FIND))?;
        let found = provider.provide_credentials().await.map_err(|error| classify::credentials(operation, &error))?;
        Ok(Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: Secret::new(found.secret_access_key()),
            session_token: found.session_token().map(Secret::new),
            expires_at: found.expiry().and_then(|end| Timestamp::try_from(end).ok()),
        })
    }
}
