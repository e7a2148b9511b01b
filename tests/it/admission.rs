//! What the apiserver itself refuses, by the schemas and rules of the definitions.

use iamdb::api::{DbAuthToken, IamDbUser};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::tenant::Tenant;
use crate::world::{Database, World};

/// The message of the apiserver's refusal.
fn refused<T>(answer: Result<T, kube::Error>) -> String {
    match answer {
        Ok(_) => panic!("was admitted"),
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 422, "{}", status.message);
            status.message.clone()
        }
        Err(error) => panic!("{error}"),
    }
}

/// The object with one field set.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).expect("parent")[field] = value;
    object
}

#[tokio::test]
async fn a_malformed_user_is_refused_with_the_field() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "admission").await;
    let user = tenant.user("app");
    let cases = [
        ("/spec/username", json!("a'b"), "spec.username"),
        ("/spec/username", json!("x".repeat(33)), "spec.username"),
        ("/spec/username", json!("a b"), "spec.username"),
        ("/spec/username", json!(""), "spec.username"),
        ("/spec/hosts", json!(["App.Internal"]), "spec.hosts[0]"),
        ("/spec/grants/0/privileges", json!(["SUPER"]), "spec.grants[0].privileges[0]"),
        ("/spec/grants/0/privileges", json!(["select"]), "spec.grants[0].privileges[0]"),
        ("/spec/grants/0/privileges", json!([]), "spec.grants[0].privileges"),
        ("/spec/grants/0/database", json!("a`b"), "spec.grants[0].database"),
        ("/spec/grants/0/object", json!("orders"), "object must be * when objectType is Schema"),
        (
            "/spec/grants/0/objectType",
            json!("Table"),
            "object must be * when objectType is Schema, and a name otherwise",
        ),
        ("/spec/grants/0/objectType", json!("Galaxy"), "spec.grants[0].objectType"),
        ("/spec/principals/arns", json!(["arn:aws:iam::1:role/x"]), "spec.principals.arns[0]"),
        ("/spec/principals/arns", json!(["arn:aws:iam::123456789012:policy/x"]), "spec.principals.arns[0]"),
        ("/spec/deletionPolicy", json!("Explode"), "spec.deletionPolicy"),
        ("/spec/onUnreachable", json!({"after": "1 hour"}), "spec.onUnreachable.after"),
        ("/spec/existingUser", json!("Steal"), "spec.existingUser"),
    ];
    for (field, value, named) in cases {
        let message = refused(tenant.try_apply::<IamDbUser>(with(user.clone(), field, value.clone())).await);
        assert!(message.contains(named), "{field} {value}: {message}");
    }
    tenant.close().await;
}

#[tokio::test]
async fn a_malformed_token_is_refused_with_the_field() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "admission").await;
    let token = tenant.token("app", "app");
    let cases = [
        ("/spec/rotation", json!({"renewBefore": "6m59s"}), "must be between 7m and 12m"),
        ("/spec/rotation", json!({"renewBefore": "13m"}), "must be between 7m and 12m"),
        ("/spec/rotation", json!({"renewBefore": "soon"}), "spec.rotation.renewBefore"),
        ("/spec/identity", json!({"type": "ServiceAccount"}), "serviceAccount is required when type is ServiceAccount"),
        (
            "/spec/identity/assumeRole",
            json!({"roleArn": "arn:aws:iam::123456789012:role/x"}),
            "assumeRole is required when type is AssumeRole, and forbidden otherwise",
        ),
        ("/spec/identity/type", json!("Anybody"), "spec.identity.type"),
        ("/spec/endpoint", json!({"type": "Elsewhere"}), "spec.endpoint.type"),
        ("/spec/secret/name", json!("Not_A_Name"), "spec.secret.name"),
        ("/spec/secret/formats", json!(["Carrier pigeon"]), "spec.secret.formats[0]"),
        ("/spec/secret/mountPath", json!("relative/path"), "spec.secret.mountPath"),
        ("/spec/secret/mountPath", json!("/with space"), "spec.secret.mountPath"),
        ("/spec/secret/labels", json!({"iamdb.dev/owner-uid": "x"}), "labels must not use the prefixes"),
        ("/spec/secret/annotations", json!({"iamdb.dev/expires-at": "x"}), "annotations must not use the prefixes"),
    ];
    for (field, value, named) in cases {
        let message = refused(tenant.try_apply::<DbAuthToken>(with(token.clone(), field, value.clone())).await);
        assert!(message.contains(named), "{field} {value}: {message}");
    }
    tenant.close().await;
}

#[tokio::test]
async fn a_malformed_server_is_refused_with_the_field() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "admission").await;
    let server = tenant.server();
    let cases = [
        ("/spec/region", json!("somewhere"), "spec.region"),
        ("/spec/source", json!({"type": "DbInstance"}), "dbInstance is required when type is DbInstance"),
        (
            "/spec/source/dbCluster",
            json!({"identifier": "x"}),
            "dbCluster is required when type is DbCluster, and forbidden",
        ),
        ("/spec/source/type", json!("Guess"), "spec.source.type"),
        ("/spec/ca", json!({"type": "ConfigMap"}), "configMap is required when type is ConfigMap"),
        ("/spec/admin", json!({"type": "Sudo"}), "spec.admin.type"),
        ("/spec/tenancy/0/namespaces", json!({}), "give names or a selector"),
        ("/spec/tenancy/0/privileges", json!(["SUPER"]), "spec.tenancy[0].privileges[0]"),
        ("/spec/tenancy/0/name", json!("Not A Name"), "spec.tenancy[0].name"),
        ("/spec/policy", json!({"path": "no-slashes"}), "spec.policy.path"),
    ];
    for (field, value, named) in cases {
        let message = refused(tenant.try_apply_server(with(server.clone(), field, value.clone())).await);
        assert!(message.contains(named), "{field} {value}: {message}");
    }
    tenant.close().await;
}

#[tokio::test]
async fn two_tenancy_rules_of_one_name_are_refused() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "admission").await;
    let mut server = tenant.server();
    let rule = server["spec"]["tenancy"][0].clone();
    server["spec"]["tenancy"] = json!([rule, rule]);
    // kubectl create, since server-side apply merges by name before the apiserver can find a duplicate.
    let object = serde_json::from_value(server).expect("DbServer");
    let message = refused(tenant.servers().create(&PostParams::default(), &object).await);
    assert!(message.contains("Duplicate value"), "{message}");
    tenant.close().await;
}

#[tokio::test]
async fn what_must_not_change_cannot_be_changed_or_taken_away() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "admission").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    for (field, value) in [("/spec/serverRef/name", "other"), ("/spec/username", "other")] {
        let message = refused(tenant.try_apply::<IamDbUser>(with(tenant.user("app"), field, json!(value))).await);
        assert!(message.contains("is immutable"), "{field}: {message}");
    }
    for (field, value) in [("/spec/userRef/name", "other"), ("/spec/secret/name", "other")] {
        let message =
            refused(tenant.try_apply::<DbAuthToken>(with(tenant.token("app", "app"), field, json!(value))).await);
        assert!(message.contains("is immutable"), "{field}: {message}");
    }
    let other = json!({"type": "DbInstance", "dbInstance": {"identifier": "billing"}});
    for (field, value) in [("/spec/region", json!("eu-west-1")), ("/spec/source", other)] {
        let message = refused(tenant.try_apply_server(with(tenant.server(), field, value)).await);
        assert!(message.contains("is immutable"), "{field}: {message}");
    }
    tenant.close().await;
}
