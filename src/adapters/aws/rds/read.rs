//! From RDS's answers to what the decisions read. No I/O. What a server has from its first moment on is required, so that none of it is
//! ever guessed.

use aws_sdk_rds::types::{
    ClusterPendingModifiedValues, DbCluster, DbClusterEndpoint, DbInstance, PendingModifiedValues,
    ResourcePendingMaintenanceActions,
};

use super::{CLUSTER, INSTANCE, address, unreadable};
use crate::ports::{Address, Fault, Pending, RdsServer, Replica};

pub(super) fn instance(instance: &DbInstance, replicas: &[DbInstance]) -> Result<RdsServer, Fault> {
    let required = |value: Option<&str>, field| value.map(str::to_owned).ok_or_else(|| unreadable(INSTANCE, field));
    Ok(RdsServer {
        state: required(instance.db_instance_status(), "DBInstanceStatus")?,
        arn: required(instance.db_instance_arn(), "DBInstanceArn")?,
        resource_id: required(instance.dbi_resource_id(), "DbiResourceId")?,
        engine: required(instance.engine(), "Engine")?,
        engine_version: required(instance.engine_version(), "EngineVersion")?,
        writer: address_of(instance),
        reader: None,
        iam_authentication: instance.iam_database_authentication_enabled().unwrap_or_default(),
        pending: instance.pending_modified_values().map(pending_of_instance).unwrap_or_default(),
        master_username: required(instance.master_username(), "MasterUsername")?,
        master_secret_arn: instance.master_user_secret().and_then(|secret| secret.secret_arn()).map(str::to_owned),
        ca_identifier: instance.ca_certificate_identifier().map(str::to_owned),
        member_of: instance.db_cluster_identifier().map(str::to_owned),
        custom: Vec::new(),
        instances: Vec::new(),
        replicas: sorted(replicas.iter().filter_map(replica), |replica| replica.name.clone()),
    })
}

pub(super) fn cluster(
    cluster: &DbCluster,
    custom: &[DbClusterEndpoint],
    members: &[DbInstance],
) -> Result<RdsServer, Fault> {
    let required = |value: Option<&str>, field| value.map(str::to_owned).ok_or_else(|| unreadable(CLUSTER, field));
    let custom = custom.iter().filter(|endpoint| endpoint.endpoint_type() == Some("CUSTOM")).filter_map(|endpoint| {
        let name = endpoint.db_cluster_endpoint_identifier()?.to_owned();
        Some((name, address(endpoint.endpoint(), cluster.port())?))
    });
    let named = |member: &DbInstance| Some((member.db_instance_identifier()?.to_owned(), address_of(member)?));
    let of_certificate = cluster.certificate_details().and_then(|certificate| certificate.ca_identifier());
    let of_members = || members.iter().find_map(DbInstance::ca_certificate_identifier);
    Ok(RdsServer {
        state: required(cluster.status(), "Status")?,
        arn: required(cluster.db_cluster_arn(), "DBClusterArn")?,
        resource_id: required(cluster.db_cluster_resource_id(), "DbClusterResourceId")?,
        engine: required(cluster.engine(), "Engine")?,
        engine_version: required(cluster.engine_version(), "EngineVersion")?,
        writer: address(cluster.endpoint(), cluster.port()),
        reader: address(cluster.reader_endpoint(), cluster.port()),
        iam_authentication: cluster.iam_database_authentication_enabled().unwrap_or_default(),
        pending: cluster.pending_modified_values().map(pending_of_cluster).unwrap_or_default(),
        master_username: required(cluster.master_username(), "MasterUsername")?,
        master_secret_arn: cluster.master_user_secret().and_then(|secret| secret.secret_arn()).map(str::to_owned),
        ca_identifier: of_certificate.or_else(of_members).map(str::to_owned),
        member_of: None,
        custom: sorted(custom, |(name, _)| name.clone()),
        instances: sorted(members.iter().filter_map(named), |(name, _)| name.clone()),
        replicas: Vec::new(),
    })
}

/// Identifiers of the replicas in the instance's own Region. Those of other Regions are listed by ARN, and other Regions' DbServers have them.
pub(super) fn replicas_of(instance: &DbInstance) -> Vec<String> {
    instance.read_replica_db_instance_identifiers().iter().filter(|name| !name.contains(':')).cloned().collect()
}

fn replica(instance: &DbInstance) -> Option<Replica> {
    Some(Replica {
        name: instance.db_instance_identifier()?.to_owned(),
        resource_id: instance.dbi_resource_id()?.to_owned(),
        address: address_of(instance)?,
    })
}

fn address_of(instance: &DbInstance) -> Option<Address> {
    instance.endpoint().and_then(|endpoint| address(endpoint.address(), endpoint.port()))
}

/// RDS lists in no promised order, and a list that only changes its order must not be a change.
fn sorted<T>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by_key(key);
    items
}

fn pending_of_instance(values: &PendingModifiedValues) -> Pending {
    let others = [
        ("the instance class", values.db_instance_class().is_some()),
        ("the allocated storage", values.allocated_storage().is_some()),
        ("the master password", values.master_user_password().is_some()),
        ("the port", values.port().is_some()),
        ("the backup retention", values.backup_retention_period().is_some()),
        ("Multi-AZ", values.multi_az().is_some()),
        ("the engine version", values.engine_version().is_some()),
        ("the licence model", values.license_model().is_some()),
        ("the IOPS", values.iops().is_some()),
        ("the storage throughput", values.storage_throughput().is_some()),
        ("the identifier", values.db_instance_identifier().is_some()),
        ("the storage type", values.storage_type().is_some()),
        ("the CA certificate", values.ca_certificate_identifier().is_some()),
        ("the subnet group", values.db_subnet_group_name().is_some()),
        ("log exports", values.pending_cloudwatch_logs_exports().is_some()),
        ("processor features", !values.processor_features().is_empty()),
        ("the automation mode", values.automation_mode().is_some()),
        ("multi-tenancy", values.multi_tenant().is_some()),
        ("the log volume", values.dedicated_log_volume().is_some()),
        ("the engine", values.engine().is_some()),
        ("storage volumes", !values.additional_storage_volumes().is_empty()),
        ("the capacity reservation", values.db_capacity_reservation_identifier().is_some()),
    ];
    pending(values.iam_database_authentication_enabled(), &others)
}

fn pending_of_cluster(values: &ClusterPendingModifiedValues) -> Pending {
    let others = [
        ("log exports", values.pending_cloudwatch_logs_exports().is_some()),
        ("the identifier", values.db_cluster_identifier().is_some()),
        ("the master password", values.master_user_password().is_some()),
        ("the engine version", values.engine_version().is_some()),
        ("the backup retention", values.backup_retention_period().is_some()),
        ("the storage type", values.storage_type().is_some()),
        ("the allocated storage", values.allocated_storage().is_some()),
        ("the custom configuration", values.rds_custom_cluster_configuration().is_some()),
        ("the IOPS", values.iops().is_some()),
        ("the CA certificate", values.certificate_details().is_some()),
    ];
    pending(values.iam_database_authentication_enabled(), &others)
}

fn pending(iam: Option<bool>, others: &[(&'static str, bool)]) -> Pending {
    let others = others.iter().filter(|(_, is_pending)| *is_pending).map(|(name, _)| *name).collect();
    Pending { iam_authentication: iam == Some(true), others }
}

/// What kinds of maintenance wait for the resource, each once.
pub(super) fn maintenance(listed: &[ResourcePendingMaintenanceActions], arn: &str) -> Vec<&'static str> {
    let of_arn = listed.iter().filter(|it| it.resource_identifier() == Some(arn));
    let actions = of_arn
        .flat_map(ResourcePendingMaintenanceActions::pending_maintenance_action_details)
        .map(|it| it.action().unwrap_or_default());
    let mut words: Vec<&'static str> = actions
        .map(|action| match action {
            "system-update" | "os-upgrade" => "an operating system update",
            "db-upgrade" | "engine-upgrade" => "an engine upgrade",
            "hardware-maintenance" => "hardware maintenance",
            "ca-certificate-rotation" => "a new certificate",
            _ => "other maintenance",
        })
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests;
