//! What is secret, and what servers say, is written nowhere: not at the most talkative log level, not in objects, Events, metrics or the audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::forward::Rule;
use crate::operator::Operator;
use crate::tenant::{Tenant, uuid};
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, World, until};

/// What must be written nowhere, by what it is.
#[derive(Default)]
struct Canaries(BTreeMap<String, String>);

#[tokio::test]
async fn secrets_and_the_words_of_servers_are_written_nowhere() {
    let world = World::get();
    let _turn = world.alone().await;
    let operator = Operator::of(world);
    let log_from = world.text_log("WORLD_OPERATOR_LOG", u64::MAX).1;
    let audit_from = world.text_log("WORLD_AUDIT_LOG", u64::MAX).1;
    operator.start_at("trace");

    let mut canaries = Canaries::default();
    let mut tenants = Vec::new();
    for database in Database::BOTH {
        let tenant = Tenant::new(database, "leaks").await;
        succeed(&tenant, &mut canaries).await;
        fail(&tenant, &mut canaries).await;
        canaries.take_tokens(&tenant).await;
        tenants.push(tenant);
    }
    canaries.take_world(world);
    canaries.take_secrets_manager(world).await;

    let (log, _) = world.text_log("WORLD_OPERATOR_LOG", log_from);
    for word in ["DEBUG", "IdentityDenied", "ForeignAccount", "TlsVerificationFailed", "AdminLacksPrivilege"] {
        assert!(log.contains(word), "the log tells nothing of {word}: what is searched for is not there to be found");
    }
    let (audit, _) = world.text_log("WORLD_AUDIT_LOG", audit_from);
    let mut places = vec![("the operator's log", log), ("the audit log", audit), ("the metrics", metrics(world))];
    for tenant in &tenants {
        places.push(("objects and Events", objects(tenant).await));
    }
    let leaks = canaries.found_in(&places);
    assert!(leaks.is_empty(), "{leaks:#?}");
    for tenant in tenants {
        tenant.close().await;
    }
}

impl Canaries {
    fn add(&mut self, what: impl Into<String>, secret: &str) {
        assert!(secret.len() >= 8, "too short to be told from other text");
        self.0.insert(what.into(), secret.to_owned());
    }

    /// The tokens that stand in a tenant's Secrets now.
    async fn take_tokens(&mut self, tenant: &Tenant) {
        for secret in tenant.secrets().list(&ListParams::default()).await.expect("list Secrets") {
            let (name, uid) = (secret.name_any(), uuid());
            let token = String::from_utf8(secret.data.expect("data")["password"].0.clone()).expect("text");
            for part in ["X-Amz-Signature=", "X-Amz-Security-Token="] {
                let value =
                    token.split(part).nth(1).and_then(|rest| rest.split('&').next()).expect("a part of a token");
                let plain = percent_encoding::percent_decode_str(value).decode_utf8().expect("text").into_owned();
                self.add(format!("{part} of {name} {uid}, encoded"), value);
                self.add(format!("{part} of {name} {uid}"), &plain);
            }
            self.add(format!("token of {name} {uid}"), &token);
        }
    }

    /// What the world itself keeps secret: passwords, keys and sessions, and whatever begins as a ServiceAccount's token does.
    fn take_world(&mut self, world: &World) {
        for file in ["secrets.json", "auth.json"] {
            let text = std::fs::read_to_string(world.root().join("target/world").join(file)).expect(file);
            self.take_leaves(file, &serde_json::from_str(&text).expect("JSON"));
        }
        self.add("a ServiceAccount's token", "eyJhbGci");
    }

    /// The master users' passwords, as they are now.
    async fn take_secrets_manager(&mut self, world: &World) {
        let client = aws_sdk_secretsmanager::Client::new(&world.aws());
        let listed = client.list_secrets().send().await.expect("list secrets");
        for arn in listed.secret_list().iter().filter_map(|secret| secret.arn()) {
            let value = client.get_secret_value().secret_id(arn).send().await.expect("get secret");
            let value: Value = serde_json::from_str(value.secret_string().unwrap_or_default()).unwrap_or_default();
            if let Some(password) = value["password"].as_str() {
                self.add(format!("password in {arn}"), password);
            }
        }
    }

    fn take_leaves(&mut self, at: &str, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let is_secret = ["secret", "secretAccessKey", "sessionToken", "master", "rdsadmin", "legacy"];
            match value.as_str() {
                Some(secret) if is_secret.contains(&key.as_str()) => self.add(format!("{at} {key}"), secret),
                _ => self.take_leaves(&format!("{at} {key}"), value),
            }
        }
    }

    /// Where they are written: as they are, in base64 as Secrets are, or as the bytes that a Debug shows.
    fn found_in(&self, places: &[(&str, String)]) -> BTreeSet<String> {
        let mut leaks = BTreeSet::new();
        for (what, secret) in &self.0 {
            let base64 = serde_json::to_string(&ByteString(secret.as_bytes().to_vec())).expect("JSON");
            let bytes = format!("{:?}", &secret.as_bytes()[..8]);
            let forms = [secret.as_str(), base64.trim_matches(['"', '=']), bytes.trim_matches(['[', ']'])];
            for (place, text) in places {
                let at = forms.iter().find_map(|form| text.find(form));
                leaks.extend(at.map(|at| format!("{what} in {place}: {}", line_at(text, at))));
            }
        }
        leaks
    }
}

/// The beginning of the line that a place is in.
fn line_at(text: &str, at: usize) -> String {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].lines().next().unwrap_or_default().chars().take(300).collect()
}

/// A tenant for whom all goes well: a login, and a token that is renewed.
async fn succeed(tenant: &Tenant, canaries: &mut Canaries) {
    tenant.ready_pair("app", "app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    canaries.take_tokens(tenant).await;
    let before = tenant.secret("app").await["password"].clone();
    // Tokens that are signed within a second are the same.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    tenant.rotate("app").await;
    until("another token", SOON, || async { (tenant.secret("app").await["password"] != before).then_some(()) }).await;
}

/// Everything that goes wrong, with secrets and servers' words at hand.
async fn fail(tenant: &Tenant, canaries: &mut Canaries) {
    wrong_ca(tenant).await;
    denied_identity(tenant).await;
    foreign_account(tenant, canaries).await;
    refused_statement(tenant, canaries).await;
    refused_call(tenant, canaries, "iam:CreatePolicy", "policy").await;
    refused_call(tenant, canaries, "sts:AssumeRoleWithWebIdentity", "session").await;
    refused_write(tenant, canaries).await;
}

/// A server whose certificate comes from somebody else.
async fn wrong_ca(tenant: &Tenant) {
    let name = format!("{}-ca", tenant.name);
    let config_maps = Api::<ConfigMap>::namespaced(tenant.client.clone(), OPERATOR_NAMESPACE);
    let other = std::fs::read_to_string(tenant.world.var("WORLD_OTHER_CA")).expect("the other CA");
    let config_map = json!({"metadata": {"name": name}, "data": {"ca.crt": other}});
    let config_map = serde_json::from_value(config_map).expect("ConfigMap");
    config_maps.create(&PostParams::default(), &config_map).await.expect("create ConfigMap");
    let mut server = tenant.server();
    server["metadata"]["name"] = json!(name);
    server["spec"]["ca"]["configMap"]["name"] = json!(name);
    tenant.apply_server(server).await;
    until("the other CA is refused", SOON, || async {
        let server = serde_json::to_value(tenant.servers().get(&name).await.expect("get DbServer")).expect("JSON");
        server["status"]["conditions"].to_string().contains("TlsVerificationFailed").then_some(())
    })
    .await;
    tenant.delete(tenant.servers(), &name).await;
    config_maps.delete(&name, &DeleteParams::default()).await.expect("delete ConfigMap");
}

/// A ServiceAccount whose role trusts another.
async fn denied_identity(tenant: &Tenant) {
    tenant.create_service_account("stranger", &tenant.role_arn(&tenant.name)).await;
    let mut token = tenant.token("stranger", "app");
    token["spec"]["identity"]["serviceAccount"]["name"] = json!("stranger");
    tenant.apply::<DbAuthToken>(token).await;
    tenant.token_reason("stranger", "False", "IdentityDenied").await;
}

/// Somebody else's account, and the hash of its password.
async fn foreign_account(tenant: &Tenant, canaries: &mut Canaries) {
    let (username, password) = (tenant.username("foreign"), uuid());
    let create = format!("CREATE USER '{username}'@'%' IDENTIFIED BY '{password}'");
    tenant.world.root_sql(tenant.database, &create);
    let hash = format!("SELECT SUBSTR(HEX(authentication_string), 20, 40) FROM mysql.user WHERE User = '{username}'");
    canaries.add(format!("password of {username}"), &password);
    canaries.add(format!("hash of {username}"), &tenant.world.root_sql(tenant.database, &hash));
    tenant.apply::<IamDbUser>(tenant.user("foreign")).await;
    tenant.user_reason("foreign", "False", "ForeignAccount").await;
    tenant.world.root_sql(tenant.database, &format!("DROP USER '{username}'@'%'"));
}

/// A statement that the server refuses, in words that quote.
async fn refused_statement(tenant: &Tenant, canaries: &mut Canaries) {
    let words = canaries.words("the server's words for GRANT");
    let answer = json!({"status": 1227, "sqlState": "42000", "body": words});
    let rule = Rule::answer(tenant.world, tenant.database.identifier(), "^GRANT ", &answer);
    tenant.apply::<IamDbUser>(tenant.user("ungranted")).await;
    tenant.user_reason("ungranted", "False", "AdminLacksPrivilege").await;
    drop(rule);
    tenant.user_ready("ungranted").await;
}

/// A call that AWS refuses, in words that quote.
async fn refused_call(tenant: &Tenant, canaries: &mut Canaries, action: &str, name: &str) {
    let words = canaries.words(&format!("AWS's words for {action}"));
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{words}</Message></Error>\
         <RequestId>{}</RequestId></ErrorResponse>",
        uuid()
    );
    let refusal = Rule::answer(tenant.world, "aws", &format!("^{action}$"), &json!({"status": 403, "body": body}));
    let role = format!("{}-{name}", tenant.name);
    tenant.create_role(&role, name).await;
    tenant.create_service_account(name, &tenant.role_arn(&role)).await;
    let mut user = tenant.user(name);
    user["spec"]["principals"]["serviceAccounts"][0]["name"] = json!(name);
    let mut token = tenant.token(name, name);
    token["spec"]["identity"]["serviceAccount"]["name"] = json!(name);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(token).await;
    until(&format!("{action} is refused"), SOON, || async { (refusal.met().fired > 0).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(refusal);
    tenant.user_ready(name).await;
    tenant.token_ready(name).await;
}

/// A Secret, and a ServiceAccount's token, that the apiserver refuses, in words that quote.
async fn refused_write(tenant: &Tenant, canaries: &mut Canaries) {
    let words = canaries.words("the apiserver's words");
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": words});
    let pattern = format!("^POST /api/v1/namespaces/{}/(secrets|serviceaccounts/[^/]+/token)", tenant.name);
    let refusal =
        Rule::answer(tenant.world, "apiserver", &pattern, &json!({"status": 403, "body": status.to_string()}));
    let role = format!("{}-write", tenant.name);
    tenant.create_role(&role, "write").await;
    tenant.create_service_account("write", &tenant.role_arn(&role)).await;
    tenant.apply::<DbAuthToken>(tenant.token("secret", "app")).await;
    let mut token = tenant.token("write", "app");
    token["spec"]["identity"]["serviceAccount"]["name"] = json!("write");
    tenant.apply::<DbAuthToken>(token).await;
    tenant.token_reason("secret", "False", "RotationFailing").await;
    tenant.token_reason("write", "False", "IdentityDenied").await;
    drop(refusal);
    tenant.token_ready("secret").await;
    tenant.token_ready("write").await;
}

impl Canaries {
    /// Words that a server says, and nobody repeats.
    fn words(&mut self, whose: &str) -> String {
        let words = format!("canary {}", uuid());
        self.add(format!("{whose}, {words}"), &words);
        words
    }
}

/// All objects of ours and all Events of a tenant, with their metadata; of Secrets nothing but that.
async fn objects(tenant: &Tenant) -> String {
    let mut text = String::new();
    text += &all(&tenant.servers()).await;
    text += &all(&tenant.users()).await;
    text += &all(&tenant.tokens()).await;
    text += &all(&Api::<Event>::namespaced(tenant.client.clone(), &tenant.name)).await;
    text += &all(&Api::<Event>::namespaced(tenant.client.clone(), "default")).await;
    text += &all(&Api::<ServiceAccount>::namespaced(tenant.client.clone(), &tenant.name)).await;
    let secrets: Vec<Secret> = tenant.secrets().list(&ListParams::default()).await.expect("list Secrets").items;
    for secret in secrets {
        text += &serde_json::to_string(&secret.metadata).expect("JSON");
        text.push('\n');
    }
    text
}

async fn all<K>(api: &Api<K>) -> String
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let objects = api.list(&ListParams::default()).await.expect("list").items;
    objects.iter().map(|object| serde_json::to_string(object).expect("JSON") + "\n").collect()
}

/// What the operator tells a scraper.
fn metrics(world: &World) -> String {
    let output = std::process::Command::new("curl")
        .args(["--silent", "--fail", &format!("{}/metrics", world.var("WORLD_OPERATOR_URL"))])
        .output()
        .expect("curl");
    assert!(output.status.success(), "the operator serves metrics");
    String::from_utf8(output.stdout).expect("text")
}
