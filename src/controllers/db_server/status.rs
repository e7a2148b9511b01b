//! What a DbServer tells.

use kube::api::Api;

use super::resolve;
use crate::api::{ConditionType, Conditions, DbServer, DbServerStatus, Endpoints, HostPort, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::arn::Arn;
use crate::domain::engine::ServerFacts;
use crate::k8s::conditions::Finding;
use crate::k8s::status::CallError;
use crate::ports::Instance;

/// A status to be written: its fields, and what was found.
pub(super) struct Next {
    fields: DbServerStatus,
    findings: Vec<Finding>,
}

/// The object with what RDS says in its status. Where RDS said nothing, what it said last still stands: a describe call that fails must not stop
/// tokens from being renewed.
pub(super) fn with_instance(object: &DbServer, instance: Option<&Instance>) -> DbServer {
    let mut found = object.clone();
    let fields = found.status.get_or_insert_default();
    if let Some(instance) = instance {
        let arn = instance.arn.parse::<Arn>().ok();
        fields.arn = Some(instance.arn.clone());
        fields.partition = arn.as_ref().map(|arn| arn.partition().to_owned());
        fields.account_id = arn.as_ref().map(|arn| arn.account().to_owned());
        fields.resource_id = Some(instance.resource_id.clone());
        fields.engine = Some(instance.engine.clone());
        fields.engine_version = Some(instance.engine_version.clone());
        fields.iam_authentication = Some(instance.iam_authentication);
        fields.master_username = Some(instance.master_username.clone());
        fields.admin_secret_arn.clone_from(&instance.master_secret_arn);
        fields.ca_identifier.clone_from(&instance.ca_identifier);
        let writer = instance.endpoint.clone().map(|(host, port)| HostPort { host, port });
        fields.endpoints = Some(Endpoints { writer });
    }
    found
}

/// The status after a look at RDS and, where that was possible, a login.
pub(super) fn of(
    found: &DbServer,
    instance: &Result<Instance, Problem>,
    login: Option<&Result<ServerFacts, Problem>>,
) -> Next {
    let resolved = Verdict::of(instance, |instance| {
        let (host, port) = instance.endpoint.clone().unwrap_or_default();
        format!("{} at {host}:{port}", instance.resource_id)
    });
    let unknown = || Verdict::Waiting(Reason::Resolving, "not looked at while the DB instance is not resolved".into());
    let iam = match instance {
        Ok(instance) => Verdict::of(&resolve::iam_authentication(found, instance, login), |()| "on".into()),
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
        fields: found.status.clone().unwrap_or_default(),
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
