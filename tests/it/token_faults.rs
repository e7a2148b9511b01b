//! Faults that tokens meet at the apiserver, at STS and around their Secrets: what lives stays, what stands in the way is told, and when it goes all
//! comes right. The list is in docs/faults.md.

use std::time::{Duration, Instant};

use futures::future::join_all;
use iamdb::api::{DbAuthToken, ISSUED_AT_ANNOTATION, IamDbUser};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ResourceQuota, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::aws::{Fault, Lives};
use crate::effects::{Since, is_write};
use crate::forward::{Rule, refusal};
use crate::operator::Operator;
use crate::tenant::{Tenant, instant, now};
use crate::world::{Database, SOON, World, until};

/// How the namespaces begin in which the apiserver refuses the operator something for real.
pub const REFUSED: &str = "t-refused-";

/// A rotation that nothing stands in the way of has come by then.
const AT_ONCE: Duration = Duration::from_secs(10);

fn password(secret: &Secret) -> &[u8] {
    &secret.data.as_ref().expect("data")["password"].0
}

/// A further token, `late`, signed by a ServiceAccount and a role of its own: nobody has a session of it yet.
async fn stranger(tenant: &Tenant) {
    let role = format!("{}-late", tenant.name);
    tenant.create_role(&role, "late").await;
    tenant.create_service_account("late", &tenant.role_arn(&role)).await;
    let mut user = tenant.user("app");
    user["spec"]["principals"]["serviceAccounts"] = json!([{"name": "app"}, {"name": "late"}]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    let mut token = tenant.token("late", "app");
    token["spec"]["identity"]["serviceAccount"]["name"] = json!("late");
    tenant.apply::<DbAuthToken>(token).await;
}

#[tokio::test]
async fn a_secret_that_somebody_else_keeps_writing_is_rotated_all_the_same() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "storm").await;
    tenant.ready_pair("app", "app").await;
    let since = Since::now(tenant.world);
    let written = std::cell::Cell::new(0);
    let storm = async {
        loop {
            let note = json!({"metadata": {"annotations": {"example.com/note": written.get().to_string()}}});
            tenant.merge(&tenant.secrets(), "app-db", note).await;
            written.set(written.get() + 1);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let rotations = async {
        for _ in 0..4 {
            tenant.rotated("app", SOON).await;
        }
    };
    tokio::select! {
        () = storm => {}
        () = rotations => {}
    }
    let about = since.requests_in(tenant.world, &tenant.name);
    let writes = about.iter().filter(|it| is_write(it) && it["responseStatus"]["code"] == 200).count();
    eprintln!(
        "{} writes by somebody else, {} requests of the operator, {writes} of them writes",
        written.get(),
        about.len()
    );
    assert!(written.get() > 20, "it was no storm");
    // A look at each foreign write, and for each rotation a write that may fail twice.
    assert!(about.len() <= written.get() + 40 && writes <= 12, "{} requests, {writes} writes", about.len());
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn a_secret_made_immutable_or_of_another_type_is_told_and_left() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "refused").await;
    tenant.ready_pair("app", "app").await;
    let immutable = tenant.merge(&tenant.secrets(), "app-db", json!({"immutable": true})).await;
    tenant.rotate("app").await;
    let message = tenant.token_reason("app", "False", "RotationFailing").await;
    assert!(message.contains("422"), "{message}");
    assert_eq!(tenant.secret_object("app").await.resource_version(), immutable.resource_version());

    // Of another type, and still with this owner: no label says whose it is.
    let posts = format!("^POST /api/v1/namespaces/{}/secrets", tenant.name);
    let refusing = Rule::answer(tenant.world, "apiserver", &posts, &refusal(503, "ServiceUnavailable", 0));
    tenant.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete Secret");
    let opaque = json!({
        "metadata": {"name": "app-db", "ownerReferences": immutable.metadata.owner_references},
        "type": "Opaque", "stringData": {"password": "theirs"},
    });
    let opaque = serde_json::from_value(opaque).expect("Secret");
    let opaque = tenant.secrets().create(&PostParams::default(), &opaque).await.expect("create Secret");
    drop(refusing);
    until("the type is refused", SOON, || async {
        let token = tenant.tokens().get("app").await.expect("token").status.expect("status");
        token.conditions.iter().any(|it| it.reason == "RotationFailing" && it.message.contains("422")).then_some(())
    })
    .await;
    assert_eq!(tenant.secret_object("app").await.resource_version(), opaque.resource_version());
    tenant.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete Secret");
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn no_foreign_secret_of_any_kind_is_touched() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "kinds").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let owner: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "owner"}})).expect("ConfigMap");
    let owners = Api::<ConfigMap>::namespaced(tenant.client.clone(), &tenant.name);
    let owner = owners.create(&PostParams::default(), &owner).await.expect("create ConfigMap");
    let reference =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid(), "controller": true}]);
    let helm = json!({"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": tenant.name});
    let kinds = [
        ("helms", json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": helm}})),
        ("controlled", json!({"metadata": {"ownerReferences": reference}})),
        ("immutable", json!({"immutable": true})),
        ("alike", json!({"type": "servicebinding.io/mysql", "stringData": {"type": "mysql", "password": "theirs"}})),
        (
            "session",
            json!({"type": "kubernetes.io/service-account-token", "metadata": {"annotations": {"kubernetes.io/service-account.name": "app"}}}),
        ),
        (
            "basic",
            json!({"type": "kubernetes.io/basic-auth", "stringData": {"username": "them", "password": "theirs"}}),
        ),
    ];
    for (kind, secret) in &kinds {
        let mut secret = secret.clone();
        secret["metadata"]["name"] = json!(format!("{kind}-db"));
        let secret = serde_json::from_value(secret).expect("Secret");
        tenant.secrets().create(&PostParams::default(), &secret).await.expect("create Secret");
    }
    until("the token of a ServiceAccount is filled in", SOON, || async {
        tenant.secret_object("session").await.data.filter(|data| data.contains_key("token"))
    })
    .await;
    let whole = || async {
        let secrets = join_all(kinds.iter().map(|(kind, _)| tenant.secret_object(kind))).await;
        secrets.into_iter().map(|secret| serde_json::to_value(&secret).expect("JSON")).collect::<Vec<_>>()
    };
    let before = whole().await;
    join_all(kinds.iter().map(|(kind, _)| tenant.apply::<DbAuthToken>(tenant.token(kind, "app")))).await;
    for (kind, _) in &kinds {
        tenant.token_reason(kind, "False", "ForeignSecret").await;
        tenant.rotate(kind).await; // one more attempt
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(whole().await, before, "resource versions included");
    for (kind, _) in &kinds {
        tenant.delete(tenant.tokens(), kind).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(whole().await, before, "they stay when the tokens go");
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_quota_and_a_policy_that_refuse_the_secret_are_told_and_waited_out() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "refused").await;
    assert!(tenant.name.starts_with(REFUSED));
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let quotas = Api::<ResourceQuota>::namespaced(tenant.client.clone(), &tenant.name);
    let hard = json!({"secrets": "0"});
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": hard}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).expect("quota")).await.expect("create quota");
    // No controller counts here: that none is used stands in the status only if somebody writes it.
    let counted = json!({"status": {"hard": hard, "used": {"secrets": "0"}}});
    quotas.patch_status("none", &PatchParams::default(), &Patch::Merge(&counted)).await.expect("quota status");
    until("the quota holds", SOON, || async { (!may_create_a_secret(&tenant).await).then_some(()) }).await;
    let since = Since::now(tenant.world);
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    let message = tenant.token_reason("app", "False", "RotationFailing").await;
    assert!(message.contains("create the Secret") && message.contains("403"), "{message}");
    tokio::time::sleep(Duration::from_secs(12)).await;
    // At once, after 5 s, after 10 s more.
    let tries = since
        .requests_in(tenant.world, &tenant.name)
        .iter()
        .filter(|it| it["objectRef"]["resource"] == "secrets")
        .count();
    assert!(tries <= 4, "{tries} tries in 12 s");
    quotas.delete("none", &DeleteParams::default()).await.expect("delete quota");
    tenant.token_ready("app").await;

    let policies = Api::<ValidatingAdmissionPolicy>::all(tenant.client.clone());
    let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(tenant.client.clone());
    let policy = json!({"metadata": {"name": tenant.name}, "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]},
        "validations": [{"expression": "false", "message": "nobody writes here"}]}});
    let binding = json!({"metadata": {"name": tenant.name}, "spec": {
        "policyName": tenant.name, "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"tenant": tenant.name}}}}});
    policies.create(&PostParams::default(), &serde_json::from_value(policy).expect("policy")).await.expect("policy");
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).expect("binding")).await.expect("binding");
    until("the policy holds", SOON, || async { (!may_create_a_secret(&tenant).await).then_some(()) }).await;
    let before = tenant.secret_object("app").await;
    tenant.rotate("app").await;
    let message = tenant.token_reason("app", "False", "RotationFailing").await;
    assert!(!message.contains("nobody writes here"), "the words of the policy: {message}");
    assert_eq!(tenant.secret_object("app").await.resource_version(), before.resource_version());
    tenant.log_in("app", "SELECT 1").await.expect("the old token lives");
    bindings.delete(&tenant.name, &DeleteParams::default()).await.expect("delete binding");
    policies.delete(&tenant.name, &DeleteParams::default()).await.expect("delete policy");
    tenant.token_ready("app").await;
    assert_ne!(tenant.secret_object("app").await.resource_version(), before.resource_version());
    tenant.close().await;
}

async fn may_create_a_secret(tenant: &Tenant) -> bool {
    let secret = serde_json::from_value(json!({"metadata": {"name": "probe"}})).expect("Secret");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    tenant.secrets().create(&dry, &secret).await.is_ok()
}

#[tokio::test]
async fn while_the_token_of_a_service_account_is_refused_what_lives_stays() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "shut").await;
    tenant.ready_pair("app", "app").await;
    let before = tenant.secret_object("app").await;
    let tokens = format!("^POST /api/v1/namespaces/{}/serviceaccounts/[^/]+/token", tenant.name);
    let refusing = Rule::answer(tenant.world, "apiserver", &tokens, &refusal(403, "Forbidden", 0));
    stranger(&tenant).await;
    let message = tenant.token_reason("late", "False", "IdentityDenied").await;
    assert!(message.contains("create serviceaccounts/token") && message.contains("403"), "{message}");
    tenant.token_ready("app").await;
    assert_eq!(tenant.secret_object("app").await.resource_version(), before.resource_version());
    tenant.rotated("app", AT_ONCE).await; // by the session that there is
    drop(refusing);
    tenant.token_ready("late").await;
    tenant.log_in("late", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn an_apiserver_that_asks_for_patience_is_given_it() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "patience").await;
    tenant.ready_pair("app", "app").await;
    let writes = format!("^PUT /api/v1/namespaces/{}/secrets/app-db", tenant.name);
    let refusing = Rule::answer(tenant.world, "apiserver", &writes, &refusal(429, "TooManyRequests", 12));
    tenant.rotate("app").await;
    until("it is asked for patience", SOON, || async { (refusing.met().fired > 0).then_some(()) }).await;
    let asked = Instant::now();
    until("the next try", SOON, || async { (refusing.met().fired > 1).then_some(()) }).await;
    assert!(asked.elapsed() >= Duration::from_secs(8), "again after {:?}", asked.elapsed());
    drop(refusing);
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");

    // An overloaded apiserver is asked less and less often, and nothing is lost.
    let refusing = Rule::answer(tenant.world, "apiserver", &writes, &refusal(500, "InternalError", 0));
    let before = tenant.secret_object("app").await;
    tenant.rotate("app").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let tries = refusing.met().fired;
    drop(refusing);
    assert!((1..=4).contains(&tries), "{tries} tries in 20 s");
    until("a new token", SOON, || async {
        (password(&tenant.secret_object("app").await) != password(&before)).then_some(())
    })
    .await;
    tenant.token_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "rights").await;
    tenant.ready_pair("app", "app").await;
    let at = format!("/api/v1/namespaces/{}/secrets", tenant.name);
    for (method, named) in [("POST", "create the Secret"), ("PUT", "update the Secret"), ("GET", "get the Secret")] {
        let refusing =
            Rule::answer(tenant.world, "apiserver", &format!("^{method} {at}"), &refusal(403, "Forbidden", 0));
        let token = match method {
            "POST" => {
                tenant.apply::<DbAuthToken>(tenant.token("late", "app")).await;
                "late"
            }
            _ => "app",
        };
        if method == "GET" {
            // Somebody else's write is looked at before anything is written over it.
            tenant.merge(&tenant.secrets(), "app-db", json!({"stringData": {"more": "keys"}})).await;
        }
        tenant.rotate(token).await;
        let message = tenant.token_reason(token, "False", "RotationFailing").await;
        assert!(message.contains(named) && message.contains("403"), "{method}: {message}");
        drop(refusing);
        tenant.token_ready(token).await;
    }
    tenant.close().await;
}

#[tokio::test]
async fn a_namespace_that_goes_amid_any_write_is_gone_for_good() {
    let _turn = World::get().together().await;
    let steps = ["POST .*/serviceaccounts/app/token", "POST .*/secrets", "PATCH .*/dbauthtokens/app/status"];
    join_all(steps.map(|step| async move {
        let tenant = Tenant::new(Database::Orders, "going").await;
        tenant.apply::<IamDbUser>(tenant.user("app")).await;
        tenant.user_ready("app").await;
        let (method, path) = step.split_once(" .*").expect("a step");
        let pattern = format!("^{method} .*/namespaces/{}{path}", tenant.name);
        let held = Rule::arm(tenant.world, "hold", &pattern, 1, 1);
        tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
        until(step, SOON, || async { (held.met().fired > 0).then_some(()) }).await;
        let namespaces = Api::<Namespace>::all(tenant.client.clone());
        namespaces.delete(&tenant.name, &DeleteParams::default()).await.expect("delete Namespace");
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
        until(&format!("the namespace is gone, amid {step}"), SOON, || async {
            namespaces.get_opt(&tenant.name).await.expect("get Namespace").is_none().then_some(())
        })
        .await;
        // What was on its way may still come.
        let (since, gone) = (Since::now(tenant.world), now() + jiff::SignedDuration::from_secs(3));
        tokio::time::sleep(Duration::from_secs(15)).await;
        let received = |it: &Value| it["requestReceivedTimestamp"].as_str().and_then(|at| at.parse().ok());
        let is_late = |it: &Value| received(it).is_none_or(|at: jiff::Timestamp| at > gone);
        let requests = since.requests_in(tenant.world, &tenant.name).into_iter();
        let writes: Vec<_> = requests.filter(|it| is_write(it) && is_late(it)).collect();
        assert_eq!(writes, Vec::<Value>::new(), "after {step}");
        tenant.close().await;
    }))
    .await;
}

#[tokio::test]
async fn while_a_database_is_down_its_tokens_rotate() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Billing, "down").await;
    tenant.ready_pair("app", "app").await;
    let down = Rule::arm_at(tenant.world, "billing", "^CONNECT$", "refuse");
    tenant.world.ask("WORLD_FORWARD", "POST", "/close", &json!({"target": "billing"}));
    tenant.look_at_server().await;
    tenant.server_condition("AdminReachable", "False", "Unreachable").await;
    for _ in 0..2 {
        tenant.rotated("app", AT_ONCE).await;
    }
    tenant.token_ready("app").await;
    drop(down);
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn an_sts_that_takes_a_minute_holds_up_nobody_else() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "slow").await;
    tenant.ready_pair("app", "app").await;
    let slow = Fault::arm(&json!({"service": "sts", "delay": 60, "times": 1000}));
    stranger(&tenant).await;
    until("it is asked", SOON, || async { (slow.fired() > 0).then_some(()) }).await;
    for _ in 0..3 {
        tenant.rotated("app", AT_ONCE).await;
    }
    assert!(tenant.secrets().get_opt("late-db").await.expect("get").is_none(), "nobody waited for it");
    drop(slow);
    tenant.token_ready("late").await;
    tenant.log_in("late", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn sessions_that_are_too_short_are_told_and_shorter_ones_than_usual_claim_no_more() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Billing, "short").await;
    tenant.ready_pair("app", "app").await;
    let short = Lives::limit(&tenant.name, &[600, 60, 1]);
    stranger(&tenant).await;
    let message = tenant.token_reason("late", "False", "SessionTooShort").await;
    assert!(message.contains("an hour"), "{message}");
    assert!(tenant.secrets().get_opt("late-db").await.expect("get").is_none(), "nothing is signed with them");
    short.become_these(&tenant.name, &[885]);
    tenant.token_ready("late").await;
    let secret = tenant.secret_object("late").await;
    let life = instant(&secret, "iamdb.dev/expires-at").duration_since(instant(&secret, ISSUED_AT_ANNOTATION));
    assert!(life.as_secs() <= 855, "a token of {life} by a session of 885 s");
    tenant.log_in("late", "SELECT 1").await.expect("login");
    drop(short);
    tenant.token_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_watch_that_breaks_and_must_begin_anew_misses_nothing() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "watch").await;
    tenant.ready_pair("app", "app").await;
    let watches = r"^GET /api/v1/secrets\?.*watch=";
    let close =
        || tenant.world.ask("WORLD_FORWARD", "POST", "/close", &json!({"target": "apiserver", "match": "watch="}));
    // It ends amid the stream, and somebody writes before it is back.
    close();
    let edited = tenant.merge(&tenant.secrets(), "app-db", json!({"stringData": {"password": "wrong"}})).await;
    until("repair", SOON, || async {
        let secret = tenant.secret_object("app").await;
        (secret.resource_version() != edited.resource_version() && password(&secret) != b"wrong").then_some(())
    })
    .await;
    // What it knew is too old: it lists anew, and finds that something is gone.
    let mut gone = refusal(410, "Expired", 0);
    gone["times"] = json!(1);
    let expired = Rule::answer(tenant.world, "apiserver", watches, &gone);
    close();
    let before = tenant.secret_object("app").await;
    tenant.secrets().delete("app-db", &DeleteParams::default()).await.expect("delete Secret");
    until("the Secret again", SOON, || async {
        let secret = tenant.secrets().get_opt("app-db").await.expect("get Secret");
        secret.filter(|secret| secret.uid() != before.uid())
    })
    .await;
    assert_eq!(expired.met().fired, 1, "no watch was told that it is too old");
    // For as long as none can be begun, rotation does without.
    let silent = Rule::answer(tenant.world, "apiserver", watches, &refusal(503, "ServiceUnavailable", 0));
    close();
    tenant.rotated("app", SOON).await;
    drop((expired, silent));
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn a_token_made_again_unseen_has_a_secret_of_its_own() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "again").await;
    tenant.ready_pair("app", "app").await;
    let first = tenant.secret_object("app").await;
    let operator = Operator::of(tenant.world);
    tenant.world.control(&["operator", "--stop"]);
    tenant.delete(tenant.tokens(), "app").await;
    let again = tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    operator.start();
    tenant.token_ready("app").await;
    let secret = tenant.secret_object("app").await;
    assert_eq!(secret.owner_references()[0].uid, again.uid().expect("uid"));
    assert_ne!(secret.uid(), first.uid());
    tenant.log_in("app", "SELECT 1").await.expect("login");
    drop(operator);
    tenant.close().await;
}
