//! Where and how the administrator logs in. Read anew at each use: RDS rotates its secret, people rotate theirs, and a token lives 15 minutes.

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::ResourceExt;
use kube::api::Api;

use super::resolve::is_outage;
use crate::api::{ADMIN_CREDENTIALS_LABEL, AdminType, DbServer, Reason, SecretLogin};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::engine::ServerFacts;
use crate::domain::secret::Secret;
use crate::domain::token::{Connect, sign};
use crate::k8s::call::call;
use crate::ports::{AdminSession, DatabaseCredentials, Databases, FaultKind, LoginTarget};

/// An administrator's session, and what the server says of itself.
type Opened = (ServerFacts, Box<dyn AdminSession>);

/// Opens a session for a user's account. A server that cannot be got at, or takes no writes, is looked at anew: it may have moved.
pub(in crate::controllers) async fn open(
    object: &DbServer,
    server: &Server,
    context: &Context,
) -> Result<Opened, Problem> {
    let opened = log_in(object, server, context).await;
    if opened.as_ref().is_err_and(|problem| problem.reason == Reason::Unreachable) {
        context.looks.ask(&object.name_any(), context.clock.now());
    }
    opened
}

/// Logs in to a server that takes writes. Between reading the secret and using it somebody may rotate it, so a login that was refused is tried
/// once more with what the secret says then, if that is something else.
pub(super) async fn log_in(object: &DbServer, server: &Server, context: &Context) -> Result<Opened, Problem> {
    let first = target(object, server, context).await?;
    let (facts, session) = log_in_by(context.databases.as_ref(), first, target(object, server, context)).await?;
    if facts.read_only {
        session.close().await;
        return Err(Problem::passing(Reason::Unreachable, format!("{} takes no writes", server.writer)));
    }
    Ok((facts, session))
}

async fn log_in_by(
    databases: &dyn Databases,
    first: LoginTarget,
    again: impl Future<Output = Result<LoginTarget, Problem>> + Send,
) -> Result<Opened, Problem> {
    let refused = match databases.open(&first).await {
        Err(fault) if fault.kind == FaultKind::Denied && !first.by_token => fault,
        answer => return Ok(answer?),
    };
    let again = again.await?;
    if again.login == first.login {
        return Err(refused.into());
    }
    Ok(databases.open(&again).await?)
}

/// The administrator's way into a server.
async fn target(object: &DbServer, server: &Server, context: &Context) -> Result<LoginTarget, Problem> {
    let ca = server::ca(context, object)?;
    let name = object.name_any();
    let admin = object.spec.admin.as_ref();
    let admin = admin.ok_or_else(|| Problem::of_spec(Reason::NoAdmin, format!("DbServer {name} has no spec.admin")))?;
    let login = match (admin.kind, &admin.secrets_manager, &admin.secret_ref, &admin.iam) {
        (AdminType::MasterUserSecret, ..) => {
            let arn = server.admin_secret_arn.as_ref().ok_or_else(|| {
                let message =
                    "RDS does not manage the master user's password of this server (ManageMasterUserPassword)";
                Problem::passing(Reason::AdminSecretUnreadable, message)
            })?;
            in_secrets_manager(server, arn, context).await?
        }
        (AdminType::SecretsManager, Some(secret), ..) => in_secrets_manager(server, &secret.arn, context).await?,
        (AdminType::SecretRef, _, Some(reference), _) => in_secret(reference, context).await?,
        (AdminType::Iam, _, _, Some(iam)) => by_token(server, &iam.username, context).await?,
        _ => return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.admin.type is not known to this version")),
    };
    let by_token = admin.kind == AdminType::Iam;
    Ok(LoginTarget { endpoint: server.writer.clone(), login, ca: ca.pem(), by_token })
}

async fn in_secrets_manager(server: &Server, arn: &str, context: &Context) -> Result<DatabaseCredentials, Problem> {
    context.admin_secrets.read(&server.access, arn).await.map_err(|fault| {
        let is_outage = is_outage(&fault);
        let problem = Problem::from(fault);
        if is_outage { problem } else { problem.because(Reason::AdminSecretUnreadable) }
    })
}

/// Only a Secret that says of itself that it is one: else a DbServer could make the operator send any Secret's content to a server.
async fn in_secret(reference: &SecretLogin, context: &Context) -> Result<DatabaseCredentials, Problem> {
    let SecretLogin { name, username_key, password_key } = reference;
    let namespace = &context.settings.namespace;
    let unreadable = |what: String| Problem::passing(Reason::AdminSecretUnreadable, what);
    let api = Api::<KubeSecret>::namespaced(context.client.clone(), namespace);
    let found = call("read the administrator's Secret", api.get_opt(name)).await?;
    let found = found.ok_or_else(|| unreadable(format!("there is no Secret {namespace}/{name}")))?;
    if found.labels().get(ADMIN_CREDENTIALS_LABEL).is_none_or(|value| value != "true") {
        return Err(unreadable(format!(
            "Secret {namespace}/{name} does not carry the label {ADMIN_CREDENTIALS_LABEL}=true"
        )));
    }
    let data = found.data.unwrap_or_default();
    let text = |key: &str| {
        let value =
            data.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok()).filter(|text| !text.is_empty());
        value.ok_or_else(|| unreadable(format!("Secret {namespace}/{name} has no text under the key {key}")))
    };
    Ok(DatabaseCredentials { username: text(username_key)?, password: Secret::new(text(password_key)?) })
}

async fn by_token(server: &Server, username: &str, context: &Context) -> Result<DatabaseCredentials, Problem> {
    let credentials = context.own_identity.credentials_for(&server.access).await?;
    let connect =
        Connect { region: server.region.clone(), endpoint: server.writer.clone(), username: username.to_owned() };
    let token = sign(&credentials, &connect, context.clock.now());
    Ok(DatabaseCredentials { username: username.to_owned(), password: token.text })
}

#[cfg(test)]
mod tests {

    use async_trait::async_trait;
    use parking_lot::Mutex;

    use super::*;
    use crate::domain::endpoint::Endpoint;
    use crate::ports::Fault;

    /// A server that refuses everybody and remembers who came.
    #[derive(Default)]
    struct Closed(Mutex<Vec<String>>);

    #[async_trait]
    impl Databases for Closed {
        async fn open(&self, target: &LoginTarget) -> Result<Opened, Fault> {
            self.0.lock().push(target.login.password.expose().to_owned());
            Err(Fault::new(FaultKind::Denied, "log in").with_code("1045"))
        }
    }

    /// What is tried, if the secret says one password after the other.
    async fn tried(first: &str, again: &str, by_token: bool) -> Vec<String> {
        let closed = Closed::default();
        let target = |password: &str| LoginTarget {
            endpoint: Endpoint::new("x.rds.amazonaws.com", 3306).unwrap(),
            login: DatabaseCredentials { username: "admin".into(), password: Secret::new(password) },
            ca: "".into(),
            by_token,
        };
        let refused = log_in_by(&closed, target(first), async { Ok(target(again)) }).await.err().unwrap();
        assert_eq!(refused.reason, Reason::AccessDenied);
        closed.0.into_inner()
    }

    #[tokio::test]
    async fn a_refused_login_is_tried_once_more_with_what_the_secret_says_then() {
        assert_eq!(tried("old", "new", false).await, ["old", "new"]);
        assert_eq!(tried("same", "same", false).await, ["same"], "it was not rotated");
        assert_eq!(tried("token", "another", true).await, ["token"], "no secret is behind a token");
    }
}
