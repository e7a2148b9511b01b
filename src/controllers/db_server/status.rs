//! What a DbServer tells.

use kube::api::Api;

use super::resolve::{self, Found};
use crate::api::{ConditionType, Conditions, DbServer, DbServerStatus, Endpoints, HostPort, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::ServerFacts;
use crate::k8s::conditions::Finding;
use crate::k8s::status::CallError;

/// A status to be written: its fields, and what was found.
pub(super) struct Next {
    fields: DbServerStatus,
    findings: Vec<Finding>,
}

/// The object with what was found in its status. Where nothing was, what was found last still stands: a describe call that fails must not stop
/// tokens from being renewed.
pub(super) fn with(object: &DbServer, found: Option<&Found>) -> DbServer {
    let mut known = object.clone();
    let fields = known.status.get_or_insert_default();
    if let Some(found) = found.cloned() {
        let host_port = |endpoint: Endpoint| HostPort { host: endpoint.host().to_owned(), port: endpoint.port() };
        fields.arn = found.arn;
        fields.partition = Some(found.partition);
        fields.account_id = Some(found.account_id);
        fields.resource_id = Some(found.resource_id);
        fields.engine = Some(found.engine);
        fields.engine_version = found.engine_version;
        fields.iam_authentication = found.iam_authentication;
        fields.master_username = found.master_username;
        fields.admin_secret_arn = found.master_secret_arn;
        fields.ca_identifier = found.ca_identifier;
        fields.endpoints = Some(Endpoints {
            writer: Some(host_port(found.writer)),
            reader: found.reader.map(host_port),
            ..Endpoints::default()
        });
    }
    known
}

/// The status after a look at RDS and, where that was possible, a login.
pub(super) fn of(
    known: &DbServer,
    found: &Result<Found, Problem>,
    login: Option<&Result<ServerFacts, Problem>>,
) -> Next {
    let resolved = Verdict::of(found, |found| format!("{} at {}", found.resource_id, found.writer));
    let unknown = || Verdict::Waiting(Reason::Resolving, "not looked at while the server is not resolved".into());
    let iam = match found {
        Ok(found) => Verdict::of(&resolve::iam_authentication(known, found, login), |()| "on".into()),
        Err(_) => unknown(),
    };
    let admin = match login {
        // Nothing to reach is no failure: such a server serves accounts that somebody else makes.
        Some(Err(problem)) if problem.reason == Reason::NoAdmin => {
            Verdict::Waiting(Reason::NoAdmin, problem.message.clone())
        }
        Some(login) => Verdict::of(login, |facts| format!("logged in to {:?}", facts.engine)),
        None => unknown(),
    };
    let parts = [
        (ConditionType::Resolved, resolved),
        (ConditionType::IamAuthentication, iam),
        (ConditionType::AdminReachable, admin),
    ];
    Next {
        fields: known.status.clone().unwrap_or_default(),
        findings: report::findings(&parts, "accounts and tokens can be had"),
    }
}

/// The status of a DbServer that is to go and may not yet.
pub(super) fn deleting(object: &DbServer, problem: &Problem) -> Next {
    let findings = report::findings(&[(ConditionType::Resolved, Verdict::Bad(problem.clone()))], "");
    Next { fields: object.status.clone().unwrap_or_default(), findings: findings.into_iter().take(1).collect() }
}

/// Writes it if it changed.
pub(super) async fn write(
    api: &Api<DbServer>,
    object: &DbServer,
    next: Next,
    context: &Context,
) -> Result<(), CallError> {
    let none = Conditions::new();
    let before = object.status.as_ref().map_or(&none, |status| &status.conditions);
    let generation = object.metadata.generation;
    let conditions = report::conditions(context, before, &next.findings, generation);
    let status = DbServerStatus { observed_generation: generation, conditions, ..next.fields };
    report::write(context, api, object, (object.status.as_ref(), before), (&status, &status.conditions)).await
}
