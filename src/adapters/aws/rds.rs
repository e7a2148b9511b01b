//! DB instances, as RDS describes them.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::DbInstance;

use super::classify;
use super::clients::Regional;
use crate::domain::access::Access;
use crate::ports::{Fault, FaultKind, Instance, Instances};

const DESCRIBE: &str = "describe DB instance";

/// DB instances of every Region.
#[derive(Debug)]
pub struct RdsInstances {
    clients: Regional<Client>,
}

impl RdsInstances {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self { clients: Regional::new(sdk, Client::new) }
    }
}

#[async_trait]
impl Instances for RdsInstances {
    async fn describe(&self, access: &Access, identifier: &str) -> Result<Option<Instance>, Fault> {
        let answer =
            self.clients.client(&access.region).describe_db_instances().db_instance_identifier(identifier).send().await;
        match answer.map_err(|error| classify::fault(DESCRIBE, &error)) {
            Ok(answer) => match answer.db_instances() {
                [instance] => read(instance).map(Some),
                _ => Err(unreadable("DBInstances")),
            },
            Err(fault) if fault.kind == FaultKind::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// The parts that an instance has from its first moment on are required, so that none of them is ever guessed.
fn read(instance: &DbInstance) -> Result<Instance, Fault> {
    let required = |value: Option<&str>, field| value.map(str::to_owned).ok_or_else(|| unreadable(field));
    let endpoint = instance.endpoint().and_then(|endpoint| {
        let port = endpoint.port().and_then(|port| u16::try_from(port).ok())?;
        Some((endpoint.address()?.to_owned(), port))
    });
    Ok(Instance {
        status: required(instance.db_instance_status(), "DBInstanceStatus")?,
        arn: required(instance.db_instance_arn(), "DBInstanceArn")?,
        resource_id: required(instance.dbi_resource_id(), "DbiResourceId")?,
        engine: required(instance.engine(), "Engine")?,
        engine_version: required(instance.engine_version(), "EngineVersion")?,
        endpoint,
        iam_authentication: instance.iam_database_authentication_enabled().unwrap_or_default(),
        master_username: required(instance.master_username(), "MasterUsername")?,
        master_secret_arn: instance.master_user_secret().and_then(|secret| secret.secret_arn()).map(str::to_owned),
        ca_identifier: instance.ca_certificate_identifier().map(str::to_owned),
        cluster: instance.db_cluster_identifier().map(str::to_owned),
    })
}

fn unreadable(field: &'static str) -> Fault {
    Fault::new(FaultKind::Unreadable, DESCRIBE).with_code(field)
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::{Endpoint, MasterUserSecret};

    use super::*;

    fn instance() -> aws_sdk_rds::types::builders::DbInstanceBuilder {
        DbInstance::builder()
            .db_instance_status("creating")
            .db_instance_arn("arn:aws:rds:us-east-1:123456789012:db:orders")
            .dbi_resource_id("db-ORDERS")
            .engine("mysql")
            .engine_version("8.0.33")
            .master_username("admin")
    }

    #[test]
    fn an_instance_that_is_being_created_has_no_endpoint() {
        let seen = read(&instance().build()).unwrap();
        assert_eq!((seen.endpoint, seen.iam_authentication), (None, false));
        let half = instance().endpoint(Endpoint::builder().address("x").build()).build();
        assert_eq!(read(&half).unwrap().endpoint, None);
    }

    #[test]
    fn an_instance_is_read() {
        let full = instance()
            .endpoint(Endpoint::builder().address("x").port(3306).build())
            .iam_database_authentication_enabled(true)
            .master_user_secret(MasterUserSecret::builder().secret_arn("arn:s").build())
            .ca_certificate_identifier("rds-ca-rsa2048-g1")
            .db_cluster_identifier("c")
            .build();
        let seen = read(&full).unwrap();
        assert_eq!(seen.endpoint, Some(("x".into(), 3306)));
        assert!(seen.iam_authentication);
        assert_eq!(
            (seen.master_secret_arn, seen.ca_identifier, seen.cluster),
            (Some("arn:s".into()), Some("rds-ca-rsa2048-g1".into()), Some("c".into()))
        );
    }

    #[test]
    fn an_instance_without_a_resource_id_is_unreadable() {
        let fault = read(&instance().set_dbi_resource_id(None).build()).unwrap_err();
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Unreadable, Some("DbiResourceId")));
    }
}
