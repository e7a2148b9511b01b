//! CA bundles that the operator fetches from RDS's trust store.

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use crate::aws::Fault;
use crate::operator::Operator;
use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, World, until};

/// A tenant whose server takes its CA from the trust store, ready.
async fn trusting(test: &str, ca: Value) -> Tenant {
    let tenant = Tenant::bare(Database::Orders, test).await;
    let mut server = tenant.server();
    server["spec"]["ca"] = ca;
    tenant.apply_server(server).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant
}

async fn kept(tenant: &Tenant, name: &str) -> ConfigMap {
    let config_maps = Api::<ConfigMap>::namespaced(tenant.client.clone(), OPERATOR_NAMESPACE);
    config_maps.get(name).await.expect("the ConfigMap with the bundle")
}

#[tokio::test]
async fn the_bundles_of_the_region_and_of_the_partition_are_fetched_and_kept() {
    let _turn = World::get().together().await;
    for (ca, keeper) in [(Value::Null, "iamdb-ca-us-east-1"), (json!({"type": "Global"}), "iamdb-ca-global")] {
        let tenant = trusting("bundle", ca).await;
        let expected = std::fs::read_to_string(tenant.world.var("WORLD_CA")).expect("CA");
        let secret = tenant.secret("app").await;
        assert_eq!(String::from_utf8_lossy(&secret["ca.crt"]).trim(), expected.trim());
        tenant.log_in("app", "SELECT 1").await.expect("login");
        let kept = kept(&tenant, keeper).await;
        assert_eq!(kept.labels()["app.kubernetes.io/managed-by"], "iamdb-operator");
        assert_eq!(kept.data.expect("data")["ca.crt"].trim(), expected.trim());
        tenant.close().await;
    }
}

/// What the operator logged of the bundle since a byte of its log.
async fn refreshed(world: &World, from: u64) {
    until("the bundle was asked for", SOON, || async {
        world.text_log("WORLD_OPERATOR_LOG", from).0.contains("CA bundle not refreshed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_trust_store_that_fails_or_tells_nonsense_takes_no_bundle_away() {
    let world = World::get();
    let _turn = world.alone().await;
    let tenant = trusting("distrust", json!({"type": "Region"})).await;
    let keeper = "iamdb-ca-us-east-1".to_owned();
    let before = kept(&tenant, &keeper).await;
    let operator = Operator::of(world);

    // A restart asks at once, whatever the age of the copy.
    let fault = Fault::arm(
        &json!({"service": "truststore", "action": "GetBundle", "code": "SlowDown", "status": 503, "times": 1000}),
    );
    let from = world.log_end("WORLD_OPERATOR_LOG");
    operator.kill();
    operator.start();
    refreshed(world, from).await;
    tenant.rotated("app", SOON).await;
    assert!(fault.fired() > 0);
    drop(fault);

    world.ask("WORLD_AWS_CONTROL", "POST", "/_world/truststore", &json!({"pem": "<html>no bundle</html>"}));
    let from = world.log_end("WORLD_OPERATOR_LOG");
    operator.kill();
    operator.start();
    refreshed(world, from).await;
    world.ask("WORLD_AWS_CONTROL", "POST", "/_world/truststore", &json!({"pem": null}));
    let after = kept(&tenant, &keeper).await;
    assert_eq!((after.resource_version(), &after.data), (before.resource_version(), &before.data));
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");

    // Whoever takes the copy away, or spoils it, has not long to wait for another.
    let config_maps = Api::<ConfigMap>::namespaced(tenant.client.clone(), OPERATOR_NAMESPACE);
    let is_back =
        || async { (config_maps.get_opt(&keeper).await.expect("get ConfigMap")?.data == before.data).then_some(()) };
    config_maps.delete(&keeper, &DeleteParams::default()).await.expect("delete ConfigMap");
    until("the copy is there again", SOON, is_back).await;
    tenant.merge(&config_maps, &keeper, json!({"data": {"ca.crt": "no bundle"}})).await;
    until("the copy is good again", SOON, is_back).await;
    tenant.server_reason("True", "Ready").await;
    tenant.close().await;
}

#[tokio::test]
async fn the_built_in_bundle_serves_while_no_trust_store_answers() {
    let world = World::get();
    let _turn = world.alone().await;
    let config_maps = Api::<ConfigMap>::namespaced(world.kube().await, OPERATOR_NAMESPACE);
    let keeper = "iamdb-ca-eu-west-1";
    assert!(config_maps.get_opt(keeper).await.expect("get ConfigMap").is_none(), "no other test is in that Region");
    let fault = Fault::arm(
        &json!({"service": "truststore", "action": "GetBundle", "code": "SlowDown", "status": 503, "times": 1000}),
    );

    // Nobody is there to log in to: what matters is what the Secret holds.
    let tenant = Tenant::bare(Database::Orders, "builtin").await;
    let mut server = tenant.server();
    server["spec"]["region"] = json!("eu-west-1");
    server["spec"]["source"] = json!({"type": "Static", "static": {
        "accountId": ACCOUNT, "resourceId": "db-BUILTIN", "engine": "mysql",
        "writer": {"host": "far.c0ffee.eu-west-1.rds.amazonaws.com", "port": 3306}}});
    for field in ["ca", "admin"] {
        server["spec"].as_object_mut().expect("spec").remove(field);
    }
    tenant.apply_server(server).await;
    let mut user = tenant.user("app");
    user["spec"]["management"] = json!({"account": "External", "policy": "External"});
    user["spec"].as_object_mut().expect("spec").remove("grants");
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.token_ready("app").await;
    assert!(fault.fired() > 0);
    drop(fault);

    let pem = String::from_utf8(tenant.secret("app").await["ca.crt"].clone()).expect("PEM");
    let ders: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("certificates");
    assert_eq!(ders.len(), 3);
    for der in ders {
        let text = String::from_utf8_lossy(&der).into_owned();
        assert!(text.contains("Amazon RDS eu-west-1 Root CA"), "{text}");
    }
    tenant.close().await;
    config_maps.delete(keeper, &DeleteParams::default()).await.expect("delete ConfigMap");
}
