//! Many IamDbUsers on one server: few connections, one read for all, and no harm to others from a server that does not answer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use iamdb::api::{IamDbUser, Truth};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::effects::{entry, is_harmless};
use crate::forward::Rule;
use crate::tenant::Tenant;
use crate::world::{Database, World, until};

/// IamDbUsers on the server.
const MANY: usize = 500;

const PATIENCE: Duration = Duration::from_secs(300);

/// An IamDbUser that nobody may use yet: here the database is what matters.
fn user(tenant: &Tenant, n: usize) -> Value {
    let mut user = tenant.user(&format!("u{n}"));
    user["spec"].as_object_mut().expect("spec").remove("principals");
    user["spec"]["onUnreachable"] = json!({"action": "Orphan", "after": "1s"});
    user
}

async fn make(tenant: &Tenant, numbers: std::ops::Range<usize>) {
    stream::iter(numbers)
        .for_each_concurrent(16, |n| async move { drop(tenant.apply::<IamDbUser>(user(tenant, n)).await) })
        .await;
}

async fn ready(tenant: &Tenant) -> usize {
    let users = tenant.users().list(&ListParams::default()).await.expect("list IamDbUsers");
    let is_ready = |user: &IamDbUser| {
        let conditions = user.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == Truth::True)
    };
    users.iter().filter(|user| is_ready(user)).count()
}

/// What the operator's sessions did: how many were open at a time, and the statements of each.
#[derive(Debug, Default)]
struct Sessions {
    at_a_time: usize,
    statements: Vec<Vec<String>>,
}

fn sessions(world: &World, database: Database, from: u64) -> (Sessions, u64) {
    let (text, end) = world.text_log(database.log(), from);
    let (mut seen, mut open) = (Sessions::default(), HashMap::new());
    for (id, command, argument) in text.lines().filter_map(entry) {
        match command {
            "Connect" if argument.starts_with("admin@") => {
                open.insert(id, seen.statements.len());
                seen.statements.push(Vec::new());
                seen.at_a_time = seen.at_a_time.max(open.len());
            }
            "Quit" => drop(open.remove(id)),
            "Query" | "Execute" => {
                if let Some(&session) = open.get(id) {
                    seen.statements[session].push(argument.to_owned());
                }
            }
            _ => {}
        }
    }
    (seen, end)
}

#[tokio::test]
async fn many_users_of_a_server_are_served_by_few_connections_and_judged_by_one_read() {
    let world = World::get();
    let _turn = world.alone().await;
    let database = Database::Orders;
    let tenant = Tenant::new(database, "many").await;
    tenant.server_reason("True", "Ready").await;
    let (from, started) = (world.log_end(database.log()), Instant::now());
    make(&tenant, 0..MANY).await;
    until("all are ready", PATIENCE, || async { (ready(&tenant).await == MANY).then_some(()) }).await;
    let took = started.elapsed();
    let (made, from) = sessions(world, database, from);
    eprintln!(
        "{MANY} users in {took:?}: {} sessions, {} at a time, {} statements",
        made.statements.len(),
        made.at_a_time,
        made.statements.iter().flatten().count()
    );
    assert!(made.at_a_time <= 4, "{} connections at a time", made.at_a_time);

    // The world's operator looks at everything again every 24 to 36 seconds. Users that were made one after the other find together round by round.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (_, from) = sessions(world, database, from);
    let audit = world.log_end("WORLD_AUDIT_LOG");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (resync, _) = sessions(world, database, from);
    // Other tests' users may be beside these, or left from a failure.
    let unique = tenant.username("u1");
    let is_survey = |it: &String| it.contains(" FROM mysql.user ") && it.contains(&unique);
    let surveys = resync.statements.iter().filter(|session| session.iter().any(is_survey));
    let statements: Vec<Vec<&str>> =
        surveys.map(|session| session.iter().map(|it| &it[..it.len().min(60)]).collect()).collect();
    eprintln!("a minute of resyncs: {} surveys: {statements:?}", statements.len());
    assert!((1..=4).contains(&statements.len()), "in a minute, so in two resyncs of {MANY} users: {statements:?}");
    assert!(statements.iter().all(|session| session.len() <= 5), "{statements:?}");
    let changes: Vec<_> = resync.statements.iter().flatten().filter(|it| !is_harmless(it)).collect();
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(world.operator_writes(audit, &tenant.name), Vec::<String>::new());

    let names: Vec<String> = (0..MANY).map(|n| format!("u{n}")).collect();
    stream::iter(&names)
        .for_each_concurrent(16, |name| async { drop(tenant.users().delete(name, &DeleteParams::default()).await) })
        .await;
    let none_left =
        || async { tenant.users().list(&ListParams::default()).await.expect("list").items.is_empty().then_some(()) };
    until("all are gone", PATIENCE, none_left).await;
    let unique = &tenant.name[tenant.name.len() - 6..];
    let left = format!("SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'u%\\_{unique}'");
    assert_eq!(world.root_sql(database, &left), "0");
    tenant.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_holds_up_nobody_elses_users() {
    let world = World::get();
    let _turn = world.alone().await;
    let (bad, good) = (Tenant::new(Database::Billing, "silent").await, Tenant::new(Database::Orders, "loud").await);
    bad.server_reason("True", "Ready").await;
    good.server_reason("True", "Ready").await;
    let silence = Rule::arm_at(world, "billing", "^CONNECT$", "blackhole");
    make(&bad, 0..60).await;
    until("the silence is met", PATIENCE, || async { (silence.met().fired > 0).then_some(()) }).await;
    let mut waits = Vec::new();
    for n in 0..8 {
        let started = Instant::now();
        good.apply::<IamDbUser>(user(&good, n)).await;
        good.user_ready(&format!("u{n}")).await;
        waits.push(started.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    waits.sort();
    eprintln!("beside a server that does not answer: ready in {waits:?}");
    // If users waited for the silent server all of them would be slow; one may be, where the machine stood still.
    assert!(waits[waits.len() - 2] < Duration::from_secs(5), "{waits:?}");
    drop(silence);
    until("all are ready", PATIENCE, || async { (ready(&bad).await == 60).then_some(()) }).await;
    join_all([bad, good].map(Tenant::close)).await;
}
