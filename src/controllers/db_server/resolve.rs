//! What a DbServer stands for outside: the server in RDS, and the administrator's login to it.

use crate::api::{DbServer, IamAuthentication, Reason, SourceType, StaticSource};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::arn::Arn;
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::{Engine, ServerFacts};
use crate::ports::Instance;

use super::admin;

/// A server, from whatever source.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) arn: Option<String>,
    pub(super) partition: String,
    pub(super) account_id: String,
    pub(super) resource_id: String,
    pub(super) engine: String,
    pub(super) engine_version: Option<String>,
    pub(super) writer: Endpoint,
    pub(super) reader: Option<Endpoint>,
    /// What RDS says; unknown for a server that is described by hand.
    pub(super) iam_authentication: Option<bool>,
    pub(super) master_username: Option<String>,
    pub(super) master_secret_arn: Option<String>,
    pub(super) ca_identifier: Option<String>,
}

/// The server, where it is one that can be used.
pub(super) async fn server(object: &DbServer, context: &Context) -> Result<Found, Problem> {
    let source = &object.spec.source;
    match (source.kind, &source.db_instance, &source.fixed) {
        (SourceType::DbInstance, Some(instance), _) => instance_in_rds(object, &instance.identifier, context).await,
        (SourceType::Static, _, Some(fixed)) => described_by_hand(&object.spec.region, fixed),
        _ => Err(Problem::of_spec(
            Reason::NotSupportedYet,
            "spec.source.type: this version knows DbInstance and Static only",
        )),
    }
}

async fn instance_in_rds(object: &DbServer, identifier: &str, context: &Context) -> Result<Found, Problem> {
    let region = &object.spec.region;
    let found = context.instances.describe(&server::access(object)?, identifier).await?;
    let instance = found.ok_or_else(|| {
        Problem::passing(Reason::NotFound, format!("RDS knows no DB instance {identifier} in {region}"))
    })?;
    usable(identifier, instance)
}

fn usable(identifier: &str, instance: Instance) -> Result<Found, Problem> {
    if let Some(cluster) = &instance.cluster {
        let message = format!("DB instance {identifier} is a member of cluster {cluster}: name the cluster instead");
        return Err(Problem::standing(Reason::UseDbCluster, message));
    }
    known_engine(&instance.engine)?;
    let unreadable = |_| Problem::passing(Reason::UnexpectedError, "RDS answered with an ARN that cannot be read");
    let arn: Arn = instance.arn.parse().map_err(unreadable)?;
    let Some((host, port)) = &instance.endpoint else {
        let message = format!("DB instance {identifier} has no endpoint yet; RDS says it is {}", instance.status);
        return Err(Problem::passing(Reason::Resolving, message));
    };
    Ok(Found {
        arn: Some(instance.arn.clone()),
        partition: arn.partition().to_owned(),
        account_id: arn.account().to_owned(),
        resource_id: instance.resource_id,
        engine: instance.engine,
        engine_version: Some(instance.engine_version),
        writer: endpoint(host, *port)?,
        reader: None,
        iam_authentication: Some(instance.iam_authentication),
        master_username: Some(instance.master_username),
        master_secret_arn: instance.master_secret_arn,
        ca_identifier: instance.ca_identifier,
    })
}

/// All that describing would tell, as the administrator wrote it down: for operators without describe rights.
fn described_by_hand(region: &str, fixed: &StaticSource) -> Result<Found, Problem> {
    known_engine(&fixed.engine)?;
    Ok(Found {
        arn: None,
        partition: partition_of(region).to_owned(),
        account_id: fixed.account_id.clone(),
        resource_id: fixed.resource_id.clone(),
        engine: fixed.engine.clone(),
        engine_version: None,
        writer: endpoint(&fixed.writer.host, fixed.writer.port)?,
        reader: fixed.reader.as_ref().map(|reader| endpoint(&reader.host, reader.port)).transpose()?,
        iam_authentication: None,
        master_username: None,
        master_secret_arn: None,
        ca_identifier: None,
    })
}

/// The partition that a Region is in.
fn partition_of(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn known_engine(engine: &str) -> Result<(), Problem> {
    if Engine::of_rds(engine).is_some() {
        return Ok(());
    }
    Err(Problem::standing(Reason::NotSupportedYet, format!("the engine {engine} is neither MySQL nor MariaDB")))
}

fn endpoint(host: &str, port: u16) -> Result<Endpoint, Problem> {
    let refused =
        |_| Problem::standing(Reason::NotAllowed, format!("the endpoint {host} is not under rds.amazonaws.com"));
    Endpoint::new(host, port).map_err(refused)
}

/// Logs in as the administrator and asks the server about itself.
pub(super) async fn login(object: &DbServer, server: &Server, context: &Context) -> Result<ServerFacts, Problem> {
    let target = admin::target(object, server, context).await?;
    let (facts, session) = context.databases.open(&target).await?;
    session.close().await;
    if facts.read_only {
        return Err(Problem::passing(Reason::Unreachable, format!("{} takes no writes", server.writer)));
    }
    Ok(facts)
}

/// Whether IAM authentication is on: in RDS, and in the server itself.
pub(super) fn iam_authentication(
    object: &DbServer,
    found: &Found,
    login: Option<&Result<ServerFacts, Problem>>,
) -> Result<(), Problem> {
    if object.spec.iam_authentication != IamAuthentication::Check {
        return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.iamAuthentication: this version knows Check only"));
    }
    if found.iam_authentication == Some(false) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(host: &str, engine: &str) -> StaticSource {
        serde_json::from_value(serde_json::json!({
            "accountId": "123456789012", "resourceId": "cluster-ABC", "engine": engine,
            "writer": {"host": host, "port": 3306},
        }))
        .unwrap()
    }

    #[test]
    fn a_server_described_by_hand_needs_nobody_to_be_asked() {
        let found =
            described_by_hand("us-gov-west-1", &fixed("x.cluster-a.us-gov-west-1.rds.amazonaws.com", "aurora-mysql"));
        let found = found.unwrap();
        assert_eq!((found.partition.as_str(), found.resource_id.as_str()), ("aws-us-gov", "cluster-ABC"));
        assert_eq!(partition_of("cn-north-1"), "aws-cn");
        assert_eq!(partition_of("eu-west-1"), "aws");
    }

    #[test]
    fn no_description_leads_out_of_rds() {
        for host in ["169.254.169.254", "localhost", "db.example.com"] {
            let problem = described_by_hand("us-east-1", &fixed(host, "mysql")).unwrap_err();
            assert_eq!(problem.reason, Reason::NotAllowed, "{host}");
        }
        let problem = described_by_hand("us-east-1", &fixed("x.rds.amazonaws.com", "postgres")).unwrap_err();
        assert_eq!(problem.reason, Reason::NotSupportedYet);
    }
}
