//! The forms that policies take: in the principal itself, under another path, with tags, or written down for somebody else.

use std::collections::BTreeMap;

use iamdb::api::IamDbUser;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

fn server_with(tenant: &Tenant, policy: &Value) -> Value {
    let mut server = tenant.server();
    server["spec"]["policy"] = policy.clone();
    server
}

/// Inline policies of the tenant's role, by name.
pub async fn inline(tenant: &Tenant) -> BTreeMap<String, Value> {
    let names = tenant.iam.list_role_policies().role_name(&tenant.name).send().await.expect("list").policy_names;
    let mut found = BTreeMap::new();
    for name in names {
        let call = tenant.iam.get_role_policy().role_name(&tenant.name).policy_name(&name);
        let Ok(policy) = call.send().await else { continue }; // it went meanwhile
        let text = policy.policy_document;
        let text = percent_encoding::percent_decode_str(&text).decode_utf8().expect("text").into_owned();
        found.insert(name, serde_json::from_str(&text).expect("JSON"));
    }
    found
}

/// What a document opens.
pub fn resources(document: &Value) -> Vec<String> {
    let resources = document["Statement"][0]["Resource"].as_array().expect("resources");
    resources.iter().map(|it| it.as_str().expect("text").to_owned()).collect()
}

/// A document of others, of this many characters.
fn padding(characters: usize) -> String {
    let document = |text: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::{text}"}}]}}"#
        )
    };
    document(&"x".repeat(characters - document("").len()))
}

#[tokio::test]
async fn inline_policies_are_written_beside_those_of_others_and_taken_out_exactly() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "inline").await;
    let theirs = padding(500);
    let put = tenant.iam.put_role_policy().role_name(&tenant.name).policy_name("theirs").policy_document(&theirs);
    put.send().await.expect("put");
    tenant.apply_server(server_with(&tenant, &json!({"attach": "Inline"}))).await;
    tenant.ready_pair("app", "app").await;
    tenant.apply::<IamDbUser>(tenant.user("more")).await;
    tenant.user_ready("more").await;
    let both = [tenant.resource(&tenant.username("app")).await, tenant.resource(&tenant.username("more")).await];
    let found = inline(&tenant).await;
    let (name, document) = found.iter().find(|(name, _)| *name != "theirs").expect("ours");
    assert!(name.starts_with("iamdb-") && found.len() == 2, "{found:?}");
    assert_eq!(resources(document), both);
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
    tenant.log_in("app", "SELECT 1").await.expect("login");

    let delete = tenant.iam.delete_role_policy().role_name(&tenant.name).policy_name(name);
    delete.send().await.expect("delete by hand");
    tenant.look_at("app").await;
    until("it is put back", SOON, || async { (inline(&tenant).await == found).then_some(()) }).await;

    for user in ["app", "more"] {
        tenant.delete(tenant.users(), user).await;
    }
    assert_eq!(inline(&tenant).await.into_keys().collect::<Vec<_>>(), ["theirs"]);
    tenant.close().await;
}

#[tokio::test]
async fn what_finds_no_room_in_a_principal_is_told_and_costs_the_others_nothing() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Billing, "room").await;
    // A role's inline policies may have 10,240 characters together: room is left for one account, not for two.
    let put = tenant.iam.put_role_policy().role_name(&tenant.name).policy_name("theirs");
    put.policy_document(padding(10_240 - 230)).send().await.expect("put");
    tenant.apply_server(server_with(&tenant, &json!({"attach": "Inline"}))).await;
    tenant.ready_pair("first", "first").await;
    tenant.apply::<IamDbUser>(tenant.user("second")).await;
    let message = tenant.user_reason("second", "False", "QuotaExceeded").await;
    assert!(message.contains("10240") && message.contains(&tenant.username("second")), "{message}");
    tenant.look_at("first").await;
    tenant.user_ready("first").await;
    tenant.log_in("first", "SELECT 1").await.expect("login");
    tenant.iam.delete_role_policy().role_name(&tenant.name).policy_name("theirs").send().await.expect("delete");
    tenant.look_at("second").await;
    tenant.user_ready("second").await;
    tenant.close().await;
}

/// What the tenant's role may connect to, in one look: what AWS tells the servers' plugin.
fn effective(tenant: &Tenant) -> Vec<String> {
    let text = std::fs::read_to_string(tenant.world.root().join("target/world/auth.json")).expect("auth.json");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let statements = all["policies"][tenant.role_arn(&tenant.name)].as_array().cloned().unwrap_or_default();
    let mut allowed: Vec<String> = statements
        .iter()
        .flat_map(|it| it["Resource"].as_array().cloned().unwrap_or_default())
        .map(|it| it.as_str().expect("text").to_owned())
        .collect();
    allowed.sort();
    allowed.dedup();
    allowed
}

#[tokio::test]
async fn policies_move_to_another_place_without_a_moment_of_no_access() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "moves").await;
    tenant.ready_pair("app", "app").await;
    let (role, wanted) = (tenant.role_arn(&tenant.name), [tenant.resource(&tenant.username("app")).await]);
    let cluster = tenant.cluster_id().await;
    let default = format!("/iamdb/{cluster}/");
    let places = [json!({"path": "/elsewhere/iamdb/"}), json!({"attach": "Inline"}), json!({})];
    let mut before = tenant.attached(&role).await;
    for place in places {
        tenant.apply_server(server_with(&tenant, &place)).await;
        // Looked at again and again while it moves: the servers' plugin lets the role in at each moment.
        let has_moved = || async {
            assert_eq!(effective(&tenant), wanted, "{place}: no access, or more");
            let (attached, in_role) = (tenant.attached(&role).await, inline(&tenant).await);
            let path = place["path"].as_str().unwrap_or(&default);
            let arrived = if place["attach"] == "Inline" {
                in_role.len() == 1 && attached.is_empty()
            } else {
                in_role.is_empty() && attached.len() == 1 && attached[0].contains(path)
            };
            arrived.then_some(attached)
        };
        let after = until(&format!("the policy is at {place} alone"), SOON, has_moved).await;
        tenant.user_ready("app").await; // it was not while the policy moved
        for old in &before {
            assert_eq!(tenant.document(old).await, None, "{place}: the old policy is deleted");
        }
        before = after;
        tenant.log_in("app", "SELECT 1").await.expect("login");
    }
    assert_eq!(tenant.allowed(&tenant.name).await, wanted);
    tenant.close().await;
}

/// Places of policies that the status of an IamDbUser remembers.
async fn remembered(tenant: &Tenant, user: &str) -> Vec<String> {
    let status = tenant.users().get(user).await.expect("IamDbUser").status.unwrap_or_default();
    status.attachments.into_iter().map(|it| it.path).collect()
}

#[tokio::test]
async fn policies_that_cannot_be_moved_yet_stay_and_are_remembered() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "waits").await;
    tenant.ready_pair("app", "app").await;
    let (role, default) = (tenant.role_arn(&tenant.name), format!("/iamdb/{}/", tenant.cluster_id().await));
    let before = tenant.attached(&role).await;
    let put = tenant.iam.put_role_policy().role_name(&tenant.name).policy_name("theirs");
    put.policy_document(padding(10_240 - 100)).send().await.expect("put");
    tenant.apply_server(server_with(&tenant, &json!({"attach": "Inline"}))).await;
    tenant.user_reason("app", "False", "QuotaExceeded").await;
    assert_eq!(tenant.attached(&role).await, before);
    assert_eq!(
        remembered(&tenant, "app").await,
        [default.as_str(), "inline"],
        "a process that comes after this one knows"
    );
    tenant.log_in("app", "SELECT 1").await.expect("login");

    tenant.iam.delete_role_policy().role_name(&tenant.name).policy_name("theirs").send().await.expect("delete");
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.attached(&role).await, Vec::<String>::new());
    assert_eq!(remembered(&tenant, "app").await, ["inline"]);
    tenant.close().await;
}

#[tokio::test]
async fn tags_are_kept_and_those_of_others_left_alone() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "tags").await;
    tenant.apply_server(server_with(&tenant, &json!({"tags": {"team": "shop", "cost": "7"}}))).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let policy = tenant.attached(&tenant.role_arn(&tenant.name)).await.remove(0);
    let tags = || async {
        let tags = tenant.iam.list_policy_tags().policy_arn(&policy).send().await.expect("tags").tags;
        tags.into_iter().map(|tag| (tag.key, tag.value)).collect::<BTreeMap<_, _>>()
    };
    let first = tags().await;
    assert_eq!((first["team"].as_str(), first["cost"].as_str()), ("shop", "7"));
    let foreign = aws_sdk_iam::types::Tag::builder().key("theirs").value("x").build().expect("tag");
    tenant.iam.tag_policy().policy_arn(&policy).tags(foreign).send().await.expect("tag");
    tenant.apply_server(server_with(&tenant, &json!({"tags": {"team": "web", "theirs": "mine"}}))).await;
    let settled = until("the tags have changed", SOON, || async {
        let tags = tags().await;
        (tags["team"] == "web" && !tags.contains_key("cost")).then_some(tags)
    })
    .await;
    assert_eq!(settled["theirs"], "x", "another's tag is not overwritten");
    for mark in ["app.kubernetes.io/managed-by", "iamdb.dev/cluster", "iamdb.dev/principal"] {
        assert_eq!(settled[mark], first[mark]);
    }
    let own = server_with(&tenant, &json!({"tags": {"iamdb.dev/cluster": "mine"}}));
    let refusal = tenant.try_apply_server(own).await.expect_err("our own mark is not to be had");
    assert!(refusal.to_string().contains("operator's own"), "{refusal}");
    tenant.close().await;
}

/// What `iamdb policy` prints for the account `app` and the server that a resource names.
fn printed_policy(tenant: &Tenant, resource: &str) -> String {
    let id = resource.split("dbuser:").nth(1).and_then(|it| it.split('/').next()).expect("resource id");
    let username = tenant.username("app");
    let place = ["--region", "us-east-1", "--account", crate::tenant::ACCOUNT];
    let arguments = [&["policy", "--user", &username, "--resource-id", id][..], &place[..]].concat();
    tenant.world.iamdb(&arguments).expect("it is printed").trim_end().to_owned()
}

#[tokio::test]
async fn rendered_policies_are_those_that_would_be_written_and_nothing_is_attached() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Billing, "render").await;
    let config_maps = Api::<ConfigMap>::namespaced(tenant.client.clone(), &tenant.name);
    let foreign = json!({"metadata": {"name": "taken-iam-policy"}, "data": {"policy.json": "theirs"}});
    let foreign: ConfigMap = serde_json::from_value(foreign).expect("ConfigMap");
    config_maps.create(&PostParams::default(), &foreign).await.expect("create ConfigMap");
    tenant.apply_server(server_with(&tenant, &json!({"mode": "Render"}))).await;
    for name in ["app", "taken"] {
        tenant.apply::<IamDbUser>(tenant.user(name)).await;
    }
    let message = tenant.user_reason("taken", "False", "ForeignConfigMap").await;
    assert!(message.contains("taken-iam-policy"), "{message}");
    let theirs = config_maps.get("taken-iam-policy").await.expect("ConfigMap");
    assert_eq!(theirs.data.unwrap_or_default()["policy.json"], "theirs");
    tenant.user_ready("app").await;
    let user = tenant.users().get("app").await.expect("IamDbUser");
    let conditions = user.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let policy = conditions.iter().find(|it| it.type_ == "PolicyReady").expect("PolicyReady");
    assert!(policy.message.contains("app-iam-policy") && policy.message.contains("rendered"), "{}", policy.message);

    let rendered = config_maps.get("app-iam-policy").await.expect("ConfigMap");
    assert_eq!(
        rendered.metadata.labels.clone().unwrap_or_default().get("iamdb.dev/owner-uid"),
        user.metadata.uid.as_ref()
    );
    assert_eq!(rendered.metadata.owner_references.clone().unwrap_or_default()[0].name, "app");
    let data = rendered.data.clone().unwrap_or_default();
    assert_eq!(data["principals"], tenant.role_arn(&tenant.name));
    let resource = tenant.resource(&tenant.username("app")).await;
    assert_eq!(printed_policy(&tenant, &resource), data["policy.json"], "iamdb policy prints the same text");
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());

    // Somebody edits it: it is put right. Then the operator is to write policies itself: the very same document, and no ConfigMap.
    tenant.merge(&config_maps, "app-iam-policy", json!({"data": {"policy.json": "edited", "more": "x"}})).await;
    tenant.look_at("app").await;
    until("the ConfigMap is put right", SOON, || async {
        (config_maps.get("app-iam-policy").await.expect("ConfigMap").data == rendered.data).then_some(())
    })
    .await;
    tenant.apply_server(tenant.server()).await;
    until("the ConfigMap goes", SOON, || async {
        config_maps.get_opt("app-iam-policy").await.expect("get").is_none().then_some(())
    })
    .await;
    tenant.user_ready("app").await;
    tenant.user_ready("taken").await;
    let policy = tenant.attached(&tenant.role_arn(&tenant.name)).await.remove(0);
    let written = tenant.document(&policy).await.expect("document");
    assert!(resources(&written).contains(&resource));
    // With the other user gone, what is written for this role alone is byte for byte what was rendered.
    tenant.delete(tenant.users(), "taken").await;
    let written = tenant.document(&policy).await.expect("document");
    assert_eq!(written, serde_json::from_str::<Value>(&data["policy.json"]).expect("JSON"));
    tenant.close().await;
}
