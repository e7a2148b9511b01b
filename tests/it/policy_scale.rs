//! Many users of one principal: the work grows with the changes, not with the users.

use std::time::Instant;

use futures::future::join_all;
use iamdb::api::IamDbUser;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::effects::Since;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

const USERS: usize = 200;

#[tokio::test]
async fn users_that_are_made_at_once_share_their_writes() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::bare(Database::Orders, "scale").await;
    let names: Vec<String> = (0..USERS).map(|number| format!("u{number:03}")).collect();
    // Somebody else makes the accounts, so that what is measured is IAM alone: the database takes one session at a time.
    let user = |name: &str| {
        let mut user = tenant.user(name);
        user["spec"]["management"] = json!({"account": "External"});
        user
    };
    join_all(names.iter().map(|name| tenant.apply::<IamDbUser>(user(name)))).await;
    // All of them wait for it, so that they come at once however fast they were applied.
    let (since, started) = (Since::now(tenant.world), Instant::now());
    tenant.apply_server(tenant.server()).await;
    for name in &names {
        tenant.user_ready(name).await;
    }
    let writes: Vec<_> = since.writes(tenant.world).into_iter().filter(|line| line.starts_with("iam:")).collect();
    let created = writes.iter().filter(|line| *line == "iam:CreatePolicy").count();
    eprintln!("{USERS} users in {:?}: {} IAM writes, {created} policies", started.elapsed(), writes.len());
    assert_eq!(tenant.allowed(&tenant.name).await.len(), USERS);
    assert_eq!(created, tenant.attached(&tenant.role_arn(&tenant.name)).await.len());
    assert!(writes.len() < USERS / 2, "{} writes for {USERS} users", writes.len());
    let everything = ListParams::default();
    tenant.users().delete_collection(&DeleteParams::default(), &everything).await.expect("delete all");
    until("all users are gone", 3 * SOON, || async {
        tenant.users().list(&everything).await.expect("list").items.is_empty().then_some(())
    })
    .await;
    tenant.close().await;
}
