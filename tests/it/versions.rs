//! Upgrades and downgrades with live objects: what another version left is taken over, and nobody is without a token or an account meanwhile.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;

use crate::effects::Since;
use crate::operator::Operator;
use crate::switchover;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

const INPUTS: &str = "iamdb.dev/inputs";

/// Another version lays Secrets out in another way, says so by another digest of what went in, and writes more into marks than this one knows.
#[tokio::test]
async fn what_another_version_left_is_taken_over_without_a_gap() {
    let world = World::get();
    let _turn = world.alone().await;
    let tenant = Tenant::new(Database::Orders, "version").await;
    tenant.ready_pair("app", "app").await;
    let username = tenant.username("app");
    let (account, role) = (tenant.account(&username), tenant.role_arn(&tenant.name));
    let (attached, before) = (tenant.attached(&role).await, tenant.secret_object("app").await);

    let operator = Operator::of(world);
    world.control(&["operator", "--stop"]);
    let other = json!({
        "metadata": {"annotations": {INPUTS: "of-another-version", "iamdb.dev/later": "x"}, "labels": {"iamdb.dev/later": "x"}},
        "stringData": {"later": "a key of another version"},
    });
    tenant.merge(&tenant.secrets(), "app-db", other).await;
    let mut mark = switchover::mark(&tenant, &username);
    mark["later"] = json!({"a": 1});
    switchover::set_mark(&tenant, &username, &mark);
    tenant.log_in("app", "SELECT 1").await.expect("login while no version runs");

    let since = Since::now(world);
    operator.start();
    let is_rewritten = |it: &Secret| it.annotations().get(INPUTS) == before.annotations().get(INPUTS);
    let after = until("the Secret is as this version lays it out", SOON, || async {
        Some(tenant.secret_object("app").await).filter(is_rewritten)
    })
    .await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant.looked_at("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    assert_eq!(after.uid(), before.uid(), "it is the same Secret");
    let expires = |it: &Secret| it.annotations()["iamdb.dev/expires-at"].clone();
    assert!(expires(&after) >= expires(&before), "its end never goes back");
    let keys = |it: &Secret| it.data.clone().unwrap_or_default().into_keys().collect::<Vec<_>>();
    assert_eq!(keys(&after), keys(&before), "a key of another version is not kept");

    assert_eq!(tenant.account(&username), account);
    assert_eq!(tenant.attached(&role).await, attached);
    let changed = since.changes(world, tenant.database, &username);
    assert_eq!(changed, Vec::<String>::new(), "the account is left alone");
    let writes = since.requests_in(world, &tenant.name);
    let writes = writes.iter().filter(|it| it["objectRef"]["resource"] == "secrets" && it["verb"] != "watch");
    let verbs: Vec<_> = writes.map(|it| it["verb"].clone()).collect();
    assert_eq!(verbs, ["update"], "one write, and no read");
    drop(operator);
    tenant.close().await;
}
