//! DB instances and clusters, as RDS describes them.
//!
//! What belongs to one server is few: 15 members, 15 replicas, 5 custom endpoints. No answer here has a second page.

mod deployments;
mod proxies;
mod read;

use async_trait::async_trait;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstance, Filter};
use futures::future::try_join;

use super::classify;
use super::clients::{Identities, Regional};
use crate::domain::access::Access;
use crate::ports::{Address, Apply, Fault, FaultKind, RdsServer, RdsServers, ServerName};

pub use deployments::RdsDeployments;
pub use proxies::RdsProxies;

const INSTANCE: &str = "describe DB instance";
const INSTANCES: &str = "describe DB instances";
const CLUSTER: &str = "describe DB cluster";
const ENDPOINTS: &str = "describe DB cluster endpoints";
const MAINTENANCE: &str = "describe pending maintenance";
const MODIFY: &str = "switch IAM database authentication on";

/// RDS of every Region.
#[derive(Debug)]
pub struct Rds {
    clients: Regional<Client>,
}

impl Rds {
    pub(super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }
}

#[async_trait]
impl RdsServers for Rds {
    async fn describe(&self, access: &Access, name: &ServerName) -> Result<Option<RdsServer>, Fault> {
        let client = self.clients.client(access);
        match name {
            ServerName::Instance(name) => instance(&client, name).await,
            ServerName::Cluster(name) => cluster(&client, name).await,
        }
    }

    async fn maintenance(&self, access: &Access, arn: &str) -> Result<Vec<&'static str>, Fault> {
        let call = self.clients.client(access).describe_pending_maintenance_actions().resource_identifier(arn);
        let answer = call.send().await.map_err(|error| classify::fault(MAINTENANCE, &error))?;
        Ok(read::maintenance(answer.pending_maintenance_actions(), arn))
    }

    async fn enable_iam(&self, access: &Access, name: &ServerName, apply: Apply) -> Result<(), Fault> {
        let client = self.clients.client(access);
        let at_once = apply == Apply::Immediately;
        match name {
            ServerName::Instance(name) => client
                .modify_db_instance()
                .db_instance_identifier(name)
                .enable_iam_database_authentication(true)
                .apply_immediately(at_once)
                .send()
                .await
                .map(drop)
                .map_err(|error| classify::fault(MODIFY, &error)),
            ServerName::Cluster(name) => client
                .modify_db_cluster()
                .db_cluster_identifier(name)
                .enable_iam_database_authentication(true)
                .apply_immediately(at_once)
                .send()
                .await
                .map(drop)
                .map_err(|error| classify::fault(MODIFY, &error)),
        }
    }
}

async fn instance(client: &Client, name: &str) -> Result<Option<RdsServer>, Fault> {
    let call = client.describe_db_instances().db_instance_identifier(name);
    let answer = call.send().await.map_err(|error| classify::fault(INSTANCE, &error));
    let Some(answer) = classify::missing_is_none(answer)? else { return Ok(None) };
    let [found] = answer.db_instances() else { return Err(unreadable(INSTANCE, "DBInstances")) };
    let names = read::replicas_of(found);
    let replicas = if names.is_empty() { Vec::new() } else { instances(client, "db-instance-id", names).await? };
    read::instance(found, &replicas).map(Some)
}

async fn cluster(client: &Client, name: &str) -> Result<Option<RdsServer>, Fault> {
    let call = client.describe_db_clusters().db_cluster_identifier(name);
    let answer = call.send().await.map_err(|error| classify::fault(CLUSTER, &error));
    let Some(answer) = classify::missing_is_none(answer)? else { return Ok(None) };
    let [found] = answer.db_clusters() else { return Err(unreadable(CLUSTER, "DBClusters")) };
    let has_custom_endpoints = found.engine().is_some_and(|engine| engine.starts_with("aurora"));
    let custom = async {
        if !has_custom_endpoints {
            return Ok(Vec::new()); // RDS answers this call for Aurora only
        }
        let call = client.describe_db_cluster_endpoints().db_cluster_identifier(name);
        let answer = call.send().await.map_err(|error| classify::fault(ENDPOINTS, &error))?;
        Ok(answer.db_cluster_endpoints.unwrap_or_default())
    };
    let (custom, members) = try_join(custom, instances(client, "db-cluster-id", vec![name.to_owned()])).await?;
    read::cluster(found, &custom, &members).map(Some)
}

/// All instances of a filter, in one call.
async fn instances(client: &Client, filter: &'static str, values: Vec<String>) -> Result<Vec<DbInstance>, Fault> {
    let filter = Filter::builder().name(filter).set_values(Some(values)).build();
    let answer = client.describe_db_instances().filters(filter).send().await;
    let answer = answer.map_err(|error| classify::fault(INSTANCES, &error))?;
    Ok(answer.db_instances.unwrap_or_default())
}

fn unreadable(operation: &'static str, field: &'static str) -> Fault {
    Fault::new(FaultKind::Unreadable, operation).with_code(field)
}

fn address(host: Option<&str>, port: Option<i32>) -> Option<Address> {
    Some((host?.to_owned(), u16::try_from(port?).ok()?))
}
