//! Administrators' logins in Secrets Manager.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use serde::Deserialize;

use super::classify;
use super::clients::{Identities, Regional};
use crate::domain::access::Access;
use crate::domain::secret::Secret;
use crate::ports::{AdminSecrets, DatabaseCredentials, Fault, FaultKind};

const READ: &str = "read the administrator's secret";

/// Secrets Manager of every Region.
#[derive(Debug)]
pub struct SecretsManager {
    clients: Regional<Client>,
}

impl SecretsManager {
    pub(super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }
}

#[async_trait]
impl AdminSecrets for SecretsManager {
    async fn read(&self, access: &Access, arn: &str) -> Result<DatabaseCredentials, Fault> {
        let mut answer = self
            .clients
            .client(access)
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| classify::fault(READ, &error))?;
        let text = answer.secret_string.take().map(Secret::new);
        text.as_ref().and_then(parse).ok_or_else(|| Fault::new(FaultKind::Unreadable, READ))
    }
}

/// No error says why a secret is no login: serde's would quote from it.
fn parse(text: &Secret) -> Option<DatabaseCredentials> {
    // It has no `Debug`.
    #[derive(Deserialize)]
    struct Login {
        username: String,
        password: String,
    }
    let login: Login = serde_json::from_str(text.expose()).ok()?;
    let password = Secret::new(login.password);
    (!login.username.is_empty() && !password.expose().is_empty())
        .then_some(DatabaseCredentials { username: login.username, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Option<DatabaseCredentials> {
        parse(&Secret::new(text))
    }

    #[test]
    fn a_login_is_read_and_its_password_is_not_shown() {
        let login = login(r#"{"username":"admin","password":"ca\"nary","engine":"mysql"}"#).unwrap();
        assert_eq!((login.username.as_str(), login.password.expose()), ("admin", "ca\"nary"));
        assert!(!format!("{login:?}").contains("nary"));
    }

    #[test]
    fn what_is_no_login_is_none() {
        for text in [
            "",
            "canary",
            "{}",
            r#"{"username":"admin"}"#,
            r#"{"username":"admin","password":""}"#,
            r#"{"username":"","password":"x"}"#,
            r#"{"username":"admin","password":1}"#,
        ] {
            assert_eq!(login(text), None, "{text}");
        }
    }
}
