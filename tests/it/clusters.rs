//! Operators of two clusters on one database: each with its own id, marks and policies, and neither touches what is the other's.

use std::time::Duration;

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::json;

use crate::effects::Since;
use crate::replica::Stage;
use crate::tenant::Tenant;
use crate::world::Database;

/// Longer than everything is looked at again, and shorter than any token lives.
const A_RESYNC: Duration = Duration::from_secs(40);

on_both!(two_clusters_on_one_database_do_not_fight,);

/// Two operators, each in a namespace of its own: to the database and to AWS they are two clusters.
async fn two_clusters_on_one_database_do_not_fight(database: Database) {
    let stage = Stage::set().await;
    let left = Tenant::new(database, "left").await;
    let right = Tenant::new(database, "right").await;
    let arguments = |tenant: &Tenant, id: &str| {
        ["--leader-election=false".to_owned(), format!("--namespaces={}", tenant.name), format!("--cluster-id={id}")]
    };
    let started = async |tenant: &Tenant, id: &str, port| {
        let arguments = arguments(tenant, id);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        stage.replica(&format!("cluster-{id}"), port, true, &arguments).await
    };
    let _first = started(&left, "left-hand", 8185).await;
    let _second = started(&right, "right-hand", 8186).await;

    left.ready_pair("app", "app").await;
    let theirs = left.username("app");
    let before = left.account(&theirs);
    // The same account is the other's, by its mark; the same principal is everybody's.
    let mut rival = right.user("rival");
    rival["spec"]["username"] = json!(theirs);
    right.apply::<IamDbUser>(rival).await;
    let message = right.user_reason("rival", "False", "Conflict").await;
    assert!(message.contains("left-hand"), "{message}");
    let mut shared = right.user("app");
    shared["spec"]["principals"]["arns"] = json!([left.role_arn(&left.name)]);
    right.apply::<IamDbUser>(shared).await;
    right.apply::<DbAuthToken>(right.token("app", "app")).await;
    right.user_ready("app").await;
    right.token_ready("app").await;
    left.log_in("app", "SELECT 1").await.expect("login");
    right.log_in("app", "SELECT 1").await.expect("login");
    let role = left.role_arn(&left.name);
    assert_eq!(left.attached(&role).await.len(), 2, "a policy of each cluster's");

    for tenant in [&left, &right] {
        stage.world.settled(&tenant.name).await;
    }
    let since = Since::now(stage.world);
    tokio::time::sleep(A_RESYNC).await;
    assert_eq!(since.writes(stage.world), Vec::<String>::new(), "neither undoes what the other did");

    right.delete(right.users(), "rival").await;
    right.delete(right.users(), "app").await;
    assert_eq!(left.account(&theirs), before);
    assert_eq!(left.attached(&role).await.len(), 1, "its own policy, and not the other's");
    left.log_in("app", "SELECT 1").await.expect("login");
    right.close().await;
    left.close().await;
}
