//! Blue/green deployments.

use async_trait::async_trait;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{BlueGreenDeployment, Filter};

use super::super::classify;
use super::super::clients::{Identities, Regional};
use crate::domain::access::Access;
use crate::ports::{Deployments, Fault, ServerName};

const DESCRIBE: &str = "describe blue/green deployments";

/// Blue/green deployments of every Region.
#[derive(Debug)]
pub struct RdsDeployments {
    clients: Regional<Client>,
}

impl RdsDeployments {
    pub(in super::super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }
}

#[async_trait]
impl Deployments for RdsDeployments {
    async fn green(&self, access: &Access, arn: &str) -> Result<Vec<ServerName>, Fault> {
        let source = Filter::builder().name("source").values(arn).build();
        let answer = self.clients.client(access).describe_blue_green_deployments().filters(source).send().await;
        let answer = answer.map_err(|error| classify::fault(DESCRIBE, &error))?;
        Ok(answer.blue_green_deployments().iter().filter_map(|it| green(it, arn)).collect())
    }
}

/// The green side that is still to be switched to. After the switch-over it has the name of the blue one, which is an old server then.
fn green(deployment: &BlueGreenDeployment, blue: &str) -> Option<ServerName> {
    let is_over = matches!(deployment.status(), Some("SWITCHOVER_COMPLETED" | "DELETING"));
    if is_over || deployment.source() != Some(blue) {
        return None;
    }
    let mut from_the_end = deployment.target()?.rsplit(':');
    let (name, kind) = (from_the_end.next()?.to_owned(), from_the_end.next()?);
    match kind {
        "db" => Some(ServerName::Instance(name)),
        "cluster" => Some(ServerName::Cluster(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLUE: &str = "arn:aws:rds:us-east-1:123456789012:db:orders";

    fn deployment(status: &str, target: Option<&str>) -> BlueGreenDeployment {
        BlueGreenDeployment::builder().source(BLUE).set_target(target.map(str::to_owned)).status(status).build()
    }

    #[test]
    fn the_green_side_counts_from_its_first_moment_to_the_switch_over() {
        let target = Some("arn:aws:rds:us-east-1:123456789012:db:orders-green-abc123");
        for status in ["PROVISIONING", "AVAILABLE", "SWITCHOVER_IN_PROGRESS", "SWITCHOVER_FAILED"] {
            let found = green(&deployment(status, target), BLUE);
            assert_eq!(found, Some(ServerName::Instance("orders-green-abc123".into())), "{status}");
        }
        assert_eq!(green(&deployment("PROVISIONING", None), BLUE), None);
        assert_eq!(green(&deployment("SWITCHOVER_COMPLETED", target), BLUE), None);
        assert_eq!(green(&deployment("AVAILABLE", target), "arn:aws:rds:us-east-1:123456789012:db:other"), None);
        let cluster = Some("arn:aws:rds:us-east-1:123456789012:cluster:ledger-green-1");
        let found = green(&deployment("AVAILABLE", cluster), BLUE);
        assert_eq!(found, Some(ServerName::Cluster("ledger-green-1".into())));
    }
}
