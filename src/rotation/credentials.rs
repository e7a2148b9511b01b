//! One set of credentials an identity: fetched by one caller while the others wait, renewed before they are too short-lived to sign with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use parking_lot::Mutex;

use tokio::time::Instant;

use super::order::{Identity, Problem};
use crate::domain::schedule;
use crate::domain::secret::Secret;
use crate::domain::token::Credentials;
use crate::k8s::call::call;
use crate::ports::{Clock, Fault, FaultKind, OwnIdentity, Sessions};

/// What sessions are asked for. Every role allows it, and role chaining allows no more.
const SESSION_LIFE: Duration = Duration::from_secs(3_600);

/// The audience that STS expects in a ServiceAccount's token.
const AUDIENCE: &str = "sts.amazonaws.com";

/// Life of a ServiceAccount's token, in seconds: the least that the apiserver gives. It is used once.
const TOKEN_SECONDS: i64 = 600;

/// Identities beyond this make room for each other: those go whose credentials are no longer of use.
const MOST_IDENTITIES: usize = 10_000;

type Cell = Arc<tokio::sync::Mutex<Held>>;

/// What is known of an identity.
#[derive(Default)]
struct Held {
    credentials: Option<Credentials>,
    /// When the last attempt to get others failed, and why.
    failed: Option<(Instant, Problem)>,
}

/// Credentials of all identities.
pub struct CredentialCache {
    client: kube::Client,
    sessions: Arc<dyn Sessions>,
    own: Arc<dyn OwnIdentity>,
    clock: Arc<dyn Clock>,
    cells: Mutex<HashMap<Identity, Cell>>,
}

impl CredentialCache {
    /// An empty cache.
    #[must_use]
    pub fn new(
        client: kube::Client,
        sessions: Arc<dyn Sessions>,
        own: Arc<dyn OwnIdentity>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { client, sessions, own, clock, cells: Mutex::default() }
    }

    /// Credentials that live at least a whole token longer. A session that is a little shorter is taken as it is: its tokens say honestly when they die,
    /// and the next signing asks anew. The operator's own are taken however long they live: it cannot ask for others.
    ///
    /// # Errors
    /// What the apiserver or STS had against it.
    pub async fn get(&self, identity: &Identity) -> Result<Credentials, Problem> {
        let (cell, wanted) = (self.cell(identity), Instant::now());
        // Held while asking: whoever else needs the same identity waits for this answer, good or bad, instead of asking too. Else those who wait for
        // an identity that hangs would hang one after the other.
        let mut held = cell.lock().await;
        if let Some(credentials) = &held.credentials
            && !schedule::must_renew(credentials.expires_at, self.clock.now())
        {
            return Ok(credentials.clone());
        }
        if let Some((failed, problem)) = &held.failed
            && *failed >= wanted
        {
            return Err(problem.clone());
        }
        let answer = self.renew(identity).await;
        match &answer {
            Ok(credentials) => *held = Held { credentials: Some(credentials.clone()), failed: None },
            Err(problem) => held.failed = Some((Instant::now(), problem.clone())),
        }
        answer
    }

    async fn renew(&self, identity: &Identity) -> Result<Credentials, Problem> {
        let credentials = self.assume(identity).await.map_err(Problem::Identity)?;
        let is_session = !matches!(identity, Identity::Operator);
        if is_session && schedule::is_too_short(credentials.expires_at, self.clock.now()) {
            return Err(Problem::SessionTooShort);
        }
        Ok(credentials)
    }

    fn cell(&self, identity: &Identity) -> Cell {
        let mut cells = self.cells.lock();
        if cells.len() >= MOST_IDENTITIES {
            let now = self.clock.now();
            let is_of_use = |cell: &Cell| {
                // One that is being asked for is locked.
                cell.try_lock().map_or(true, |held| {
                    held.credentials
                        .as_ref()
                        .is_some_and(|credentials| !schedule::must_renew(credentials.expires_at, now))
                })
            };
            cells.retain(|_, cell| Arc::strong_count(cell) > 1 || is_of_use(cell));
        }
        cells.entry(identity.clone()).or_default().clone()
    }

    /// Forgets an identity that no order needs any more.
    pub fn forget(&self, identity: &Identity) {
        self.cells.lock().remove(identity);
    }

    async fn assume(&self, identity: &Identity) -> Result<Credentials, Fault> {
        match identity {
            Identity::ServiceAccount { region, namespace, name, role, then } => {
                let token = self.service_account_token(namespace, name).await?;
                let own = self.sessions.by_web_identity(region, role, &token, SESSION_LIFE).await?;
                match then {
                    Some(assume) => self.sessions.by_role(region, assume, Some(&own), SESSION_LIFE).await,
                    None => Ok(own),
                }
            }
            Identity::Role { region, assume } => self.sessions.by_role(region, assume, None, SESSION_LIFE).await,
            Identity::Operator => self.own.credentials().await,
        }
    }

    async fn service_account_token(&self, namespace: &str, name: &str) -> Result<Secret, Fault> {
        const OPERATION: &str = "create serviceaccounts/token";
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![AUDIENCE.to_owned()],
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = call(OPERATION, api.create_token_request(name, &PostParams::default(), &request)).await;
        let answer = answer.map_err(|error| {
            let kind = match error.code() {
                Some(404) => FaultKind::Missing,
                Some(401 | 403) => FaultKind::LacksPrivilege,
                Some(429) => FaultKind::Throttled,
                Some(_) => FaultKind::Other,
                None => FaultKind::Unreachable,
            };
            let fault = Fault::new(kind, OPERATION);
            match error.code() {
                Some(code) => fault.with_code(code.to_string()),
                None => fault,
            }
        })?;
        let token = answer.status.map(|status| Secret::new(status.token));
        token.ok_or_else(|| Fault::new(FaultKind::Unreadable, OPERATION))
    }
}

#[cfg(test)]
mod tests;
