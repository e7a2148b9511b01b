//! What a DbServer stands for outside: the server in RDS with its proxies, and the administrator's login to it.

use std::time::Duration;

use kube::ResourceExt;

use super::found::{self, Found};
use super::{admin, proxies};
use crate::api::{DbServer, PolicyMode, Quotas, Reason, SourceType};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::controllers::wakes::own_state;
use crate::domain::access::Access;
use crate::domain::account::{Abilities, Question};
use crate::domain::engine::ServerFacts;
use crate::ports::{Fault, FaultKind, PolicyQuotas, ServerName};

/// The server, where it is one that can be used. Two calls to RDS for an instance without replicas, four for a cluster, three more a proxy.
pub(super) async fn server(object: &DbServer, context: &Context) -> Result<Found, Problem> {
    let (access, source) = (server::access(object)?, &object.spec.source);
    let known = match (source.kind, &source.db_instance, &source.db_cluster, &source.fixed) {
        (SourceType::DbInstance, Some(instance), ..) => {
            in_rds(object, &access, ServerName::Instance(instance.identifier.clone()), context).await
        }
        (SourceType::DbCluster, _, Some(cluster), _) => {
            in_rds(object, &access, ServerName::Cluster(cluster.identifier.clone()), context).await
        }
        (SourceType::Static, _, _, Some(fixed)) => found::by_hand(&access.region, fixed),
        _ => Err(Problem::of_spec(Reason::NotSupportedYet, "spec.source.type is not known to this version")),
    }?;
    with_proxies(object, &access, known, context).await
}

async fn in_rds(object: &DbServer, access: &Access, name: ServerName, context: &Context) -> Result<Found, Problem> {
    let described = context.rds.describe(access, &name).await?.ok_or_else(|| {
        let message = format!("RDS knows no {} in {}", found::called(&name), access.region);
        Problem::passing(Reason::NotFound, message)
    })?;
    let found = found::in_rds(&name, described)?;
    match upcoming(object, access, found.arn.as_deref().unwrap_or_default(), context).await {
        Ok(upcoming) => Ok(Found { upcoming, ..found }),
        Err(fault) if is_outage(&fault) => Err(fault.into()),
        // Nobody has to give this right: without it a switch-over is noticed when it has happened.
        Err(_) => {
            let before = object.status.as_ref().map(|status| status.upcoming_resource_ids.clone());
            let note = Some("blue/green deployments cannot be looked at (rds:DescribeBlueGreenDeployments)");
            Ok(Found { upcoming: before.unwrap_or_default(), note, ..found })
        }
    }
}

/// More ids than the status holds are not granted beforehand.
const UPCOMING: usize = 8;

/// Resource ids of the green sides that the server may be switched over to.
async fn upcoming(object: &DbServer, access: &Access, arn: &str, context: &Context) -> Result<Vec<String>, Fault> {
    let mut ids = Vec::new();
    for name in context.deployments.green(access, arn).await? {
        // What has just been deleted is not there any more.
        let Some(green) = context.rds.describe(access, &name).await? else { continue };
        ids.push(green.resource_id);
        if object.spec.include_read_replicas {
            ids.extend(green.replicas.into_iter().map(|replica| replica.resource_id));
        }
    }
    ids.sort();
    ids.dedup();
    ids.truncate(UPCOMING);
    Ok(ids)
}

async fn with_proxies(
    object: &DbServer,
    access: &Access,
    mut found: Found,
    context: &Context,
) -> Result<Found, Problem> {
    let before = object.status.as_ref().and_then(|status| status.endpoints.as_ref());
    let looked = proxies::look(&object.spec.proxies, found.name.as_ref(), access, before, context).await?;
    found.endpoints.proxies = looked.known;
    found.shortfalls.extend(looked.shortfalls);
    Ok(found)
}

/// Whether nothing was found out because AWS did not answer.
pub(super) const fn is_outage(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unreachable | FaultKind::Throttled)
}

/// What a login told.
pub(super) struct Login {
    /// What the server says of itself.
    pub(super) facts: ServerFacts,
    /// What the administrator may do, where that was read.
    pub(super) abilities: Option<Abilities>,
}

/// How often is read what changes when people change it: quotas, what the administrator may do.
const EVERY: Duration = Duration::from_hours(1);

/// Logs in as the administrator and asks the server about itself.
pub(super) async fn login(object: &DbServer, server: &Server, context: &Context) -> Result<Login, Problem> {
    let (facts, mut session) = admin::log_in(object, server, context).await?;
    let uid = object.uid().unwrap_or_default();
    let abilities = if context.looks.are_abilities_due(&uid, own_state(object), EVERY, context.clock.now()) {
        // Who may not read the catalogue is told so by each account that is to be made: here it stays unknown.
        let catalogue = session.observe(&Question::own_login()).await.ok();
        catalogue.and_then(|catalogue| Abilities::of(&catalogue, facts.engine))
    } else {
        None
    };
    session.close().await;
    Ok(Login { facts, abilities })
}

/// Puts IAM's quotas into the status, where the operator writes policies. What cannot be read stays as it was: nothing waits for it.
pub(super) async fn quotas(known: &mut DbServer, context: &Context) {
    let mode = known.spec.policy.as_ref().map_or(PolicyMode::Manage, |policy| policy.mode);
    let uid = known.uid().unwrap_or_default();
    let Some(server) = Server::of(known).filter(|_| mode == PolicyMode::Manage) else { return };
    if !context.looks.are_quotas_due(&uid, EVERY, context.clock.now()) {
        return;
    }
    match context.quotas.read(&server.access, &server.partition).await {
        Ok(PolicyQuotas { policies_quota, policy_size_quota }) => {
            let quotas = Quotas { policies_quota, policy_size_quota };
            known.status.get_or_insert_default().quotas = Some(quotas);
        }
        Err(fault) => tracing::debug!(server = known.name_any(), %fault, "quotas not read"),
    }
}
