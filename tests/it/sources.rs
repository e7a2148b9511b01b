//! Where DbServers come from: clusters, proxies, replicas, other accounts; and what they do when RDS changes under them.

use std::time::Duration;

use aws_sdk_rds::types::DbCluster;
use iamdb::api::{DbServerStatus, IamDbUser};
use serde_json::{Value, json};

use crate::admins::resource_id;
use crate::aws::Fault;
use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, SOON, World, until};

async fn status(tenant: &Tenant) -> DbServerStatus {
    tenant.servers().get(&tenant.name).await.expect("DbServer").status.expect("status")
}

/// Waits until the status is as it shall be, having the server looked at again and again.
async fn status_when(tenant: &Tenant, what: &str, is_so: impl Fn(&DbServerStatus) -> bool) -> DbServerStatus {
    until(what, SOON, || async {
        tenant.look_at_server().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Some(status(tenant).await).filter(&is_so)
    })
    .await
}

async fn cluster(tenant: &Tenant, identifier: &str) -> DbCluster {
    let answer = tenant.rds().describe_db_clusters().db_cluster_identifier(identifier).send().await;
    answer.expect("describe DB cluster").db_clusters.unwrap_or_default().pop().expect("DB cluster")
}

fn ledger(tenant: &Tenant) -> Value {
    let mut server = tenant.server();
    server["spec"]["source"] = json!({"type": "DbCluster", "dbCluster": {"identifier": "ledger"}});
    server
}

/// A DbServer for an instance of the test's own, without an administrator: no server stands behind it.
fn unmanaged(tenant: &Tenant) -> Value {
    let mut server = tenant.own_server();
    server["spec"].as_object_mut().expect("spec").remove("admin");
    server
}

/// An instance of the test's own whose password nobody manages: RDS takes no other into a blue/green deployment.
async fn create_plain_instance(tenant: &Tenant, iam_authentication: bool) {
    let call = tenant.rds().create_db_instance().db_instance_identifier(&tenant.name).engine("mysql");
    let call = call.engine_version("8.0.36").db_instance_class("db.t3.micro").allocated_storage(20);
    let call = call.master_username("admin").master_user_password("unused-password");
    call.enable_iam_database_authentication(iam_authentication).send().await.expect("create DB instance");
}

fn alter(tenant: &Tenant, change: &Value) {
    tenant.world.ask("WORLD_AWS_CONTROL", "POST", &format!("/_world/instances/{}", tenant.name), change);
}

#[tokio::test]
async fn a_cluster_is_found_with_its_reader_members_and_custom_endpoints() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Ledger, "cluster").await;
    let create = tenant.rds().create_db_cluster_endpoint().db_cluster_identifier("ledger").endpoint_type("READER");
    create.db_cluster_endpoint_identifier(&tenant.name).send().await.expect("create endpoint");
    tenant.apply_server(ledger(&tenant)).await;
    tenant.server_reason("True", "Ready").await;
    let (told, rds) = (status(&tenant).await, cluster(&tenant, "ledger").await);
    assert_eq!(told.resource_id.as_deref(), Some(resource_id(Database::Ledger)));
    assert_eq!((told.arn.as_deref(), told.engine.as_deref()), (rds.db_cluster_arn(), Some("aurora-mysql")));
    let secret = rds.master_user_secret().and_then(|it| it.secret_arn());
    assert_eq!((told.admin_secret_arn.as_deref(), told.iam_authentication), (secret, Some(true)));
    let endpoints = told.endpoints.expect("endpoints");
    assert_eq!(endpoints.writer.map(|it| it.host).as_deref(), rds.endpoint());
    assert_eq!(endpoints.reader.map(|it| it.host).as_deref(), rds.reader_endpoint());
    let names = |list: &[iamdb::api::NamedEndpoint]| list.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&endpoints.instances), ["ledger-1", "ledger-2"]);
    assert!(names(&endpoints.custom).contains(&tenant.name), "{:?}", endpoints.custom);
    tenant.ready_pair("app", "app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login to the writer");
    let allowed = tenant.allowed(&tenant.name).await;
    let id = resource_id(Database::Ledger);
    assert_eq!(allowed, [format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:{id}/{}", tenant.username("app"))]);
    let delete = tenant.rds().delete_db_cluster_endpoint().db_cluster_endpoint_identifier(&tenant.name);
    delete.send().await.expect("delete endpoint");
    tenant.close().await;
}

#[tokio::test]
async fn a_member_of_a_cluster_is_refused_and_its_cluster_named() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Ledger, "member").await;
    let mut server = tenant.server();
    server["spec"]["source"] = json!({"type": "DbInstance", "dbInstance": {"identifier": "ledger-1"}});
    tenant.apply_server(server).await;
    let message = tenant.server_reason("False", "UseDbCluster").await;
    assert!(message.contains("cluster ledger"), "{message}");
    tenant.close().await;
}

#[tokio::test]
async fn a_fail_over_stops_nobody_from_getting_an_account() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::bare(Database::Ledger, "failover").await;
    tenant.apply_server(ledger(&tenant)).await;
    tenant.server_reason("True", "Ready").await;
    let fail_over = || async {
        let call = tenant.rds().failover_db_cluster().db_cluster_identifier("ledger");
        call.send().await.expect("fail over");
    };
    fail_over().await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    fail_over().await;
    tenant.apply::<IamDbUser>(tenant.user("back")).await;
    tenant.user_ready("back").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_proxy_is_found_by_its_id_and_one_that_cannot_be_used_is_named() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "proxy").await;
    let mut server = tenant.server();
    server["spec"]["proxies"] = json!([{"name": "app", "identifier": "orders-proxy"}]);
    tenant.apply_server(server.clone()).await;
    tenant.server_reason("True", "Ready").await;
    let proxies = status(&tenant).await.endpoints.expect("endpoints").proxies;
    assert_eq!((proxies.len(), proxies[0].name.as_str()), (1, "app"));
    assert_eq!((proxies[0].resource_id.as_str(), proxies[0].port), ("prx-0orders0000000001", 3306));
    assert!(proxies[0].host.starts_with("orders-proxy.proxy-"), "{proxies:?}");
    assert!(proxies[0].endpoints.iter().any(|it| it.host.starts_with("orders-proxy-ro.endpoint.")), "{proxies:?}");
    server["spec"]["proxies"] = json!([
        {"name": "app", "identifier": "orders-proxy"}, {"name": "gone", "identifier": "no-such-proxy"}]);
    tenant.apply_server(server).await;
    let message = tenant.server_condition("Resolved", "False", "NotFound").await;
    assert!(message.contains("proxy gone: RDS knows no DB proxy no-such-proxy"), "{message}");
    assert_eq!(status(&tenant).await.endpoints.expect("endpoints").proxies, proxies, "the other one stays");
    tenant.close().await;

    let other = Tenant::bare(Database::Billing, "proxy2").await;
    let mut server = other.server();
    server["spec"]["proxies"] = json!([{"name": "app", "identifier": "orders-proxy"}]);
    other.apply_server(server).await;
    let message = other.server_condition("Resolved", "False", "NotFound").await;
    assert!(message.contains("another database than billing"), "{message}");
    other.close().await;
}

#[tokio::test]
async fn read_replicas_are_found_with_ids_of_their_own() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "replicas").await;
    create_plain_instance(&tenant, true).await;
    let replica = format!("{}-r", tenant.name);
    let call = tenant.rds().create_db_instance_read_replica().source_db_instance_identifier(&tenant.name);
    call.db_instance_identifier(&replica).send().await.expect("create replica");
    tenant.apply_server(unmanaged(&tenant)).await;
    tenant.server_reason("True", "Ready").await;
    let told = status(&tenant).await;
    let replicas = told.endpoints.expect("endpoints").replicas;
    let rds = tenant.describe(&replica).await;
    assert_eq!((replicas.len(), replicas[0].name.as_str()), (1, replica.as_str()));
    assert_eq!(Some(replicas[0].resource_id.as_str()), rds.dbi_resource_id());
    assert_ne!(Some(replicas[0].resource_id.as_str()), told.resource_id.as_deref());
    let delete = tenant.rds().delete_db_instance().db_instance_identifier(&replica).skip_final_snapshot(true);
    delete.send().await.expect("delete replica");
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn iam_authentication_is_switched_on_only_when_nothing_else_is_pending() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "enable").await;
    create_plain_instance(&tenant, false).await;
    let modify = tenant.rds().modify_db_instance().db_instance_identifier(&tenant.name);
    modify.db_instance_class("db.t3.small").send().await.expect("modify");
    let mut server = unmanaged(&tenant);
    server["spec"]["iamAuthentication"] = json!("Enable");
    tenant.apply_server(server).await;
    let message = tenant.server_reason("False", "IamAuthDisabled").await;
    assert!(message.contains("(the instance class)"), "{message}");
    alter(&tenant, &json!({"maintenance": true, "pendingMaintenance": ["system-update"]}));
    until("the maintenance is told", SOON, || async {
        tenant.look_at_server().await;
        let message = tenant.server_reason("False", "IamAuthDisabled").await;
        message.contains("(an operating system update)").then_some(())
    })
    .await;
    assert_eq!(tenant.describe(&tenant.name).await.iam_database_authentication_enabled, Some(false));
    alter(&tenant, &json!({"pendingMaintenance": []}));
    tenant.look_at_server().await;
    tenant.server_reason("True", "Ready").await;
    assert_eq!(tenant.describe(&tenant.name).await.iam_database_authentication_enabled, Some(true));
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn in_the_maintenance_window_it_is_asked_for_once_and_an_observer_never_asks() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "window").await;
    create_plain_instance(&tenant, false).await;
    let pending = || async {
        let values = tenant.describe(&tenant.name).await.pending_modified_values;
        values.and_then(|it| it.iam_database_authentication_enabled)
    };
    let mut server = unmanaged(&tenant);
    server["spec"]["iamAuthentication"] = json!("EnableInMaintenanceWindow");
    server["spec"]["mode"] = json!("Observe");
    tenant.apply_server(server.clone()).await;
    let message = tenant.server_reason("False", "IamAuthDisabled").await;
    assert!(message.contains("spec.mode"), "{message}");
    assert_eq!(pending().await, None);
    server["spec"]["mode"] = json!("Enforce");
    tenant.apply_server(server).await;
    until("it waits for the window", SOON, || async {
        let message = tenant.server_reason("False", "IamAuthDisabled").await;
        message.contains("next maintenance window").then_some(())
    })
    .await;
    assert_eq!(pending().await, Some(true));
    alter(&tenant, &json!({"maintenance": true}));
    tenant.look_at_server().await;
    tenant.server_reason("True", "Ready").await;
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_serve_tells_its_state() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "stopped").await;
    create_plain_instance(&tenant, true).await;
    alter(&tenant, &json!({"status": "stopped"}));
    tenant.apply_server(unmanaged(&tenant)).await;
    let message = tenant.server_reason("False", "Resolving").await;
    assert_eq!(message, format!("DB instance {} is stopped", tenant.name));
    assert!(status(&tenant).await.resource_id.is_some(), "it is known all the same");
    alter(&tenant, &json!({"status": "available"}));
    tenant.server_reason("True", "Ready").await;
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn a_new_resource_id_is_granted_beside_the_former_one() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "newid").await;
    create_plain_instance(&tenant, true).await;
    tenant.apply_server(unmanaged(&tenant)).await;
    tenant.server_reason("True", "Ready").await;
    let mut user = tenant.user("app");
    user["spec"]["management"] = json!({"account": "External"});
    user["spec"].as_object_mut().expect("spec").remove("grants");
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    let first = status(&tenant).await.resource_id.expect("resource id");
    let second = format!("db-{}", "B".repeat(26));
    let granted = |ids: &[&str]| {
        let of = |id: &&str| format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:{id}/{}", tenant.username("app"));
        let mut granted: Vec<_> = ids.iter().map(of).collect();
        granted.sort();
        granted
    };
    let previous =
        |told: &DbServerStatus| told.previous_resource_ids.iter().map(|it| it.resource_id.clone()).collect::<Vec<_>>();
    for (now, before) in [(&second, &first), (&first, &second), (&second, &first)] {
        alter(&tenant, &json!({"resourceId": now}));
        let told = status_when(&tenant, "the new id", |it| it.resource_id.as_deref() == Some(now.as_str())).await;
        assert_eq!(previous(&told), [before.as_str()], "there and back again");
        let wanted = granted(&[&first, &second]);
        until("both ids are granted", SOON, || async { (tenant.allowed(&tenant.name).await == wanted).then_some(()) })
            .await;
    }
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn a_green_id_is_known_before_the_switch_over_and_the_blue_one_after_it() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "green").await;
    create_plain_instance(&tenant, true).await;
    tenant.apply_server(unmanaged(&tenant)).await;
    tenant.server_reason("True", "Ready").await;
    let blue = status(&tenant).await.resource_id.expect("resource id");
    let rds = tenant.rds();
    let call = rds.create_blue_green_deployment().blue_green_deployment_name(&tenant.name);
    let deployment = call.source(status(&tenant).await.arn.expect("ARN")).send().await.expect("create deployment");
    let deployment = deployment.blue_green_deployment.and_then(|it| it.blue_green_deployment_identifier).expect("id");
    let told = status_when(&tenant, "the green id", |it| !it.upcoming_resource_ids.is_empty()).await;
    let green = told.upcoming_resource_ids[0].clone();
    assert_eq!((told.upcoming_resource_ids.len(), told.resource_id.as_deref()), (1, Some(blue.as_str())));
    assert_ne!(green, blue);
    let switch = rds.switchover_blue_green_deployment().blue_green_deployment_identifier(&deployment);
    switch.send().await.expect("switch over");
    let told = status_when(&tenant, "the switch-over", |it| it.resource_id.as_deref() == Some(&green)).await;
    assert_eq!(told.previous_resource_ids[0].resource_id, blue);
    assert!(told.upcoming_resource_ids.is_empty());
    tenant.close().await;
}

#[tokio::test]
async fn another_account_is_reached_by_its_role_and_its_external_id() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::bare(Database::Orders, "account").await;
    let role = format!("{}-db", tenant.name);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/iamdb-operator")},
        "Condition": {"StringEquals": {"sts:ExternalId": "the-right-one"}}}]});
    tenant.create_role_with(&role, &trust).await;
    let arn = tenant.role_arn(&role);
    let mut server = tenant.server();
    server["spec"]["aws"] = json!({"roleArn": arn, "externalId": "the-wrong-one"});
    tenant.apply_server(server.clone()).await;
    tenant.server_reason("False", "IdentityDenied").await;
    let from = tenant.world.log_end("WORLD_AWS_LOG");
    server["spec"]["aws"]["externalId"] = json!("the-right-one");
    tenant.apply_server(server).await;
    tenant.server_reason("True", "Ready").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let (lines, _) = tenant.world.log("WORLD_AWS_LOG", from);
    let by_role = |action: &str| {
        lines
            .iter()
            .any(|line| line["action"] == action && line["principal"].as_str().unwrap_or_default().contains(&role))
    };
    for action in ["DescribeDBInstances", "GetSecretValue", "CreatePolicy", "AttachRolePolicy"] {
        assert!(by_role(action), "{action} was not made by the role");
    }
    let assumed = lines.iter().filter(|line| line["action"] == "AssumeRole" && line["code"].is_null()).count();
    assert_eq!(assumed, 1, "one session for all clients");
    tenant.close().await;
}

/// One principal, two servers of its account, each reached by a role of its own: they share its policy, whoever writes it.
#[tokio::test]
async fn servers_that_are_reached_by_different_roles_share_the_policy_of_a_principal() {
    let _turn = World::get().together().await;
    let tenants = [Tenant::bare(Database::Orders, "share1").await, Tenant::bare(Database::Billing, "share2").await];
    let principal = tenants[0].role_arn(&tenants[0].name);
    let role_of = |tenant: &Tenant| format!("{}-db", tenant.name);
    for tenant in &tenants {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/iamdb-operator")},
            "Condition": {"StringEquals": {"sts:ExternalId": tenant.name}}}]});
        tenant.create_role_with(&role_of(tenant), &trust).await;
        let mut server = tenant.server();
        server["spec"]["aws"] = json!({"roleArn": tenant.role_arn(&role_of(tenant)), "externalId": tenant.name});
        tenant.apply_server(server).await;
        tenant.server_reason("True", "Ready").await;
    }
    let user = |tenant: &Tenant| {
        let mut user = tenant.user("app");
        user["spec"]["principals"] = json!({"arns": [principal]});
        user
    };
    let from = tenants[0].world.log_end("WORLD_AWS_LOG");
    for tenant in &tenants {
        tenant.apply::<IamDbUser>(user(tenant)).await;
        tenant.user_ready("app").await;
    }
    let of = async |tenant: &Tenant| tenant.resource(&tenant.username("app")).await;
    let mut both = [of(&tenants[0]).await, of(&tenants[1]).await];
    both.sort();
    assert_eq!(tenants[0].allowed_to(&principal).await, both);
    assert_eq!(tenants[0].attached(&principal).await.len(), 1, "in one document");
    let (lines, _) = tenants[0].world.log("WORLD_AWS_LOG", from);
    let wrote = |tenant: &Tenant, action: &str| {
        let role = role_of(tenant);
        lines.iter().any(|it| it["action"] == action && it["principal"].as_str().unwrap_or_default().contains(&role))
    };
    assert!(wrote(&tenants[0], "CreatePolicy") && wrote(&tenants[1], "CreatePolicyVersion"), "each by its own role");
    // Who goes takes his own out, by whatever way, and leaves the other's.
    tenants[0].delete(tenants[0].users(), "app").await;
    assert_eq!(tenants[0].allowed_to(&principal).await, [of(&tenants[1]).await]);
    tenants[0].apply::<IamDbUser>(user(&tenants[0])).await;
    tenants[0].user_ready("app").await;
    tenants[1].delete(tenants[1].users(), "app").await;
    assert_eq!(tenants[0].allowed_to(&principal).await, [of(&tenants[0]).await]);
    let policy = tenants[0].attached(&principal).await.remove(0);
    tenants[0].delete(tenants[0].users(), "app").await;
    assert_eq!(tenants[0].attached(&principal).await, Vec::<String>::new());
    assert_eq!(tenants[0].document(&policy).await, None, "nothing is left");
    for tenant in tenants {
        tenant.close().await;
    }
}

#[tokio::test]
async fn while_rds_does_not_answer_for_a_short_time_nothing_is_written() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "silence").await;
    tenant.server_reason("True", "Ready").await;
    let from = tenant.world.settled(&tenant.name).await;
    let fault = Fault::arm(
        &json!({"service": "rds", "action": "DescribeDBInstances", "code": "Throttling", "status": 400, "times": 5}),
    );
    tenant.look_at_server().await;
    until("five refusals", SOON, || async { (fault.fired() == 5).then_some(()) }).await;
    drop(fault);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let writes = tenant.world.operator_writes(from, &tenant.name);
    assert!(!writes.iter().any(|write| write.contains("status")), "{writes:?}");
    tenant.close().await;
}
