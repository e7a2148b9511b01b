//! The operator as a role of another account: one session at a time, for all clients.

use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_sts::Client;
use tokio::sync::Mutex;

use super::sts::{SESSION_NAME, seconds};
use crate::domain::access::AccountRole;

/// A session is renewed while it still has this much life: a token signed from it must be good until the database has looked at it, and a
/// renewal that fails has time to be tried again.
const RENEW_BEFORE: Duration = Duration::from_mins(5);

/// A session lives this long. Every role allows it, and role chaining allows no more.
const LIFE: Duration = Duration::from_hours(1);

const NAME: &str = "iamdb-account-role";

/// The credentials of a role, assumed when they are first asked for.
#[derive(Debug)]
pub(super) struct RoleCredentials {
    client: Client,
    role: AccountRole,
    session: Mutex<Option<Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    credentials: Credentials,
    /// By this machine's own clock, whatever AWS's says.
    since: Instant,
}

impl Session {
    fn lives_for(&self, another: Duration) -> bool {
        self.since.elapsed() + another < LIFE
    }
}

impl RoleCredentials {
    pub(super) fn new(sdk: &SdkConfig, role: &AccountRole) -> Self {
        Self { client: Client::new(sdk), role: role.clone(), session: Mutex::default() }
    }

    async fn credentials(&self) -> provider::Result {
        // Whoever comes meanwhile waits here and finds the new session.
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| session.lives_for(RENEW_BEFORE)) {
            return Ok(session.credentials.clone());
        }
        match self.assume().await {
            Ok(fresh) => Ok(session.insert(fresh).credentials.clone()),
            Err(error) => {
                let alive = session.as_ref().filter(|session| session.lives_for(Duration::ZERO));
                alive.map(|session| session.credentials.clone()).ok_or(error)
            }
        }
    }

    async fn assume(&self) -> Result<Session, CredentialsError> {
        let since = Instant::now();
        let call = self.client.assume_role().role_arn(self.role.role.arn().as_str()).role_session_name(SESSION_NAME);
        let call = call.duration_seconds(seconds(LIFE)).set_external_id(self.role.external_id.clone());
        let answer = call.send().await.map_err(CredentialsError::provider_error)?;
        let unhandled = || CredentialsError::unhandled("the answer has no session with an end");
        let found = answer.credentials.ok_or_else(unhandled)?;
        let end = SystemTime::try_from(found.expiration).map_err(|_| unhandled())?;
        let token = Some(found.session_token);
        let credentials = Credentials::new(found.access_key_id, found.secret_access_key, token, Some(end), NAME);
        Ok(Session { credentials, since })
    }
}

impl ProvideCredentials for RoleCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_renewed_while_it_still_has_life() {
        let credentials = Credentials::new("ASIA", "canary", Some("canary".into()), None, NAME);
        let session = |age: Duration| Session {
            credentials: credentials.clone(),
            since: Instant::now().checked_sub(age).unwrap(),
        };
        assert!(session(Duration::from_mins(54)).lives_for(RENEW_BEFORE));
        assert!(!session(Duration::from_mins(55)).lives_for(RENEW_BEFORE));
        assert!(session(Duration::from_mins(59)).lives_for(Duration::ZERO));
        assert!(!session(Duration::from_mins(60)).lives_for(Duration::ZERO));
        assert!(!format!("{:?}", session(Duration::ZERO)).contains("canary"));
    }
}
