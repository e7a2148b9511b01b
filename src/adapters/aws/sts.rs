//! Sessions of roles.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::{Credentials as StsCredentials, Tag};
use jiff::Timestamp;

use super::classify;
use super::clients::{Identities, Regional};
use crate::domain::access::Access;
use crate::domain::arn::Principal;
use crate::domain::assume::Assume;
use crate::domain::secret::Secret;
use crate::domain::token::Credentials;
use crate::ports::{Fault, FaultKind, Sessions};

const BY_WEB_IDENTITY: &str = "assume a role by web identity";
const BY_ROLE: &str = "assume a role";

/// Name of every session: CloudTrail shows it, and trust policies may ask for it.
pub(super) const SESSION_NAME: &str = "iamdb-operator";

/// STS of every Region.
#[derive(Debug)]
pub struct StsSessions {
    clients: Regional<Client>,
}

impl StsSessions {
    pub(super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }
}

#[async_trait]
impl Sessions for StsSessions {
    /// The SDK sends this call unsigned: the token is all that speaks for the caller, not what the operator may do.
    async fn by_web_identity(
        &self,
        region: &str,
        role: &Principal,
        token: &Secret,
        life: Duration,
    ) -> Result<Credentials, Fault> {
        let answer = self
            .clients
            .client(&Access::own(region))
            .assume_role_with_web_identity()
            .role_arn(role.arn().as_str())
            .role_session_name(SESSION_NAME)
            .web_identity_token(token.expose())
            .duration_seconds(seconds(life))
            .send()
            .await
            .map_err(|error| classify::fault(BY_WEB_IDENTITY, &error))?;
        read(BY_WEB_IDENTITY, answer.credentials)
    }

    async fn by_role(
        &self,
        region: &str,
        assume: &Assume,
        with: Option<&Credentials>,
        life: Duration,
    ) -> Result<Credentials, Fault> {
        let tags = assume.tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok());
        let call = self
            .clients
            .client(&Access::own(region))
            .assume_role()
            .role_arn(assume.role.arn().as_str())
            .role_session_name(SESSION_NAME)
            .external_id(&assume.external_id)
            .set_tags(Some(tags.collect()).filter(|tags: &Vec<Tag>| !tags.is_empty()))
            .duration_seconds(seconds(life));
        let answer = match with {
            Some(credentials) => {
                let config = aws_sdk_sts::Config::builder().credentials_provider(provider(credentials));
                call.customize().config_override(config).send().await
            }
            None => call.send().await,
        };
        read(BY_ROLE, answer.map_err(|error| classify::fault(BY_ROLE, &error))?.credentials)
    }
}

/// Credentials as the SDK takes them.
fn provider(credentials: &Credentials) -> aws_credential_types::Credentials {
    aws_credential_types::Credentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().to_owned()),
        credentials.expires_at.map(Into::into),
        "session",
    )
}

pub(super) fn seconds(life: Duration) -> i32 {
    i32::try_from(life.as_secs()).unwrap_or(i32::MAX)
}

/// A session without an end would make tokens that claim a life which nobody knows.
fn read(operation: &'static str, credentials: Option<StsCredentials>) -> Result<Credentials, Fault> {
    let unreadable = || Fault::new(FaultKind::Unreadable, operation);
    let credentials = credentials.ok_or_else(unreadable)?;
    let end = credentials.expiration;
    let expires_at =
        Timestamp::new(end.secs(), i32::try_from(end.subsec_nanos()).unwrap_or_default()).map_err(|_| unreadable())?;
    Ok(Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: Secret::new(credentials.secret_access_key),
        session_token: Some(Secret::new(credentials.session_token)),
        expires_at: Some(expires_at),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::primitives::DateTime;

    use super::*;

    #[test]
    fn a_session_is_read_with_its_end() {
        let session = StsCredentials::builder()
            .access_key_id("ASIA")
            .secret_access_key("canary")
            .session_token("canary")
            .expiration(DateTime::from_secs(1_800_000_000))
            .build()
            .unwrap();
        let read = read(BY_ROLE, Some(session)).unwrap();
        assert_eq!(read.expires_at, Some(Timestamp::from_second(1_800_000_000).unwrap()));
        assert_eq!(read.session_token.as_ref().unwrap().expose(), "canary");
        assert!(!format!("{read:?}").contains("canary"));
    }

    #[test]
    fn an_answer_without_credentials_is_unreadable() {
        assert_eq!(read(BY_ROLE, None).unwrap_err().kind, FaultKind::Unreadable);
    }
}
