//! Accounts on the world's MySQL: how fast the operator makes them for IamDbUsers that are all there, beside one bare connection that makes the same.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use iamdb::api::{DbServer, IamDbUser, Truth};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::figures::Accounts;
use crate::fleet::{create, each};
use crate::plane::Plane;
use crate::world::Database;

const NAME: &str = "bench-accounts";
const NAMESPACES: usize = 10;
const USERS: usize = 500;

/// Statements that the client takes at once are an argument, which the kernel limits.
const AT_ONCE: usize = 100;

const PATIENCE: Duration = Duration::from_secs(300);

/// Makes the objects, starts the operator, waits until all accounts are told of as made, and takes all away again.
pub async fn measure(plane: &Plane) -> Accounts {
    println!("==> {USERS} accounts on MySQL");
    // As on RDS; the world's databases do without, since they are thrown away.
    plane.world.root_sql(Database::Orders, "SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    let bare = bare(plane);
    make(plane).await;
    let mut meter = plane.meter(None);
    let operator = plane.operator();
    meter.watch(&operator);
    until(plane, |users| users.iter().all(is_ready)).await;
    meter.look();
    let mut told = HashMap::new();
    for request in meter.operators().filter(|it| it.kind() == "patch iamdbusers/status") {
        told.insert(request.object(), request.at); // the last counts
    }
    let (first, last) = (told.values().min(), told.values().max());
    let seconds = first.zip(last).map_or(0.0, |(first, last)| last.duration_since(*first).as_secs_f64());
    let writes = meter.operators().filter(|it| it.is_write()).count() as f64 / USERS as f64;
    let accounts = Accounts {
        users: USERS,
        rate: USERS as f64 / seconds,
        bare,
        writes,
        operator_ms: meter.cpu().operator * 1_000.0 / USERS as f64,
    };
    println!("    {accounts:.2?}");
    remove(plane, (0..NAMESPACES).map(namespace).collect(), &[NAME.to_owned()]).await;
    plane.world.root_sql(Database::Orders, "SET GLOBAL innodb_flush_log_at_trx_commit = 0");
    accounts
}

/// Accounts a second of one connection that makes and drops the same accounts and does nothing else.
fn bare(plane: &Plane) -> f64 {
    let run = |statement: &dyn Fn(usize) -> String| {
        for begin in (0..USERS).step_by(AT_ONCE) {
            let all: String = (begin..begin + AT_ONCE).map(statement).collect();
            plane.world.root_sql(Database::Orders, &all);
        }
    };
    let started = Instant::now();
    run(&|at| {
        let account = format!("'bare_{at}'@'%'");
        let create = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL ATTRIBUTE '{\"bench\": \"bare\"}'";
        format!("CREATE USER {account} {create}; GRANT SELECT ON orders.* TO {account};")
    });
    let seconds = started.elapsed().as_secs_f64();
    run(&|at| format!("DROP USER 'bare_{at}'@'%';"));
    USERS as f64 / seconds
}

async fn make(plane: &Plane) {
    make_server(plane, NAME, "orders").await;
    let namespaces = Api::<Namespace>::all(plane.client.clone());
    each(0..NAMESPACES, async |at| create(&namespaces, json!({"metadata": {"name": namespace(at)}})).await).await;
    each(0..USERS, async |at| make_user(plane, &namespace(at % NAMESPACES), NAME, at).await).await;
}

/// Makes a DbServer of one of the world's DB instances.
pub async fn make_server(plane: &Plane, name: &str, identifier: &str) {
    let server = json!({
        "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": name},
        "spec": {
            "region": "us-east-1",
            "source": {"type": "DbInstance", "dbInstance": {"identifier": identifier}},
            "admin": {"type": "MasterUserSecret"},
            "ca": {"type": "ConfigMap", "configMap": {"name": "world-ca", "key": "ca.crt"}},
            "tenancy": [{"name": "all", "namespaces": {"selector": {}}, "usernames": ["bench_*"],
                "databases": ["orders"], "privileges": ["SELECT"], "hosts": ["%"]}],
        }
    });
    let servers = Api::<DbServer>::all(plane.client.clone());
    let server: DbServer = serde_json::from_value(server).expect("DbServer");
    servers.patch(name, &PatchParams::apply(NAME).force(), &Patch::Apply(&server)).await.expect("DbServer");
}

/// Makes a user of that server, with one grant.
pub async fn make_user(plane: &Plane, namespace: &str, server: &str, at: usize) {
    let user = json!({
        "metadata": {"name": format!("u-{at}")},
        "spec": {
            "serverRef": {"name": server}, "username": format!("bench_{at}"),
            "grants": [{"database": "orders", "objectType": "Schema", "object": "*", "privileges": ["SELECT"]}],
        }
    });
    create(&Api::<IamDbUser>::namespaced(plane.client.clone(), namespace), user).await;
}

/// Removes all users there are, and these namespaces and DbServers; the operator has to run.
pub async fn remove(plane: &Plane, namespaces: Vec<String>, servers: &[String]) {
    let users = Api::<IamDbUser>::all(plane.client.clone()).list(&ListParams::default()).await.expect("users");
    stream::iter(users)
        .for_each_concurrent(16, |user| async move {
            let namespace = user.metadata.namespace.as_deref().unwrap_or_default();
            let api = Api::<IamDbUser>::namespaced(plane.client.clone(), namespace);
            api.delete(user.metadata.name.as_deref().unwrap_or_default(), &DeleteParams::default())
                .await
                .expect("delete");
        })
        .await;
    until(plane, <[IamDbUser]>::is_empty).await;
    plane.remove_namespaces(namespaces).await;
    for server in servers {
        let all = Api::<DbServer>::all(plane.client.clone());
        all.delete(server, &DeleteParams::default()).await.expect("delete DbServer");
    }
}

/// Waits until all users there are, are so.
pub async fn until(plane: &Plane, is_so: impl Fn(&[IamDbUser]) -> bool) {
    let (users, started) = (Api::<IamDbUser>::all(plane.client.clone()), Instant::now());
    while !is_so(&users.list(&ListParams::default()).await.expect("users").items) {
        assert!(started.elapsed() < PATIENCE, "the accounts take longer than {PATIENCE:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Whether it says so.
pub fn is_ready(user: &IamDbUser) -> bool {
    let conditions = user.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == Truth::True)
}

fn namespace(at: usize) -> String {
    format!("{NAME}-{at}")
}
