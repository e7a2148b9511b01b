//! A restart with many live tokens: all are scheduled again within seconds, and nothing is written.
//!
//! `make it` does it with few, `make soak` with two thousand.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use iamdb::api::{DbAuthToken, IamDbUser, Truth};
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;

use crate::effects::{Since, is_write};
use crate::replica::Stage;
use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, SOON, World, until};

/// Tokens, unless somebody says otherwise.
const TOKENS: usize = 200;

/// Accounts that they are for: ten Secrets share a token, or a hundred.
const USERS: usize = 20;

/// What it may take of one core until all are scheduled, from the start of the process; and by the clock, where others have the cores.
const SCHEDULED: Duration = Duration::from_secs(5);
const AT_LAST: Duration = Duration::from_secs(15);

/// How long is waited for a write that must not come.
const WATCHED: Duration = Duration::from_secs(15);

const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn live_tokens_are_scheduled_within_seconds_of_a_restart_and_none_is_written() {
    let world = World::get();
    let tokens = world.option("IAMDB_RESTART_TOKENS").map_or(TOKENS, |text| text.parse().expect("a number"));
    let stage = Stage::set().await;
    let mut replica = stage.replica("restart", 8181, true, &[]).await;
    let tenant = Tenant::bare(Database::Orders, "restart").await;
    tenant.apply_server(server(&tenant)).await;
    for number in 0..USERS {
        let mut user = tenant.user(&format!("u{number}"));
        user["spec"]["management"] = json!({"account": "External", "policy": "External"});
        for managed in ["grants", "principals"] {
            user["spec"].as_object_mut().expect("spec").remove(managed);
        }
        tenant.apply::<IamDbUser>(user).await;
    }
    make(&tenant, tokens).await;
    world.settled(&tenant.name).await;

    let all = until("metrics", SOON, || async { replica.tokens() }).await; // of other tests, too
    let since = Since::now(world);
    replica.signal("-KILL");
    assert!(!replica.ended().await, "it was killed");
    let started = Instant::now();
    replica.start_again();
    let scheduled = || async { replica.tokens().filter(|&count| count >= all) };
    until("all are scheduled", PATIENCE, scheduled).await;
    let (took, cpu) = (started.elapsed(), replica.cpu());
    eprintln!("{tokens} live tokens scheduled within {took:?} of the start, {cpu:?} of them on a core");
    tokio::time::sleep(WATCHED).await;
    let writes: Vec<_> = since.requests_in(world, &tenant.name).into_iter().filter(is_write).collect();
    let all = (DeleteParams::default(), ListParams::default());
    let api = tenant.tokens();
    api.delete_collection(&all.0, &all.1).await.expect("delete DbAuthTokens");
    tenant.secrets().delete_collection(&all.0, &all.1).await.expect("delete Secrets");
    until("all are gone", PATIENCE, || async {
        let left = api.list_metadata(&all.1.clone().limit(1)).await.expect("list DbAuthTokens");
        left.items.is_empty().then_some(())
    })
    .await;
    tenant.close().await;
    assert!(writes.is_empty(), "{} writes, the first: {}", writes.len(), writes[0]);
    assert!(cpu <= SCHEDULED && took <= AT_LAST, "all were scheduled after {took:?}, {cpu:?} of them on a core");
}

/// Makes so many tokens, and waits until all are ready.
async fn make(tenant: &Tenant, tokens: usize) {
    let making = Instant::now();
    let api = &tenant.tokens();
    stream::iter(0..tokens)
        .for_each_concurrent(16, |number| async move {
            let token = tenant.token(&format!("t{number}"), &format!("u{}", number % USERS));
            let token: DbAuthToken = serde_json::from_value(token).expect("DbAuthToken");
            api.create(&PostParams::default(), &token).await.expect("create DbAuthToken");
        })
        .await;
    let is_ready = |token: &DbAuthToken| {
        let conditions = token.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == Truth::True)
    };
    until("all tokens are ready", PATIENCE, || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let all = api.list(&ListParams::default()).await.expect("list DbAuthTokens");
        (all.iter().filter(|token| is_ready(token)).count() == tokens).then_some(())
    })
    .await;
    eprintln!("{tokens} tokens made in {:?}", making.elapsed());
}

/// A server described by hand: no database and no IAM, so that the tokens are all there is to do.
fn server(tenant: &Tenant) -> serde_json::Value {
    let mut server = tenant.server();
    let writer = json!({"host": tenant.world.host(tenant.database), "port": 3306});
    server["spec"]["source"] = json!({"type": "Static", "static": {
        "accountId": ACCOUNT, "resourceId": "db-RESTART0000000000000000001", "engine": "mysql", "writer": writer}});
    server["spec"].as_object_mut().expect("spec").remove("admin");
    server
}
