//! DbAuthTokens: what stands in the Secret, who may touch it, and when it is renewed or goes.

use std::collections::BTreeMap;
use std::time::Duration;

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// The watch tells of it, and nothing else before the token is due; a busy machine takes seconds.
const AT_ONCE: Duration = Duration::from_secs(20);

on_both!(
    the_secret_is_a_service_binding_and_nothing_else,
    a_rotation_on_request_leaves_the_old_token_alive,
    tokens_of_somebody_else_and_of_yesterday_are_refused,
    a_namespace_goes_with_all_that_is_in_it,
);

fn keys<V>(map: Option<&BTreeMap<String, V>>) -> String {
    map.into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Everything of a Secret but its bookkeeping.
fn whole(secret: &Secret) -> Value {
    let mut value = serde_json::to_value(secret).expect("JSON");
    value["metadata"]["managedFields"].take();
    value
}

fn password(secret: &Secret) -> Vec<u8> {
    secret.data.as_ref().and_then(|data| data.get("password")).expect("password").0.clone()
}

fn expiry(secret: &Secret) -> jiff::Timestamp {
    secret.annotations()["iamdb.dev/expires-at"].parse().expect("an instant")
}

async fn the_secret_is_a_service_binding_and_nothing_else(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "binding").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let mut token = tenant.token("app", "app");
    token["spec"]["secret"]["labels"] = json!({"team": "shop"});
    token["spec"]["secret"]["annotations"] = json!({"example.com/note": "theirs"});
    let token = tenant.apply::<DbAuthToken>(token).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let secret = tenant.secret_object("app").await;
    let uid = token.uid().expect("uid");
    let owner = json!([{
        "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbAuthToken", "name": "app", "uid": uid, "controller": true
    }]);
    assert_eq!(serde_json::to_value(&secret.metadata.owner_references).expect("JSON"), owner);
    assert_eq!(secret.type_.as_deref(), Some("servicebinding.io/mysql"));
    let (issued, expires) = (secret.annotations()["iamdb.dev/issued-at"].clone(), expiry(&secret));
    let compact = expires.to_string().replace(['-', ':'], "");
    let labels = json!({
        "app.kubernetes.io/managed-by": "iamdb-operator", "iamdb.dev/owner-uid": uid,
        "iamdb.dev/expires-at": compact, "team": "shop"
    });
    assert_eq!(serde_json::to_value(secret.labels()).expect("JSON"), labels);
    let annotations = "example.com/note iamdb.dev/applied iamdb.dev/expires-at iamdb.dev/inputs iamdb.dev/issued-at";
    assert_eq!(keys(secret.metadata.annotations.as_ref()), annotations);
    let issued: jiff::Timestamp = issued.parse().expect("an instant");
    assert_eq!(expires.duration_since(issued), jiff::SignedDuration::from_secs(870));

    let data = tenant.secret("app").await;
    let text = |key: &str| String::from_utf8(data[key].clone()).expect("text");
    let expected = "ca.crt database host my.cnf password port provider token-expires-at type uri username";
    assert_eq!(keys(Some(&data)), expected);
    assert_eq!((text("type").as_str(), text("port").as_str()), ("mysql", "3306"));
    assert_eq!(text("host"), tenant.world.host(database));
    assert_eq!(text("username"), tenant.username("app"));
    assert_eq!(text("database"), database.identifier());
    assert_eq!(text("token-expires-at"), expires.to_string());
    let ca = std::fs::read_to_string(tenant.world.var("WORLD_CA")).expect("CA");
    assert_eq!(text("ca.crt").trim(), ca.trim());

    let status = tenant.tokens().get("app").await.expect("token").status.expect("status");
    assert_eq!(status.binding.map(|it| it.name).as_deref(), Some("app-db"));
    assert_eq!(status.signed_host, Some(format!("{}:3306", tenant.world.host(database))));
    assert_eq!(status.principal_arn, Some(tenant.role_arn(&tenant.name)));
    tenant.close().await;
}

#[tokio::test]
async fn a_foreign_secret_is_not_touched_and_when_it_goes_the_token_comes() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "foreign").await;
    let foreign = json!({"metadata": {"name": "app-db"}, "stringData": {"password": "theirs"}});
    let foreign = serde_json::from_value(foreign).expect("Secret");
    let before = tenant.secrets().create(&PostParams::default(), &foreign).await.expect("create Secret");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_reason("app", "False", "ForeignSecret").await;
    tenant.rotate("app").await; // one more attempt
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = tenant.secret_object("app").await;
    assert_eq!(whole(&after), whole(&before), "resourceVersion included");
    tenant.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete Secret");
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");

    // Whose owner somebody took off is a copy of ours at most, whatever its labels say.
    let taken = tenant.merge(&tenant.secrets(), "app-db", json!({"metadata": {"ownerReferences": null}})).await;
    tenant.token_reason("app", "False", "ForeignSecret").await;
    tenant.rotate("app").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(whole(&tenant.secret_object("app").await), whole(&taken));
    tenant.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete Secret");
    tenant.token_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn of_two_tokens_for_one_secret_the_second_waits_for_the_first_to_go() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "two").await;
    tenant.ready_pair("app", "first").await;
    let mut second = tenant.token("second", "app");
    second["spec"]["secret"]["name"] = json!("first-db");
    tenant.apply::<DbAuthToken>(second).await;
    tenant.token_reason("second", "False", "ForeignSecret").await;
    let secret = tenant.secret_object("first").await;
    assert_eq!(secret.owner_references()[0].name, "first");
    tenant.delete(tenant.tokens(), "first").await;
    tenant.token_ready("second").await;
    assert_eq!(tenant.secret_object("first").await.owner_references()[0].name, "second");
    tenant.close().await;
}

#[tokio::test]
async fn a_deleted_secret_is_made_again_at_once() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "gone").await;
    tenant.ready_pair("app", "app").await;
    let before = tenant.secret_object("app").await;
    tenant.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete Secret");
    let again = until("the Secret again", AT_ONCE, || async {
        let secret = tenant.secrets().get_opt("app-db").await.expect("get Secret");
        secret.filter(|secret| secret.uid() != before.uid())
    })
    .await;
    assert!(expiry(&again) >= expiry(&before));
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn what_somebody_changes_in_the_secret_is_put_right() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "edited").await;
    tenant.ready_pair("app", "app").await;
    let edits = [
        json!({"stringData": {"password": "wrong"}}),
        json!({"stringData": {"more": "keys"}}),
        json!({"data": {"ca.crt": null}}),
        json!({"metadata": {"labels": {"iamdb.dev/expires-at": null}}}),
        json!({"stringData": {"password": "wrong"}, "metadata": {"labels": {"iamdb.dev/owner-uid": null}}}),
        json!({"stringData": {"password": "wrong"}, "metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}),
    ];
    for edit in edits {
        let before = tenant.secret_object("app").await;
        let edited = tenant.merge(&tenant.secrets(), "app-db", edit.clone()).await;
        until(&format!("repair of {edit}"), AT_ONCE, || async {
            let now = tenant.secret_object("app").await;
            let is_whole = keys(now.data.as_ref()) == keys(before.data.as_ref()) && now.labels().len() == 3;
            (now.resource_version() != edited.resource_version() && is_whole && password(&now) != b"wrong")
                .then_some(())
        })
        .await;
        tenant.log_in("app", "SELECT 1").await.expect("login");
    }
    tenant.token_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_label_that_the_spec_no_longer_has_is_taken_off_the_secret() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "unlabel").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let mut token = tenant.token("app", "app");
    token["spec"]["secret"]["labels"] = json!({"team": "shop", "tier": "gold"});
    tenant.apply::<DbAuthToken>(token.clone()).await;
    tenant.token_ready("app").await;
    token["spec"]["secret"]["labels"] = json!({"tier": "gold"});
    tenant.apply::<DbAuthToken>(token).await;
    let secret = until("the label is gone", SOON, || async {
        let secret = tenant.secret_object("app").await;
        (!secret.labels().contains_key("team")).then_some(secret)
    })
    .await;
    assert_eq!(secret.labels().get("tier").map(String::as_str), Some("gold"));
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_secret_without_a_ca_and_one_under_another_key_are_had_for_the_asking() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "cakeys").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let mut named = tenant.token("named", "app");
    named["spec"]["ca"] = json!({"type": "Server", "key": "rds.pem"});
    tenant.apply::<DbAuthToken>(named.clone()).await;
    let mut without = tenant.token("without", "app");
    without["spec"]["ca"] = json!({"type": "None"});
    tenant.apply::<DbAuthToken>(without.clone()).await;
    tenant.user_ready("app").await;
    for name in ["named", "without"] {
        tenant.token_ready(name).await;
    }
    tenant.log_in("named", "SELECT 1").await.expect("login");
    let keys = keys(Some(&tenant.secret("without").await));
    assert_eq!(keys, "database host my.cnf password port provider token-expires-at type uri username");
    for (mut token, change) in [
        (named.clone(), json!({"ca": {"type": "Server", "key": "password"}})),
        (named, json!({"ca": {"type": "None", "key": "x"}})),
        (without.clone(), json!({"endpoint": {"type": "Custom"}})),
        (without.clone(), json!({"endpoint": {"type": "Proxy", "name": "app", "alias": "tunnel"}})),
        (without, json!({"secret": {"name": "without-db", "formats": ["Pkcs12"]}})),
    ] {
        for (field, value) in change.as_object().expect("fields") {
            token["spec"][field] = value.clone();
        }
        assert!(tenant.try_apply::<DbAuthToken>(token).await.is_err(), "{change}");
    }
    tenant.close().await;
}

#[tokio::test]
async fn labels_of_others_stay_and_start_no_fight() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "labels").await;
    tenant.ready_pair("app", "app").await;
    let theirs = json!({"metadata": {"labels": {"theirs": "x"}, "annotations": {"example.com/theirs": "y"}}});
    let from = tenant.world.settled(&tenant.name).await;
    tenant.merge(&tenant.secrets(), "app-db", theirs).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let writes = tenant.world.operator_writes(from, &tenant.name);
    assert!(writes.len() <= 2, "{writes:?}");
    let before = tenant.secret("app").await;
    tenant.rotate("app").await;
    until("a new token", SOON, || async { (tenant.secret("app").await != before).then_some(()) }).await;
    let secret = tenant.secret_object("app").await;
    assert_eq!(secret.labels().get("theirs").map(String::as_str), Some("x"));
    assert_eq!(secret.annotations().get("example.com/theirs").map(String::as_str), Some("y"));
    tenant.close().await;
}

async fn a_rotation_on_request_leaves_the_old_token_alive(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "rotate").await;
    tenant.ready_pair("app", "app").await;
    let before = tenant.secret_object("app").await;
    let old = tenant.option_file(&tenant.username("app"), &String::from_utf8(password(&before)).expect("text"));
    tenant.world.client_sql(database, &old, "SELECT 1").expect("login with the first token");
    tokio::time::sleep(Duration::from_millis(1_100)).await; // a token of the same second is the same token
    let told = tenant.tokens().get("app").await.expect("get").status;
    tenant.rotate("app").await;
    let after = until("a new token", AT_ONCE, || async {
        let secret = tenant.secret_object("app").await;
        (password(&secret) != password(&before)).then_some(secret)
    })
    .await;
    assert!(expiry(&after) > expiry(&before));
    tenant.world.client_sql(database, &old, "SELECT 1").expect("login with the old token");
    tenant.log_in("app", "SELECT 1").await.expect("login with the new token");
    let object = tenant.tokens().get("app").await.expect("get");
    assert_eq!(object.status, told, "a rotation is nobody's news");
    let fields = object.metadata.managed_fields.unwrap_or_default();
    let of_status = fields.iter().filter(|it| it.subresource.as_deref() == Some("status"));
    let written = of_status.filter_map(|it| it.time.as_ref()).map(|it| it.0).max();
    let issued = after.annotations()["iamdb.dev/issued-at"].parse::<jiff::Timestamp>().expect("a time");
    assert!(written.is_some_and(|written| written < issued), "status written at {written:?}, token at {issued}");
    tenant.close().await;
}

#[tokio::test]
async fn a_token_whose_user_is_not_there_waits_for_it() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "early").await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    let message = tenant.token_reason("app", "False", "UserRefNotFound").await;
    assert!(message.contains("IamDbUser app"), "{message}");
    assert!(tenant.secrets().get_opt("app-db").await.expect("get").is_none());
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.token_ready("app").await;
    tenant.user_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

async fn tokens_of_somebody_else_and_of_yesterday_are_refused(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "refused").await;
    tenant.ready_pair("app", "app").await;
    let username = tenant.username("app");
    let cases = [
        (tenant.mint(&username, &[]).await, "accepted"),
        (tenant.mint(&tenant.username("other"), &[]).await, "wrong-user"),
        (tenant.mint(&username, &["--at", "-20m"]).await, "expired"),
    ];
    for (token, reason) in cases {
        let from = tenant.world.log_end("WORLD_AUTH_LOG");
        let answer = tenant.world.client_sql(database, &tenant.option_file(&username, &token), "SELECT 1");
        assert_eq!(tenant.login_reason(&username, from), reason);
        match answer {
            Ok(_) => assert_eq!(reason, "accepted"),
            Err(error) => assert!(reason != "accepted" && error.contains("1045"), "{reason}: {error}"),
        }
    }
    tenant.close().await;
}

#[tokio::test]
async fn a_secret_goes_with_its_user_and_with_its_token() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "goes").await;
    tenant.ready_pair("app", "app").await;
    tenant.ready_pair("more", "more").await;
    let is_gone = |secret: &'static str| {
        let tenant = &tenant;
        until(secret, SOON, move || async move {
            tenant.secrets().get_opt(secret).await.expect("get").is_none().then_some(())
        })
    };
    tenant.delete(tenant.users(), "app").await;
    is_gone("app-db").await;
    tenant.token_reason("app", "False", "UserRefNotFound").await;
    tenant.delete(tenant.tokens(), "more").await;
    is_gone("more-db").await;
    tenant.user_ready("more").await;
    tenant.close().await;
}

async fn a_namespace_goes_with_all_that_is_in_it(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "ends").await;
    tenant.ready_pair("app", "app").await;
    tenant.delete(Api::<Namespace>::all(tenant.client.clone()), &tenant.name).await;
    assert_eq!(tenant.account(&tenant.username("app")), "");
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
    tenant.close().await;
}
