//! The operator in named namespaces alone, and without a watch of Secrets: with the rights that the chart gives it then, of which it uses all and
//! misses none, and with which nothing can be done elsewhere.

use std::time::Duration;

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::a_rotation;
use crate::admins::{admin_secret, master_secret};
use crate::consumers;
use crate::effects::SERVICE_ACCOUNT;
use crate::narrowed::{Mode, Narrowed};
use crate::replica::{Replica, Stage};
use crate::tenant::Tenant;
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, until};

/// Longer than a watch takes to tell, and than what it tells takes to be mended.
const A_WHILE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn within_a_scope_it_does_everything_and_outside_of_it_nothing() {
    let stage = Stage::set().await;
    let (owner, consumer) = two().await;
    let outsider = Tenant::new(Database::Orders, "outside").await;
    outsider.apply::<IamDbUser>(outsider.user("app")).await;
    outsider.apply::<DbAuthToken>(outsider.token("app", "app")).await;
    let mut namespaces = going_on(&stage.client).await;
    namespaces.extend([owner.name.clone(), consumer.name.clone()]);
    let mode = Mode { namespaces, watch_secrets: true };
    let narrowed = Narrowed::to(&stage, &mode).await;
    let (first, second) = pair(&stage, &narrowed, "scope").await;

    exercise(&owner, &consumer, &mode).await;
    refer_across(&owner, &consumer, &outsider).await;
    nothing_can_be_done_in(&stage, &outsider).await;
    first.signal("-TERM");
    leads(&stage, &second).await;
    close(owner, consumer).await;
    narrowed.assert_exact(&[&first, &second]);

    let of_outsider = |it: &Value| it["objectRef"]["namespace"] == outsider.name.as_str();
    let asked: Vec<_> =
        [&first, &second].iter().flat_map(|it| it.requests(stage.world, stage.audit)).filter(of_outsider).collect();
    // Of a namespace itself the labels are watched with all others.
    assert!(asked.is_empty(), "{asked:#?}");
    let user = outsider.users().get("app").await.expect("IamDbUser");
    assert!(user.status.is_none() && user.finalizers().is_empty(), "{user:?}");
    assert!(outsider.tokens().get("app").await.expect("DbAuthToken").status.is_none());
    assert!(outsider.secrets().list(&ListParams::default()).await.expect("list").items.is_empty());
    assert_eq!(outsider.account(&outsider.username("app")), "");
    drop((first, second));
    drop(narrowed);
    let _turn = stage.clear();
    outsider.user_ready("app").await; // of the world's operator, which acts everywhere
    outsider.close().await;
}

#[tokio::test]
async fn without_a_watch_of_secrets_each_is_read_once_and_mended_when_it_is_renewed() {
    let stage = Stage::set().await;
    let (owner, consumer) = two().await;
    let mode = Mode { namespaces: Vec::new(), watch_secrets: false };
    let narrowed = Narrowed::to(&stage, &mode).await;
    let (first, second) = pair(&stage, &narrowed, "unseen").await;
    exercise(&owner, &consumer, &mode).await;

    owner.apply::<DbAuthToken>(owner.token("twin", "app")).await;
    owner.token_ready("twin").await;
    let before = versions(&owner).await;
    let all = until("metrics", SOON, || async { first.tokens() }).await;
    let from = stage.world.log_end("WORLD_AUDIT_LOG");
    first.signal("-TERM");
    leads(&stage, &second).await;
    // The user first: a token that comes before it has its Secret looked at twice.
    owner.apply::<IamDbUser>(owner.user("later")).await;
    owner.user_ready("later").await;
    owner.apply::<DbAuthToken>(owner.token("later", "later")).await;
    owner.token_ready("later").await; // it has looked at everything
    let is_complete = || async { second.tokens().filter(|&count| count > all).map(drop) };
    until("every token is known again, and the later one", SOON, is_complete).await;
    tokio::time::sleep(A_WHILE).await;
    let after = versions(&owner).await;
    assert!(
        before.iter().all(|it| after.contains(it)),
        "a new leader writes no Secret that is alive: {before:?} {after:?}"
    );
    for (name, _) in after {
        let read = |it: &Value| {
            let object = &it["objectRef"];
            it["verb"] == "get"
                && object["resource"] == "secrets"
                && object["name"] == name.as_str()
                && object["namespace"] == owner.name.as_str()
        };
        let reads = second.requests(stage.world, from).iter().filter(|it| read(it)).count();
        assert_eq!(reads, 1, "{name}");
    }
    close(owner, consumer).await;
    narrowed.assert_exact(&[&first, &second]);
}

#[tokio::test]
async fn a_namespace_of_the_scope_that_it_may_not_look_into_holds_up_nobody_and_is_not_taken_for_empty() {
    let stage = Stage::set().await;
    let tenant = Tenant::new(Database::Orders, "open").await;
    let shut = Tenant::bare(Database::Orders, "shut").await;
    let mut namespaces = going_on(&stage.client).await;
    namespaces.extend([tenant.name.clone(), shut.name.clone()]);
    let mode = Mode { namespaces, watch_secrets: true };
    let narrowed = Narrowed::to(&stage, &mode).await;
    let mut seeing = narrowed.replica("seeing", 8187, None).await;
    shut.apply_server(consumers::server(&shut, Some(&tenant))).await;
    shut.apply::<IamDbUser>(consumers::user(&shut, &tenant, &json!({"names": [tenant.name]}))).await;
    tenant.apply::<DbAuthToken>(consumers::token(&shut, &tenant)).await;
    tenant.token_ready("app").await;
    seeing.signal("-TERM");
    assert!(seeing.ended().await);

    narrowed.revoke(&shut.name).await;
    let of_there = tenant.secret_object("app").await;
    let replica = narrowed.replica("forbidden", 8187, Some("no-such-namespace")).await;
    tenant.ready_pair("own", "own").await;
    tenant.log_in("own", "SELECT 1").await.expect("login");
    shut.apply::<IamDbUser>(shut.user("late")).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(shut.users().get("late").await.expect("IamDbUser").status.is_none());
    // Nobody knows whether there is consent any more: what was given stays.
    assert_eq!(tenant.secret_object("app").await.uid(), of_there.uid());
    tenant.token_reason("app", "False", "Resolving").await;

    narrowed.grant(Some(&shut.name)).await;
    shut.user_ready("late").await;
    tenant.token_ready("app").await;
    tenant.close().await;
    shut.close().await;
    drop(replica);
}

/// The Role goes with the namespace, so the finalizer may stay, but nothing that it stands for.
#[tokio::test]
async fn a_namespace_of_the_scope_that_is_deleted_whole_leaves_no_account_and_no_policy() {
    let stage = Stage::set().await;
    let tenant = Tenant::new(Database::Orders, "whole").await;
    let mut namespaces = going_on(&stage.client).await;
    namespaces.push(tenant.name.clone());
    let mode = Mode { namespaces, watch_secrets: true };
    let narrowed = Narrowed::to(&stage, &mode).await;
    let replica = narrowed.replica("whole", 8188, None).await;
    tenant.ready_pair("app", "app").await;
    let namespaces = Api::<Namespace>::all(stage.client.clone());
    namespaces.delete(&tenant.name, &DeleteParams::default()).await.expect("delete Namespace");
    until("the account and its policy are gone", SOON, || async {
        let role = tenant.role_arn(&tenant.name);
        let is_gone = tenant.account(&tenant.username("app")).is_empty() && tenant.attached(&role).await.is_empty();
        is_gone.then_some(())
    })
    .await;
    tokio::time::sleep(A_WHILE).await;
    let left = tenant.users().get_opt("app").await.expect("get IamDbUser");
    eprintln!("the IamDbUser's finalizer stays: {}", left.is_some());
    drop(replica);
    drop(narrowed);
    let _turn = stage.clear();
    // The world's operator has the right.
    until("the namespace is gone", SOON, || async {
        namespaces.get_opt(&tenant.name).await.expect("get Namespace").is_none().then_some(())
    })
    .await;
    tenant.close().await;
}

/// Namespaces of the test that goes on beside all others: somebody must look after them.
async fn going_on(client: &Client) -> Vec<String> {
    let namespaces = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await.expect("list");
    let names = namespaces.iter().map(ResourceExt::name_any);
    names.filter(|name| name.starts_with(a_rotation::NAMESPACES)).collect()
}

async fn versions(tenant: &Tenant) -> Vec<(String, Option<String>)> {
    let secrets = tenant.secrets().list(&ListParams::default()).await.expect("list");
    secrets.iter().map(|it| (it.name_any(), it.resource_version())).collect()
}

/// One that leads and one that waits.
async fn pair(stage: &Stage, narrowed: &Narrowed<'_>, test: &str) -> (Replica, Replica) {
    let first = narrowed.replica(&format!("{test}-first"), 8183, None).await;
    leads(stage, &first).await;
    let second = narrowed.replica(&format!("{test}-second"), 8184, None).await;
    (first, second)
}

async fn leads(stage: &Stage, replica: &Replica) {
    until("it leads", SOON, || async { (stage.leader().await == replica.name).then_some(()) }).await;
}

/// A namespace with users, and one that has tokens for them.
async fn two() -> (Tenant, Tenant) {
    let owner = Tenant::bare(Database::Orders, "mode").await;
    let consumer = Tenant::bare(Database::Orders, "mode").await;
    let (_, login) = master_secret(&owner).await;
    admin_secret(&owner, &login).await;
    (owner, consumer)
}

async fn close(owner: Tenant, consumer: Tenant) {
    let (client, name) = (owner.client.clone(), owner.name.clone());
    consumer.close().await;
    owner.close().await;
    let secrets = Api::<Secret>::namespaced(client, OPERATOR_NAMESPACE);
    secrets.delete(&name, &DeleteParams::default()).await.expect("delete Secret");
}

/// Of everything that the operator does with Kubernetes, once.
async fn exercise(owner: &Tenant, consumer: &Tenant, mode: &Mode) {
    rendered(owner, consumer).await;
    owner.apply_server(server(owner, consumer, &Value::Null)).await;
    owner.user_ready("app").await;
    owner.log_in("app", "SELECT 1").await.expect("login");
    consumer.log_in("app", "SELECT 1").await.expect("login of a consumer");
    owner.rotated("app", SOON).await;
    repaired(owner, mode).await;
    denied_twice(owner).await;
    owner.apply::<IamDbUser>(consumers::user(owner, consumer, &Value::Null)).await;
    consumers::secret_goes(consumer).await;
}

fn server(owner: &Tenant, consumer: &Tenant, policy: &Value) -> Value {
    let mut server = consumers::server(owner, Some(consumer));
    let spec = &mut server["spec"];
    spec["admin"] = json!({"type": "SecretRef", "secretRef": {"name": owner.name}});
    spec["ca"] = json!({"type": "Region"});
    if !policy.is_null() {
        spec["policy"] = policy.clone();
    }
    server
}

/// Policies in ConfigMaps, of the user and of the server: made, put right, and taken away by the next spec.
async fn rendered(owner: &Tenant, consumer: &Tenant) {
    let full = json!({"scope": "Server", "principals": [owner.role_arn(&owner.name)]});
    owner.apply_server(server(owner, consumer, &json!({"mode": "Render", "fullAccess": full}))).await;
    owner.apply::<IamDbUser>(consumers::user(owner, consumer, &json!({"names": [consumer.name]}))).await;
    owner.apply::<DbAuthToken>(owner.token("app", "app")).await;
    consumer.apply::<DbAuthToken>(consumers::token(owner, consumer)).await;
    owner.server_reason("True", "Ready").await;
    owner.user_ready("app").await;
    owner.token_ready("app").await;
    consumer.token_ready("app").await;
    let own =
        (Api::<ConfigMap>::namespaced(owner.client.clone(), OPERATOR_NAMESPACE), format!("{}-iam-policy", owner.name));
    let users = (Api::<ConfigMap>::namespaced(owner.client.clone(), &owner.name), "app-iam-policy".to_owned());
    for (config_maps, name) in [&own, &users] {
        owner.merge(config_maps, name, json!({"data": {"policy.json": "edited"}})).await;
        owner.look_at("app").await;
        owner.look_at_server().await;
        until(&format!("{name} is put right"), SOON, || async {
            let data = config_maps.get(name).await.expect("ConfigMap").data.unwrap_or_default();
            (data["policy.json"] != "edited").then_some(())
        })
        .await;
    }
    owner.apply_server(server(owner, consumer, &json!({"mode": "Manage"}))).await;
    for (config_maps, name) in [&own, &users] {
        until(&format!("{name} is gone"), SOON, || async {
            config_maps.get_opt(name).await.expect("get").is_none().then_some(())
        })
        .await;
    }
}

/// A Secret that somebody edits, and one that somebody deletes: mended at once by who watches, else with the next token.
async fn repaired(owner: &Tenant, mode: &Mode) {
    let is_live = || async {
        let secret = owner.secrets().get_opt("app-db").await.expect("get")?;
        let password = secret.data?.remove("password").filter(|it| it.0.len() > 100);
        password.map(|_: ByteString| ())
    };
    let edit = json!({"stringData": {"password": "edited"}});
    owner.merge(&owner.secrets(), "app-db", edit).await;
    mended(owner, mode, is_live).await;
    owner.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete");
    mended(owner, mode, is_live).await;
    owner.log_in("app", "SELECT 1").await.expect("login");
}

async fn mended<F: Future<Output = Option<()>>>(owner: &Tenant, mode: &Mode, is_live: impl Fn() -> F) {
    if !mode.watch_secrets {
        tokio::time::sleep(A_WHILE).await;
        assert!(is_live().await.is_none(), "nobody told the operator");
        owner.rotated("app", SOON).await;
    }
    until("the Secret is mended", SOON, is_live).await;
}

/// A ServiceAccount without a role is asked for, and the second Event of a kind is told as one.
async fn denied_twice(owner: &Tenant) {
    let mut token = owner.token("odd", "app");
    for account in ["default", "app", "default"] {
        token["spec"]["identity"]["serviceAccount"]["name"] = json!(account);
        owner.apply::<DbAuthToken>(token.clone()).await;
        if account == "app" {
            owner.token_ready("odd").await;
        } else {
            owner.token_reason("odd", "False", "IdentityDenied").await;
        }
    }
    owner.delete(owner.tokens(), "odd").await;
}

/// What refers to a namespace outside of the scope is told so, in the same words whether there is anything or not.
async fn refer_across(owner: &Tenant, consumer: &Tenant, outsider: &Tenant) {
    let mut messages = Vec::new();
    for (name, user) in [("theirs", "app"), ("ghost", "ghost")] {
        let mut token = consumer.token(name, user);
        token["spec"]["userRef"]["namespace"] = json!(outsider.name);
        consumer.apply::<DbAuthToken>(token).await;
        messages.push(consumer.token_reason(name, "False", "OutOfScope").await);
    }
    assert!(messages[0].contains(&outsider.name) && messages[0] == messages[1], "{messages:?}");
    let mut user = owner.user("across");
    user["spec"]["principals"] = json!({"serviceAccounts": [{"name": "app", "namespace": outsider.name}]});
    owner.apply::<IamDbUser>(user).await;
    let message = owner.user_reason("across", "False", "OutOfScope").await;
    assert!(message.contains("spec.principals"), "{message}");
    assert_eq!(owner.account(&owner.username("across")), "");
}

/// Whoever takes over the operator's account writes nothing in a namespace outside of the scope, and reads nothing there.
async fn nothing_can_be_done_in(stage: &Stage, outsider: &Tenant) {
    let client = stage.world.kube_as(SERVICE_ACCOUNT).await;
    let ours = json!({"name": "ours", "labels": {
        "app.kubernetes.io/managed-by": "iamdb-operator", "iamdb.dev/owner-uid": "x"}});
    let there = &outsider.name;
    let secrets = Api::<Secret>::namespaced(client.clone(), there);
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), there);
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), there);
    let users = Api::<IamDbUser>::namespaced(client.clone(), there);
    let secret: Secret =
        serde_json::from_value(json!({"metadata": ours, "type": "servicebinding.io/mysql"})).expect("Secret");
    let config_map: ConfigMap = serde_json::from_value(json!({"metadata": ours})).expect("ConfigMap");
    let spec = TokenRequestSpec { audiences: vec!["sts.amazonaws.com".into()], ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let (post, delete) = (PostParams::default(), DeleteParams::default());
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    refused("create a Secret", secrets.create(&post, &secret).await);
    refused("delete a Secret", secrets.delete("any", &delete).await);
    refused("read a Secret", secrets.get("any").await);
    refused("list Secrets", secrets.list(&ListParams::default()).await);
    refused("list all Secrets", Api::<Secret>::all(client.clone()).list(&ListParams::default()).await);
    refused("create a ConfigMap", config_maps.create(&post, &config_map).await);
    refused("delete a ConfigMap", config_maps.delete("any", &delete).await);
    refused("get a token", accounts.create_token_request("app", &post, &request).await);
    refused("change an IamDbUser", users.patch("app", &PatchParams::default(), &label).await);
    refused("list all IamDbUsers", Api::<IamDbUser>::all(client).list(&ListParams::default()).await);
}

fn refused<T: std::fmt::Debug>(what: &str, answer: Result<T, kube::Error>) {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 403 && status.message.contains("cannot") => {}
        answer => panic!("{what}: {answer:?}"),
    }
}
