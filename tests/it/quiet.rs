//! A world in which all is as it shall be is left alone: it is looked at again and again, and nothing is written.

use std::time::Duration;

use futures::future::join_all;
use iamdb::api::{DbAuthToken, IamDbUser};
use kube::api::{Api, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::effects::Since;
use crate::operator::Operator;
use crate::tenant::{Tenant, uuid};
use crate::world::{Database, SOON, World, until};

/// Users and tokens on each database.
const PAIRS: [&str; 3] = ["one", "two", "three"];

/// How long is waited for a write that must not come. The world's operator looks at everything again every 24 to 36 seconds anyway.
const WATCHED: Duration = Duration::from_secs(8);

#[tokio::test]
async fn what_is_as_it_shall_be_is_not_written() {
    let world = World::get();
    let _turn = world.alone().await;
    let since = Since::now(world);
    let tenants = join_all(Database::BOTH.map(|database| Tenant::new(database, "quiet"))).await;
    for tenant in &tenants {
        join_all(PAIRS.map(|name| tenant.ready_pair(name, name))).await;
    }
    assert_all_is_counted(&since.writes(world));
    // Whatever follows the last status: Events, echoes.
    for tenant in &tenants {
        world.settled(&tenant.name).await;
    }

    let since = Since::now(world);
    join_all(tenants.iter().map(touch_all)).await;
    all_are_looked_at(world, since, "after a touch").await;
    tokio::time::sleep(WATCHED).await;
    assert_eq!(since.writes(world), Vec::<String>::new(), "after a touch of every object");

    let operator = Operator::of(world);
    let since = Since::now(world);
    operator.start();
    all_are_looked_at(world, since, "after a restart").await;
    tokio::time::sleep(WATCHED).await;
    assert_eq!(since.writes(world), Vec::<String>::new(), "after a restart");

    let since = Since::now(world);
    operator.kill();
    operator.start();
    all_are_looked_at(world, since, "after a death").await;
    tokio::time::sleep(WATCHED).await;
    assert_eq!(since.writes(world), Vec::<String>::new(), "after a death");
    for tenant in tenants {
        tenant.close().await;
    }
}

/// The counters count: whatever a tenant needs was seen.
fn assert_all_is_counted(writes: &[String]) {
    for kind in [
        "dbservers/",
        "iamdbusers/",
        "dbauthtokens/",
        "/secrets",
        "iam:CreatePolicy",
        "CREATE USER",
        "GRANT",
        "INSERT INTO",
    ] {
        assert!(writes.iter().any(|write| write.contains(kind)), "no {kind} among {writes:#?}");
    }
}

/// Silence proves something only if every account was looked at.
async fn all_are_looked_at(world: &World, since: Since, when: &str) {
    for database in Database::BOTH {
        until(&format!("{when}, {database:?}: all accounts are looked at"), SOON, || async {
            let statements = since.statements(world, database);
            let looks = statements.iter().filter(|it| it.contains(" FROM mysql.")).count();
            (looks >= PAIRS.len()).then_some(())
        })
        .await;
    }
}

/// Makes the operator look at every object of a tenant.
async fn touch_all(tenant: &Tenant) {
    touch(&tenant.servers(), &tenant.name).await;
    for name in PAIRS {
        touch::<IamDbUser>(&tenant.users(), name).await;
        touch::<DbAuthToken>(&tenant.tokens(), name).await;
    }
}

async fn touch<K>(api: &Api<K>, name: &str)
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({"metadata": {"annotations": {"iamdb.dev/look-at": uuid()}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("annotate");
}
