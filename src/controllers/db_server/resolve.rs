//! What a DbServer stands for outside: the instance in RDS, and the administrator's login to it.

use kube::ResourceExt;

use crate::api::{AdminType, DbServer, IamAuthentication, Reason, SourceType};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::arn::Arn;
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::{Engine, ServerFacts};
use crate::ports::{AdminTarget, FaultKind, Instance};

/// The instance, where it is one that can be used.
pub(super) async fn instance(object: &DbServer, context: &Context) -> Result<Instance, Problem> {
    let identifier = identifier(object)?;
    let found = context.instances.describe(&object.spec.region, identifier).await?;
    let region = &object.spec.region;
    let instance = found.ok_or_else(|| {
        Problem::passing(Reason::NotFound, format!("RDS knows no DB instance {identifier} in {region}"))
    })?;
    usable(identifier, instance)
}

fn identifier(object: &DbServer) -> Result<&str, Problem> {
    let source = &object.spec.source;
    match (source.kind, &source.db_instance) {
        (SourceType::DbInstance, Some(instance)) => Ok(&instance.identifier),
        _ => Err(Problem::of_spec(Reason::NotSupportedYet, "spec.source.type: this version knows DbInstance only")),
    }
}

fn usable(identifier: &str, instance: Instance) -> Result<Instance, Problem> {
    if let Some(cluster) = &instance.cluster {
        let message = format!("DB instance {identifier} is a member of cluster {cluster}: name the cluster instead");
        return Err(Problem::standing(Reason::UseDbCluster, message));
    }
    if Engine::of_rds(&instance.engine).is_none() {
        let message = format!("DB instance {identifier} is neither MySQL nor MariaDB");
        return Err(Problem::standing(Reason::NotSupportedYet, message));
    }
    if instance.arn.parse::<Arn>().is_err() {
        return Err(Problem::passing(Reason::UnexpectedError, "RDS answered with an ARN that cannot be read"));
    }
    let Some((host, port)) = &instance.endpoint else {
        let message = format!("DB instance {identifier} has no endpoint yet; RDS says it is {}", instance.status);
        return Err(Problem::passing(Reason::Resolving, message));
    };
    if Endpoint::new(host, *port).is_err() {
        let message = format!("the endpoint of DB instance {identifier} is not under rds.amazonaws.com");
        return Err(Problem::standing(Reason::UnexpectedError, message));
    }
    Ok(instance)
}

/// Logs in as the administrator and asks the server about itself.
pub(super) async fn login(object: &DbServer, server: &Server, context: &Context) -> Result<ServerFacts, Problem> {
    let target = admin_target(object, server, context).await?;
    let (facts, session) = context.databases.open(&target).await?;
    session.close().await;
    if facts.read_only {
        return Err(Problem::passing(Reason::Unreachable, format!("{} takes no writes", server.writer)));
    }
    Ok(facts)
}

/// Where and how the administrator logs in. The secret is read anew each time, because RDS rotates it.
pub(in crate::controllers) async fn admin_target(
    object: &DbServer,
    server: &Server,
    context: &Context,
) -> Result<AdminTarget, Problem> {
    let ca = server::ca(context, object)?;
    let name = object.name_any();
    let admin = object.spec.admin.as_ref();
    let admin = admin.ok_or_else(|| Problem::of_spec(Reason::NoAdmin, format!("DbServer {name} has no spec.admin")))?;
    if admin.kind != AdminType::MasterUserSecret {
        return Err(Problem::of_spec(
            Reason::NotSupportedYet,
            "spec.admin.type: this version knows MasterUserSecret only",
        ));
    }
    let arn = server.admin_secret_arn.as_ref().ok_or_else(|| {
        let message = "RDS does not manage the master user's password of this DB instance (ManageMasterUserPassword)";
        Problem::passing(Reason::AdminSecretUnreadable, message)
    })?;
    let login = context.admin_secrets.read(&server.region, arn).await.map_err(|fault| {
        let is_outage = matches!(fault.kind, FaultKind::Unreachable | FaultKind::Throttled);
        let problem = Problem::from(fault);
        if is_outage { problem } else { problem.because(Reason::AdminSecretUnreadable) }
    })?;
    Ok(AdminTarget { endpoint: server.writer.clone(), login, ca: ca.pem().to_owned() })
}

/// Whether IAM authentication is on: in RDS, and in the server itself.
pub(super) fn iam_authentication(
    object: &DbServer,
    instance: &Instance,
    login: Option<&Result<ServerFacts, Problem>>,
) -> Result<(), Problem> {
    if object.spec.iam_authentication != IamAuthentication::Check {
        return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.iamAuthentication: this version knows Check only"));
    }
    if !instance.iam_authentication {
        let message = "IAM database authentication is off; switch it on with \
                       aws rds modify-db-instance --enable-iam-database-authentication";
        return Err(Problem::standing(Reason::IamAuthDisabled, message));
    }
    match login {
        Some(Ok(facts)) if !facts.plugin_active => Err(Problem::passing(
            Reason::PluginMissing,
            "RDS says that IAM database authentication is on, but the server has not loaded AWSAuthenticationPlugin (1524)",
        )),
        _ => Ok(()),
    }
}
