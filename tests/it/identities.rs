//! With whose rights tokens are signed: ServiceAccounts and roles, and what happens while they cannot be asked.

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::aws::Fault;
use crate::operator::Operator;
use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, SOON, World, until};

/// A token that a ServiceAccount signs.
fn signed_by(tenant: &Tenant, service_account: &str) -> Value {
    let mut token = tenant.token(service_account, "app");
    token["spec"]["identity"]["serviceAccount"]["name"] = json!(service_account);
    token
}

#[tokio::test]
async fn a_service_account_that_may_not_sign_is_told_and_mending_it_heals() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "signers").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let role = |purpose: &str| format!("{}-{purpose}", tenant.name);
    for purpose in ["ghost", "plain"] {
        tenant.create_role(&role(purpose), purpose).await;
    }
    tenant.create_role(&role("shut"), "somebody-else").await;
    let accounts = Api::<ServiceAccount>::namespaced(tenant.client.clone(), &tenant.name);
    let plain = json!({"metadata": {"name": "plain"}});
    let plain = serde_json::from_value(plain).expect("ServiceAccount");
    accounts.create(&PostParams::default(), &plain).await.expect("create ServiceAccount");
    tenant.create_service_account("shut", &tenant.role_arn(&role("shut"))).await;
    let cases = [
        ("ghost", format!("there is no ServiceAccount {}/ghost", tenant.name)),
        ("plain", "has no annotation eks.amazonaws.com/role-arn".to_owned()),
        ("shut", "AccessDenied".to_owned()),
    ];
    for (name, _) in &cases {
        tenant.apply::<DbAuthToken>(signed_by(&tenant, name)).await;
    }
    for (name, told) in &cases {
        let message = tenant.token_reason(name, "False", "IdentityDenied").await;
        assert!(message.contains(told), "{name}: {message}");
        assert!(tenant.secrets().get_opt(&format!("{name}-db")).await.expect("get").is_none());
    }

    tenant.create_service_account("ghost", &tenant.role_arn(&role("ghost"))).await;
    let annotation =
        json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn(&role("plain"))}}});
    tenant.merge(&accounts, "plain", annotation).await;
    let trust = tenant.web_identity_trust("shut");
    let update = tenant.iam.update_assume_role_policy().role_name(role("shut")).policy_document(trust.to_string());
    update.send().await.expect("update trust policy");
    for (name, _) in &cases {
        tenant.token_ready(name).await;
    }
    tenant.user_ready("app").await;
    tenant.close().await;
}

/// Lets the operator assume a role with this external id.
fn operator_trust(external_id: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/iamdb-operator")},
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}}}]})
}

#[tokio::test]
async fn a_role_signs_for_the_namespace_that_its_trust_policy_names_and_the_rule_admits() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "assume").await;
    let cluster = tenant.cluster_id().await;
    let (signer, other, outside) =
        (format!("{}-signer", tenant.name), format!("{}-other", tenant.name), format!("x-{}", tenant.name));
    let external_id = format!("{cluster}/{}", tenant.name);
    tenant.create_role_with(&signer, &operator_trust(&external_id)).await;
    tenant.create_role_with(&other, &operator_trust(&format!("{cluster}/another-namespace"))).await;
    tenant.create_role_with(&outside, &operator_trust(&external_id)).await;
    let mut user = tenant.user("app");
    user["spec"]["principals"] = json!({"arns": [tenant.role_arn(&signer), tenant.role_arn(&other)]});
    tenant.apply::<IamDbUser>(user).await;
    for (name, role) in [("signer", &signer), ("other", &other), ("outside", &outside)] {
        let mut token = tenant.token(name, "app");
        token["spec"]["identity"] = json!({"type": "AssumeRole", "assumeRole": {"roleArn": tenant.role_arn(role)}});
        tenant.apply::<DbAuthToken>(token).await;
    }
    tenant.user_ready("app").await;
    tenant.token_ready("signer").await;
    tenant.log_in("signer", "SELECT 1").await.expect("login");
    let message = tenant.token_reason("other", "False", "IdentityDenied").await;
    assert!(message.contains("AccessDenied"), "{message}");
    let message = tenant.token_reason("outside", "False", "NotAllowed").await;
    assert!(message.contains("spec.identity: arn"), "{message}");
    for name in ["other-db", "outside-db"] {
        assert!(tenant.secrets().get_opt(name).await.expect("get").is_none(), "{name}");
    }

    let trust = operator_trust(&external_id).to_string();
    let update = tenant.iam.update_assume_role_policy().role_name(&other).policy_document(trust);
    update.send().await.expect("update trust policy");
    let mut server = tenant.server();
    let rule = &mut server["spec"]["tenancy"][0];
    rule["assumeRoles"].as_array_mut().expect("roles").push(json!(tenant.role_arn(&outside)));
    tenant.apply_server(server).await;
    tenant.token_ready("other").await;
    tenant.token_ready("outside").await;
    tenant.log_in("other", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn while_sts_is_down_a_living_token_is_ready_and_left_alone() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "sts-down").await;
    tenant.ready_pair("app", "app").await;
    let ready_since = || async {
        let status = tenant.tokens().get("app").await.expect("token").status.expect("status");
        let ready = status.conditions.into_iter().find(|it| it.type_ == "Ready").expect("Ready");
        (ready.status, ready.last_transition_time)
    };
    let (before, since) = (tenant.secret_object("app").await, ready_since().await);

    let fault = Fault::arm(&json!({"service": "sts", "code": "ServiceUnavailable", "status": 503, "times": 1000}));
    let operator = Operator::of(tenant.world);
    operator.kill();
    operator.start(); // without a session of anybody's
    tenant.apply::<DbAuthToken>(tenant.token("late", "app")).await;
    let message = tenant.token_reason("late", "False", "Unreachable").await;
    assert!(message.contains("could not be assumed"), "{message}");
    // One try makes three attempts.
    until("two tries", SOON, || async { (fault.fired() >= 6).then_some(()) }).await;
    assert_eq!(ready_since().await, since);
    let now = tenant.secret_object("app").await;
    assert_eq!(now.resource_version(), before.resource_version());
    tenant.log_in("app", "SELECT 1").await.expect("login");
    drop(fault);
    tenant.token_ready("late").await;
    tenant.log_in("late", "SELECT 1").await.expect("login");
    assert_eq!(ready_since().await, since);
    tenant.close().await;
}

#[tokio::test]
async fn a_restart_writes_no_secret_whose_token_lives() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Billing, "restart").await;
    tenant.ready_pair("app", "app").await;
    tenant.apply::<DbAuthToken>(tenant.token("twin", "app")).await;
    tenant.token_ready("twin").await;
    let versions = || async {
        let (app, twin) = (tenant.secret_object("app").await, tenant.secret_object("twin").await);
        (app.resource_version(), twin.resource_version())
    };
    let from = tenant.world.settled(&tenant.name).await;
    let before = versions().await;
    let operator = Operator::of(tenant.world);
    operator.kill();
    operator.start();
    tenant.ready_pair("later", "later").await; // it works again, and has looked at what was there before
    until("every token is known again", SOON, || async {
        let metrics = tenant.world.ask("WORLD_OPERATOR_URL", "GET", "/metrics", &Value::Null);
        let text = metrics.as_str().unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("iamdb_tokens "))?.parse().ok().filter(|&count: &u32| count >= 3)
    })
    .await;
    assert_eq!(versions().await, before);
    let writes = tenant.world.operator_writes(from, &tenant.name);
    let secrets: Vec<_> = writes.iter().filter(|write| write.contains(" secrets/")).collect();
    assert_eq!(secrets, ["create secrets/ later-db"]);
    let tokens = writes.iter().filter(|write| write.contains("dbauthtokens/status app"));
    assert_eq!(tokens.count(), 0, "{writes:?}");
    tenant.close().await;
}
