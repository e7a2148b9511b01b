//! Tokens for an account of another namespace: its consent, and a rule for one's own.

use std::time::Duration;

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::fields::untried;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// A server whose rules admit both namespaces, a user of the first that the second's role may be, and the second's token for it.
async fn two(test: &str) -> (Tenant, Tenant) {
    let owner = Tenant::bare(Database::Orders, test).await;
    let consumer = Tenant::bare(Database::Orders, test).await;
    owner.apply_server(server(&owner, Some(&consumer))).await;
    let user = user(&owner, &consumer, &Value::Null);
    owner.apply::<IamDbUser>(user).await;
    owner.user_ready("app").await;
    consumer.apply::<DbAuthToken>(token(&owner, &consumer)).await;
    (owner, consumer)
}

pub fn server(owner: &Tenant, consumer: Option<&Tenant>) -> Value {
    let mut server = owner.server();
    if let Some(consumer) = consumer {
        let rule =
            json!({"name": "consumer", "namespaces": {"names": [consumer.name]}, "usernames": [owner.username("app")]});
        server["spec"]["tenancy"].as_array_mut().expect("rules").push(rule);
    }
    server
}

pub fn user(owner: &Tenant, consumer: &Tenant, consumers: &Value) -> Value {
    let mut user = owner.user("app");
    user["spec"]["principals"]["arns"] = json!([consumer.role_arn(&consumer.name)]);
    if !consumers.is_null() {
        user["spec"]["tokenConsumers"] = json!({"namespaces": consumers});
    }
    user
}

pub fn token(owner: &Tenant, consumer: &Tenant) -> Value {
    let mut token = consumer.token("app", "app");
    token["spec"]["userRef"]["namespace"] = json!(owner.name);
    token
}

/// The same with other fields in its spec.
fn with(token: &Value, change: &Value) -> Value {
    let mut token = token.clone();
    for (field, value) in change.as_object().expect("fields") {
        token["spec"][field] = value.clone();
    }
    token
}

pub async fn secret_goes(consumer: &Tenant) {
    until("the Secret is gone", SOON, || async {
        consumer.secrets().get_opt("app-db").await.expect("get").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_namespace_gets_tokens_with_the_owners_consent_and_loses_them_with_it() {
    let _turn = World::get().together().await;
    let (owner, consumer) = two("consent").await;
    let message = consumer.token_reason("app", "False", "NoConsent").await;
    assert!(consumer.secrets().get_opt("app-db").await.expect("get").is_none());
    // Whoever asks for what does not exist hears the same.
    let mut ghost = token(&owner, &consumer);
    ghost["metadata"]["name"] = json!("ghost");
    ghost["spec"]["secret"]["name"] = json!("ghost-db");
    ghost["spec"]["userRef"]["name"] = json!("ghost");
    consumer.apply::<DbAuthToken>(ghost).await;
    let ghosts = consumer.token_reason("ghost", "False", "NoConsent").await;
    assert_eq!(ghosts.replace("ghost", "app"), message);

    let by_name = json!({"names": [consumer.name]});
    owner.apply::<IamDbUser>(user(&owner, &consumer, &by_name)).await;
    consumer.token_ready("app").await;
    consumer.log_in("app", "SELECT 1").await.expect("login");
    assert!(owner.secrets().get_opt("app-db").await.expect("get").is_none(), "nothing is pushed anywhere");
    owner.apply::<IamDbUser>(user(&owner, &consumer, &Value::Null)).await;
    secret_goes(&consumer).await;
    consumer.token_reason("app", "False", "NoConsent").await;

    let by_label = json!({"selector": {"matchLabels": {"tenant": consumer.name}}});
    owner.apply::<IamDbUser>(user(&owner, &consumer, &by_label)).await;
    consumer.token_ready("app").await;
    let unlabelled = json!({"metadata": {"labels": {"tenant": null}}});
    let namespaces = Api::<Namespace>::all(consumer.client.clone());
    consumer.merge(&namespaces, &consumer.name, unlabelled).await;
    secret_goes(&consumer).await;
    let labelled = json!({"metadata": {"labels": {"tenant": consumer.name}}});
    consumer.merge(&namespaces, &consumer.name, labelled).await;
    consumer.token_ready("app").await;

    owner.delete(owner.users(), "app").await;
    secret_goes(&consumer).await;
    consumer.close().await;
    owner.close().await;
}

#[tokio::test]
async fn consent_is_not_enough_without_a_rule_for_the_consumers_namespace() {
    let _turn = World::get().together().await;
    let (owner, consumer) = two("rules").await;
    owner.apply::<IamDbUser>(user(&owner, &consumer, &json!({"names": [consumer.name]}))).await;
    consumer.token_ready("app").await;
    owner.apply_server(server(&owner, None)).await;
    let message = consumer.token_reason("app", "False", "NotAllowed").await;
    assert!(message.contains("metadata.namespace"), "{message}");
    consumer.close().await;
    owner.close().await;
}

/// What a thief tries: a token's name, what its spec says, and why that comes to nothing.
fn thefts(owner: &Tenant) -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("their-user", json!({"userRef": {"name": "app", "namespace": owner.name}}), "NoConsent"),
        (
            "their-account",
            json!({"identity": {"type": "ServiceAccount", "serviceAccount": {"name": "app", "thenAssume": owner.role_arn(&owner.name)}}}),
            "UserRefNotFound",
        ),
        (
            "their-role",
            json!({"identity": {"type": "AssumeRole", "assumeRole": {"roleArn": owner.role_arn(&owner.name)}}}),
            "UserRefNotFound",
        ),
        ("the-operator", json!({"identity": {"type": "Operator"}}), "UserRefNotFound"),
        ("their-alias", json!({"endpoint": {"type": "Writer", "alias": "tunnel"}}), "UserRefNotFound"),
        ("their-endpoint", json!({"endpoint": {"type": "Custom", "name": "reports"}}), "UserRefNotFound"),
        ("their-login", json!({"database": "orders", "verifyLogin": "Always", "suspend": false}), "UserRefNotFound"),
        (
            "their-ca",
            json!({"ca": {"type": "Server", "key": "ca.crt"}, "rotation": {"renewBefore": "12m"}}),
            "UserRefNotFound",
        ),
        (
            "their-secret",
            json!({"secret": {
                "name": "app-db", "formats": ["MyCnf", "Jdbc"], "mountPath": format!("/{}", owner.name),
                "labels": {"tenant": owner.name}, "annotations": {"tenant": owner.name}}}),
            "UserRefNotFound",
        ),
    ]
}

/// A tenant tries each field that could lead to another's account. What the other has stays without effect for it, and so does what it writes for the
/// other.
#[tokio::test]
async fn no_field_of_a_token_leads_to_the_account_of_somebody_else() {
    let _turn = World::get().together().await;
    let (owner, thief) = two("thief").await;
    owner.apply_server(server(&owner, None)).await;
    let from = thief.world.log_end("WORLD_AUDIT_LOG");
    let attempts = thefts(&owner);
    let specs = attempts.iter().map(|(name, change, _)| with(&thief.token(name, "nobody"), change)["spec"].clone());
    let untried = untried::<DbAuthToken>(&specs.collect::<Vec<_>>());
    assert!(untried.is_empty(), "could these lead to the account of somebody else? {untried:?}");
    // Marks of ownership are no labels that a tenant may ask for.
    let mut marked = thief.token("marked", "nobody");
    marked["spec"]["secret"]["labels"] = json!({"iamdb.dev/owner-uid": "somebody"});
    assert!(thief.try_apply::<DbAuthToken>(marked).await.is_err());
    // The thief's own user of the same name, on the owner's server: no rule admits it.
    let mut own = owner.user("mine");
    own["metadata"]["namespace"] = json!(thief.name);
    own["spec"]["username"] = json!(owner.username("app"));
    thief.apply::<IamDbUser>(own).await;
    thief.user_reason("mine", "False", "NotAllowed").await;
    for (name, change, reason) in &attempts {
        let mut token = with(&thief.token(name, "nobody"), change);
        thief.apply::<DbAuthToken>(token.clone()).await;
        thief.token_reason(name, "False", reason).await;
        if *reason == "UserRefNotFound" {
            // The same by the thief's own user, which no rule admits.
            token["metadata"]["name"] = json!(format!("{name}-mine"));
            token["spec"]["secret"]["name"] = json!(format!("{name}-mine-db"));
            token["spec"]["userRef"] = json!({"name": "mine"});
            thief.apply::<DbAuthToken>(token).await;
            thief.token_reason(&format!("{name}-mine"), "False", "NotAllowed").await;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(thief.secrets().list(&ListParams::default()).await.expect("list").items.is_empty());
    let writes = thief.world.operator_writes(from, &owner.name);
    let foreign: Vec<_> = writes.iter().filter(|write| write.contains("secrets")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    thief.close().await;
    owner.close().await;
}
