//! DbServers: what they tell of RDS and the server, which failure they name, and how they heal.

use std::time::Duration;

use iamdb::api::{IamDbUser, Truth};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::aws::Fault;
use crate::tenant::Tenant;
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, World, until};

/// A resync comes half a minute after the last look.
const SOONER: Duration = Duration::from_secs(20);

on_both!(
    a_server_tells_what_rds_tells,
    a_plugin_that_is_not_loaded_is_told_and_loading_it_heals,
    a_rotated_master_password_is_picked_up,
    deletion_waits_for_the_users_and_says_who_they_are,
);

async fn a_server_tells_what_rds_tells(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "told").await;
    tenant.server_reason("True", "Ready").await;
    let rds = tenant.describe(database.identifier()).await;
    let server = tenant.servers().get(&tenant.name).await.expect("DbServer");
    let mut status = serde_json::to_value(server.status).expect("JSON");
    let quotas = status["quotas"].clone();
    // The master user of MariaDB passes on only those roles that it was given so.
    let mut capabilities = json!({"endSessions": true, "attributes": database == Database::Orders});
    capabilities["roles"] =
        if database == Database::Orders { json!(true) } else { status["capabilities"]["roles"].clone() };
    assert_eq!(quotas["policySizeQuota"], 6_144);
    let conditions = status["conditions"].take();
    let conditions = conditions.as_array().expect("conditions");
    let mut told: Vec<_> = conditions.iter().map(|it| format!("{}={}", it["type"], it["status"])).collect();
    told.sort();
    assert_eq!(told.join(" ").replace('"', ""), "AdminReachable=True IamAuthentication=True Ready=True Resolved=True");
    let endpoint = rds.endpoint().expect("endpoint");
    assert_eq!(
        status,
        json!({
            "observedGeneration": 1,
            "resourceId": rds.dbi_resource_id(), "arn": rds.db_instance_arn(), "accountId": "123456789012",
            "partition": "aws", "engine": rds.engine(), "engineVersion": rds.engine_version(),
            "iamAuthentication": true, "masterUsername": "admin",
            "adminSecretArn": rds.master_user_secret().and_then(|it| it.secret_arn()),
            "caIdentifier": rds.ca_certificate_identifier(),
            "quotas": quotas, "capabilities": capabilities,
            "endpoints": {"writer": {"host": endpoint.address(), "port": endpoint.port()}},
            "conditions": null,
        })
    );
    tenant.close().await;
}

#[tokio::test]
async fn an_unknown_instance_is_not_found_until_it_appears() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "unknown").await;
    tenant.apply_server(tenant.own_server()).await;
    let message = tenant.server_reason("False", "NotFound").await;
    assert!(message.contains(&tenant.name) && message.contains("us-east-1"), "{message}");
    tenant.create_instance(true).await;
    tenant.server_condition("Resolved", "True", "Ready").await;
    let told = tenant.servers().get(&tenant.name).await.expect("DbServer").status.expect("status");
    assert_eq!(told.resource_id, tenant.describe(&tenant.name).await.dbi_resource_id);
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn iam_authentication_that_is_off_is_told_and_switching_it_on_heals() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "iam-off").await;
    tenant.create_instance(false).await;
    tenant.apply_server(tenant.own_server()).await;
    let message = tenant.server_reason("False", "IamAuthDisabled").await;
    assert!(message.contains("--enable-iam-database-authentication"), "{message}");
    let modify = tenant.rds().modify_db_instance().db_instance_identifier(&tenant.name);
    let modify = modify.enable_iam_database_authentication(true).apply_immediately(true);
    modify.send().await.expect("modify DB instance");
    tenant.server_condition("IamAuthentication", "True", "Ready").await;
    let told = tenant.servers().get(&tenant.name).await.expect("DbServer").status.expect("status");
    assert_eq!(told.iam_authentication, Some(true));
    tenant.delete_instance().await;
    tenant.close().await;
}

/// Loads the plugin again, whatever becomes of the test.
struct Unloaded(Database);

impl Unloaded {
    fn new(database: Database) -> Self {
        World::get().root_sql(database, "UNINSTALL PLUGIN AWSAuthenticationPlugin");
        Self(database)
    }
}

impl Drop for Unloaded {
    fn drop(&mut self) {
        let install = "INSTALL PLUGIN AWSAuthenticationPlugin SONAME 'AWSAuthenticationPlugin.so'";
        World::get().root_sql(self.0, install);
    }
}

async fn a_plugin_that_is_not_loaded_is_told_and_loading_it_heals(database: Database) {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(database, "plugin").await;
    tenant.server_reason("True", "Ready").await;
    let unloaded = Unloaded::new(database);
    tenant.look_at_server().await;
    let message = tenant.server_reason("False", "PluginMissing").await;
    assert!(message.contains("1524"), "{message}");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "PluginMissing").await;
    assert!(message.contains("1524"), "{message}");
    assert_eq!(tenant.account(&tenant.username("app")), "", "an account that nobody could log in to");
    tokio::time::sleep(Duration::from_secs(1)).await; // nothing but time wakes anybody from here on
    drop(unloaded);
    until("the server is ready, sooner than by resync", SOONER, || async {
        let told = tenant.servers().get(&tenant.name).await.expect("DbServer").status.expect("status").conditions;
        told.iter().find(|it| it.type_ == "Ready" && it.status == Truth::True).map(drop)
    })
    .await;
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_once_and_tried_again() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "noise").await;
    let from = tenant.world.log_end("WORLD_AUDIT_LOG");
    tenant.create_instance(true).await;
    tenant.apply_server(tenant.own_server()).await;
    tenant.server_reason("False", "Unreachable").await;
    tenant.server_condition("Resolved", "True", "Ready").await;
    let told = tenant.world.settled(&tenant.name).await;
    // It is looked at all the same: what changes in RDS shows, with one write.
    let modify = tenant.rds().modify_db_instance().db_instance_identifier(&tenant.name);
    let modify = modify.ca_certificate_identifier("rds-ca-ecc384-g1").apply_immediately(true);
    modify.send().await.expect("modify DB instance");
    until("what changed shows, sooner than by resync", SOONER, || async {
        let status = tenant.servers().get(&tenant.name).await.expect("DbServer").status.expect("status");
        (status.ca_identifier.as_deref() == Some("rds-ca-ecc384-g1")).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    tenant.world.settled(&tenant.name).await;
    let writes = tenant.world.operator_writes(told, &tenant.name);
    assert!(writes.len() <= 2, "{writes:?}");
    let all = tenant.world.operator_writes(from, &tenant.name);
    let of = |resource: &str| all.iter().filter(|write| write.contains(resource)).count();
    assert!(of("dbservers/status") <= 3 && of("events/") <= 2, "{all:?}");
    tenant.delete_instance().await;
    tenant.close().await;
}

/// A ConfigMap of the test's own in the operator's namespace.
struct OwnBundle {
    api: Api<ConfigMap>,
    name: String,
}

impl OwnBundle {
    fn of(tenant: &Tenant) -> Self {
        Self { api: Api::namespaced(tenant.client.clone(), OPERATOR_NAMESPACE), name: tenant.name.clone() }
    }

    async fn set(&self, data: Value) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.name}, "data": data});
        let parameters = PatchParams::apply("test").force();
        self.api.patch(&self.name, &parameters, &Patch::Apply(&object)).await.expect("apply ConfigMap");
    }

    fn server(&self, tenant: &Tenant) -> Value {
        let mut server = tenant.server();
        server["spec"]["ca"]["configMap"]["name"] = json!(self.name);
        server
    }

    async fn delete(self) {
        self.api.delete(&self.name, &DeleteParams::default()).await.expect("delete ConfigMap");
    }
}

fn pem(variable: &str) -> String {
    std::fs::read_to_string(World::get().var(variable)).expect("PEM")
}

#[tokio::test]
async fn a_bundle_that_did_not_sign_the_certificate_is_told_and_mending_it_heals() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "wrong-ca").await;
    let bundle = OwnBundle::of(&tenant);
    bundle.set(json!({"ca.crt": pem("WORLD_OTHER_CA")})).await;
    tenant.apply_server(bundle.server(&tenant)).await;
    let message = tenant.server_reason("False", "TlsVerificationFailed").await;
    assert!(message.contains("unknown-issuer"), "{message}");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_reason("app", "False", "TlsVerificationFailed").await;
    bundle.set(json!({"ca.crt": pem("WORLD_CA")})).await;
    tenant.server_reason("True", "Ready").await;
    tenant.user_ready("app").await;
    bundle.delete().await;
    tenant.server_reason("False", "TlsVerificationFailed").await;
    let bundle = OwnBundle::of(&tenant);
    bundle.set(json!({"ca.crt": pem("WORLD_CA")})).await; // or the account could not be removed
    tenant.server_reason("True", "Ready").await;
    tenant.close().await;
    bundle.delete().await;
}

#[tokio::test]
async fn a_bundle_that_is_missing_or_none_is_told_and_mending_it_heals() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Billing, "no-ca").await;
    let bundle = OwnBundle::of(&tenant);
    tenant.apply_server(bundle.server(&tenant)).await;
    let told = |part: &'static str| {
        let tenant = &tenant;
        until(part, SOON, move || async move {
            tenant.server_reason("False", "TlsVerificationFailed").await.contains(part).then_some(())
        })
    };
    told("has no key ca.crt").await;
    bundle.set(json!({"other.crt": pem("WORLD_CA")})).await;
    told("has no key ca.crt").await;
    bundle.set(json!({"ca.crt": "no certificate"})).await;
    told("it holds no certificate").await;
    bundle.set(json!({"ca.crt": pem("WORLD_CA")})).await;
    tenant.server_reason("True", "Ready").await;
    tenant.close().await;
    bundle.delete().await;
}

#[tokio::test]
async fn an_admin_secret_that_cannot_be_read_is_told_and_reading_it_heals() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "no-secret").await;
    tenant.create_instance(true).await;
    let (secrets, secret) = (tenant.secrets_manager(), tenant.master_secret(&tenant.name).await);
    let put = |text: &'static str| secrets.put_secret_value().secret_id(&secret).secret_string(text).send();
    put("a password alone").await.expect("put secret");
    tenant.apply_server(tenant.own_server()).await;
    let message = tenant.server_reason("False", "AdminSecretUnreadable").await;
    assert!(!message.contains("a password alone"), "{message}");
    put(r#"{"username": "admin", "password": "x"}"#).await.expect("put secret");
    tenant.server_reason("False", "Unreachable").await; // the next thing that is wrong
    tenant.delete_instance().await;
    tenant.close().await;
}

#[tokio::test]
async fn throttling_passes_and_leaves_accounts_and_tokens_ready() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "throttled").await;
    tenant.ready_pair("app", "app").await;
    let since = |object: Value| {
        let ready = object["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "Ready");
        ready.expect("Ready")["lastTransitionTime"].clone()
    };
    let user = || async { since(serde_json::to_value(tenant.users().get("app").await.expect("user")).expect("JSON")) };
    let before = user().await;
    // One look makes three attempts.
    let fault = Fault::arm(
        &json!({"service": "rds", "action": "DescribeDBInstances", "code": "Throttling", "status": 400, "times": 5}),
    );
    tenant.look_at_server().await;
    until("five refusals", SOON, || async { (fault.fired() == 5).then_some(()) }).await;
    tenant.server_reason("True", "Ready").await;
    tenant.server_condition("Resolved", "True", "Ready").await;
    assert_eq!(user().await, before, "the user was ready all the time");
    tenant.log_in("app", "SELECT 1").await.expect("login");
    drop(fault);
    tenant.close().await;
}

async fn deletion_waits_for_the_users_and_says_who_they_are(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "in-use").await;
    tenant.ready_pair("app", "app").await;
    tenant.servers().delete(&tenant.name, &DeleteParams::default()).await.expect("delete");
    let message = tenant.server_reason("False", "Deleting").await;
    assert!(message.contains(&format!("in use by IamDbUser {}/app", tenant.name)), "{message}");
    tenant.log_in("app", "SELECT 1").await.expect("login while it waits");
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&tenant.username("app")), "", "the account went before its server did");
    until("the DbServer is gone", SOON, || async {
        tenant.servers().get_opt(&tenant.name).await.expect("get").is_none().then_some(())
    })
    .await;
    tenant.close().await;
}

async fn a_rotated_master_password_is_picked_up(database: Database) {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(database, "rotated").await;
    tenant.server_reason("True", "Ready").await;
    let secret = tenant.master_secret(database.identifier()).await;
    let secrets = tenant.secrets_manager();
    let read = || async {
        let answer = secrets.get_secret_value().secret_id(&secret).send().await.expect("get secret");
        answer.secret_string.expect("text")
    };
    let before = read().await;
    let modify = tenant.rds().modify_db_instance().db_instance_identifier(database.identifier());
    modify.rotate_master_user_password(true).apply_immediately(true).send().await.expect("rotate");
    assert_ne!(read().await, before);
    tenant.ready_pair("app", "app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.look_at_server().await;
    tenant.server_condition("AdminReachable", "True", "Ready").await;
    tenant.close().await;
}
