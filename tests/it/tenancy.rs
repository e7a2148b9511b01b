//! Tenancy: what no rule admits has no effect outside and says which field, and what is admitted later heals.

use std::collections::BTreeSet;

use iamdb::api::IamDbUser;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use serde_json::{Value, json};

use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, World};

/// A DbServer whose one rule admits what `user("app")` asks for, and little more.
fn narrow_server(tenant: &Tenant) -> Value {
    let mut server = tenant.server();
    let rule = &mut server["spec"]["tenancy"][0];
    rule["usernames"] = json!(["app_*"]);
    rule["databases"] = json!(["orders"]);
    rule["privileges"] = json!(["SELECT"]);
    rule["hosts"] = json!(["%"]);
    rule["principals"] = json!([tenant.role_arn(&tenant.name)]);
    server
}

/// Nothing was made for these users.
async fn assert_nothing(tenant: &Tenant, users: &[&str]) {
    for user in users {
        let object = tenant.users().get(user).await.expect("IamDbUser");
        assert_eq!(tenant.account(&object.spec.username), "", "{user}");
        assert!(object.status.expect("status").attachments.is_empty(), "{user}");
    }
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_refusal_names_its_field_and_a_wider_rule_heals() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "narrow").await;
    tenant.apply_server(narrow_server(&tenant)).await;
    let principal = format!("arn:aws:iam::{ACCOUNT}:role/somebody");
    let grant = |database: &str, privilege: &str| json!([{"database": database, "objectType": "Schema", "object": "*", "privileges": [privilege]}]);
    let cases = [
        ("name", "username", json!(tenant.username("web")), "spec.username".to_owned()),
        ("host", "hosts", json!(["%", "10.%"]), "spec.hosts: 10.%".to_owned()),
        ("schema", "grants", grant("ordersx", "SELECT"), "spec.grants[].database: ordersx".to_owned()),
        ("right", "grants", grant("orders", "INSERT"), "spec.grants[].privileges: INSERT".to_owned()),
        ("whom", "principals", json!({"arns": [principal]}), format!("spec.principals: {principal}")),
    ];
    for (name, field, value, _) in &cases {
        let mut user = tenant.user(name);
        user["spec"]["username"] = json!(tenant.username(&format!("app_{name}")));
        user["spec"][field] = value.clone();
        tenant.apply::<IamDbUser>(user).await;
    }
    for (name, _, _, told) in &cases {
        let message = tenant.user_reason(name, "False", "NotAllowed").await;
        assert!(message.contains(told) && message.contains("the nearest, tenant,"), "{name}: {message}");
    }
    let names: Vec<_> = cases.iter().map(|(name, ..)| *name).collect();
    assert_nothing(&tenant, &names).await;

    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["principals"] = json!([tenant.role_arn(&tenant.name)]);
    tenant.apply_server(server).await;
    for name in names.iter().filter(|name| **name != "whom" && **name != "schema") {
        tenant.user_ready(name).await;
    }
    let host = tenant.account(&tenant.username("app_host"));
    assert_eq!(host.lines().count(), 2, "{host}");
    tenant.user_reason("whom", "False", "NotAllowed").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_namespace_is_admitted_by_its_name_or_by_a_label_that_it_gets() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Billing, "label").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["namespaces"] = json!({"names": [format!("{}-not", tenant.name)]});
    tenant.apply_server(server.clone()).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let told = "no tenancy rule is for this namespace (metadata.namespace)";
    assert!(tenant.user_reason("app", "False", "NotAllowed").await.contains(told));

    server["spec"]["tenancy"][0]["namespaces"] = json!({"selector": {"matchLabels": {"admitted": "yes"}}});
    tenant.apply_server(server).await;
    tenant.server_reason("True", "Ready").await;
    assert!(tenant.user_reason("app", "False", "NotAllowed").await.contains(told));
    assert_nothing(&tenant, &["app"]).await;
    let namespaces = Api::<Namespace>::all(tenant.client.clone());
    tenant.merge(&namespaces, &tenant.name, json!({"metadata": {"labels": {"admitted": "yes"}}})).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&tenant.name).await, [tenant.resource(&tenant.username("app")).await]);
    tenant.close().await;
}

#[tokio::test]
async fn two_rules_are_never_combined() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "combined").await;
    let mut server = tenant.server();
    let rule = |name: &str, databases: &str, usernames: &str| {
        let mut rule = server["spec"]["tenancy"][0].clone();
        (rule["name"], rule["databases"], rule["usernames"]) = (json!(name), json!([databases]), json!([usernames]));
        rule
    };
    let rules = json!([rule("by-name", "elsewhere", "app_*"), rule("by-database", "orders", "other_*")]);
    server["spec"]["tenancy"] = rules;
    tenant.apply_server(server.clone()).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "NotAllowed").await;
    assert!(message.contains("spec.grants[].database: orders") && message.contains("by-name"), "{message}");
    assert_nothing(&tenant, &["app"]).await;
    server["spec"]["tenancy"][1]["usernames"] = json!(["app_*"]);
    tenant.apply_server(server).await;
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn protected_names_are_nobodys() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "protected").await;
    let names = ["root", "Root", "rdsadmin", "mysql.x", "admin", "AWS_x"];
    let before = tenant.world.root_sql(tenant.database, "SELECT * FROM mysql.user WHERE User IN ('root', 'admin')");
    for (number, username) in names.iter().enumerate() {
        let mut user = tenant.user(&format!("u{number}"));
        user["spec"]["username"] = json!(username);
        tenant.apply::<IamDbUser>(user).await;
    }
    for number in 0..names.len() {
        let message = tenant.user_reason(&format!("u{number}"), "False", "Protected").await;
        assert!(message.contains("spec.username"), "{message}");
    }
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
    for number in 0..names.len() {
        tenant.delete(tenant.users(), &format!("u{number}")).await;
    }
    let after = tenant.world.root_sql(tenant.database, "SELECT * FROM mysql.user WHERE User IN ('root', 'admin')");
    assert_eq!(after, before);
    tenant.close().await;
}

#[tokio::test]
async fn a_principal_that_cannot_be_given_the_policy_gets_none() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "whom").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["principals"] =
        json!(["arn:aws:iam::111122223333:role/*", format!("arn:aws:iam::{ACCOUNT}:role/*")]);
    tenant.apply_server(server).await;
    // The role stands under another path; IAM's calls would find it by its name alone.
    let elsewhere = format!("{}-pathed", tenant.name);
    let create = tenant.iam.create_role().role_name(&elsewhere).path("/elsewhere/");
    create.assume_role_policy_document(tenant.web_identity_trust("app").to_string()).send().await.expect("create role");
    let missing = format!("{}-missing", tenant.name);
    let cases = [
        ("abroad", "arn:aws:iam::111122223333:role/abroad".to_owned(), "PrincipalAccountMismatch"),
        ("missing", tenant.role_arn(&missing), "PrincipalNotFound"),
        ("pathed", tenant.role_arn(&elsewhere), "PrincipalNotFound"),
    ];
    let policies = || async {
        let listed = tenant.iam.list_policies().scope(aws_sdk_iam::types::PolicyScopeType::Local).send().await;
        let listed = listed.expect("list policies").policies.unwrap_or_default();
        listed.into_iter().filter_map(|policy| policy.policy_name).collect::<BTreeSet<_>>()
    };
    for (name, principal, _) in &cases {
        let mut user = tenant.user(name);
        user["spec"]["principals"] = json!({"arns": [principal]});
        tenant.apply::<IamDbUser>(user).await;
    }
    for (name, principal, reason) in &cases {
        let message = tenant.user_reason(name, "False", reason).await;
        assert!(message.contains(principal), "{message}");
        let (_, policy) = tenant.policy_name(principal).await;
        assert!(!policies().await.contains(&policy), "{name}");
    }
    assert_eq!(tenant.attached(&tenant.role_arn(&elsewhere)).await, Vec::<String>::new());
    for (name, ..) in &cases {
        tenant.delete(tenant.users(), name).await;
        assert_eq!(tenant.account(&tenant.username(name)), "");
    }
    tenant.close().await;
}
