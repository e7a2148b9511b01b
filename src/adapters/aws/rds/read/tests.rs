use aws_sdk_rds::types::{
    CertificateDetails, DbClusterEndpoint, Endpoint, MasterUserSecret, PendingMaintenanceAction,
    ResourcePendingMaintenanceActions,
};

use super::*;
use crate::ports::FaultKind;

fn described(name: &str) -> aws_sdk_rds::types::builders::DbInstanceBuilder {
    DbInstance::builder()
        .db_instance_identifier(name)
        .db_instance_status("creating")
        .db_instance_arn(format!("arn:aws:rds:us-east-1:123456789012:db:{name}"))
        .dbi_resource_id(format!("db-{}", name.to_uppercase()))
        .engine("mysql")
        .engine_version("8.0.33")
        .master_username("admin")
}

fn at(host: &str) -> Endpoint {
    Endpoint::builder().address(host).port(3306).build()
}

#[test]
fn an_instance_that_is_being_created_has_no_endpoint() {
    let seen = instance(&described("orders").build(), &[]).unwrap();
    assert_eq!((seen.writer, seen.iam_authentication), (None, false));
    let half = described("orders").endpoint(Endpoint::builder().address("x").build()).build();
    assert_eq!(instance(&half, &[]).unwrap().writer, None);
}

#[test]
fn an_instance_is_read_with_its_replicas() {
    let full = described("orders")
        .endpoint(at("x"))
        .iam_database_authentication_enabled(true)
        .master_user_secret(MasterUserSecret::builder().secret_arn("arn:s").build())
        .ca_certificate_identifier("rds-ca-rsa2048-g1")
        .db_cluster_identifier("c")
        .read_replica_db_instance_identifiers("orders-b")
        .read_replica_db_instance_identifiers("arn:aws:rds:eu-west-1:123456789012:db:far")
        .build();
    assert_eq!(replicas_of(&full), ["orders-b"], "those of another Region are another DbServer's");
    let replicas = [described("orders-b").endpoint(at("b")).build(), described("orders-a").endpoint(at("a")).build()];
    let seen = instance(&full, &replicas).unwrap();
    assert_eq!(seen.writer, Some(("x".into(), 3306)));
    assert!(seen.iam_authentication);
    assert_eq!(
        (seen.master_secret_arn, seen.ca_identifier, seen.member_of),
        (Some("arn:s".into()), Some("rds-ca-rsa2048-g1".into()), Some("c".into()))
    );
    let names: Vec<_> = seen.replicas.iter().map(|it| (it.name.as_str(), it.resource_id.as_str())).collect();
    assert_eq!(names, [("orders-a", "db-ORDERS-A"), ("orders-b", "db-ORDERS-B")]);
}

#[test]
fn an_instance_without_a_resource_id_is_unreadable() {
    let fault = instance(&described("orders").set_dbi_resource_id(None).build(), &[]).unwrap_err();
    assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Unreadable, Some("DbiResourceId")));
}

fn ledger() -> aws_sdk_rds::types::builders::DbClusterBuilder {
    DbCluster::builder()
        .status("available")
        .db_cluster_arn("arn:aws:rds:us-east-1:123456789012:cluster:ledger")
        .db_cluster_resource_id("cluster-LEDGER")
        .engine("aurora-mysql")
        .engine_version("8.0.mysql_aurora.3.05.2")
        .master_username("admin")
        .endpoint("w")
        .reader_endpoint("r")
        .port(3306)
}

#[test]
fn a_cluster_is_read_with_its_members_and_custom_endpoints() {
    let endpoint = |name: &str, kind: &str| {
        DbClusterEndpoint::builder().db_cluster_endpoint_identifier(name).endpoint("c").endpoint_type(kind).build()
    };
    let custom = [endpoint("reports", "CUSTOM"), endpoint("ledger", "WRITER"), endpoint("batch", "CUSTOM")];
    let member = |name| described(name).endpoint(at(name)).ca_certificate_identifier("rds-ca-ecc384-g1").build();
    let members = [member("ledger-2"), member("ledger-1"), described("ledger-3").build()];
    let seen = cluster(&ledger().build(), &custom, &members).unwrap();
    assert_eq!((seen.writer, seen.reader), (Some(("w".into(), 3306)), Some(("r".into(), 3306))));
    let names = |list: &[(String, Address)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!((names(&seen.custom), names(&seen.instances)), ("batch reports".into(), "ledger-1 ledger-2".into()));
    assert_eq!(seen.ca_identifier.as_deref(), Some("rds-ca-ecc384-g1"));
    let certificate = CertificateDetails::builder().ca_identifier("own").build();
    let multi_az = ledger().engine("mysql").certificate_details(certificate).build();
    assert_eq!(cluster(&multi_az, &[], &members).unwrap().ca_identifier.as_deref(), Some("own"));
}

#[test]
fn what_is_pending_is_told_in_words_of_ours() {
    let values = PendingModifiedValues::builder()
        .iam_database_authentication_enabled(true)
        .engine_version("9.9 canary")
        .allocated_storage(7)
        .build();
    let seen = instance(&described("orders").pending_modified_values(values).build(), &[]).unwrap().pending;
    assert_eq!(seen, Pending { iam_authentication: true, others: vec!["the allocated storage", "the engine version"] });
    let values = ClusterPendingModifiedValues::builder().engine_version("x").build();
    let seen = cluster(&ledger().pending_modified_values(values).build(), &[], &[]).unwrap().pending;
    assert_eq!(seen, Pending { iam_authentication: false, others: vec!["the engine version"] });
}

#[test]
fn maintenance_of_this_resource_is_told_once_in_words_of_ours() {
    let of = |arn: &str, actions: &[&str]| {
        let actions = actions.iter().map(|action| PendingMaintenanceAction::builder().action(*action).build());
        ResourcePendingMaintenanceActions::builder()
            .resource_identifier(arn)
            .set_pending_maintenance_action_details(Some(actions.collect()))
            .build()
    };
    let listed = [of("arn:a", &["system-update", "os-upgrade", "canary"]), of("arn:b", &["db-upgrade"])];
    assert_eq!(maintenance(&listed, "arn:a"), ["an operating system update", "other maintenance"]);
    assert_eq!(maintenance(&listed, "arn:c"), <[&str; 0]>::default());
}
