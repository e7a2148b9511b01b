//! The consumer oracle: thirty readers who see each file 90 seconds late log in every few seconds, and none is ever refused, while the apiserver is
//! down for two and a half minutes, STS throttles and hands out sessions that die soon, and the acting replica is killed every half minute.
//!
//! `make it` runs it for four minutes, as a step of its own, because what it breaks is broken for everybody; `make soak` for twenty minutes, or for
//! as many seconds as `IAMDB_ORACLE_SECONDS` says.

mod faults;
mod readers;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use iamdb::api::{DbAuthToken, IamDbUser};
use jiff::SignedDuration;
use serde_json::json;

use crate::replica::Stage;
use crate::tenant::{Tenant, now};
use crate::world::{Database, World};

/// How the accounts are spread: five on each database, each with an identity of its own.
const USERS: usize = 5;

/// Readers of each account, and as many Secrets: they share its token.
const READERS: usize = 3;

/// How long it lasts, in seconds, unless somebody says otherwise.
const SECONDS: u64 = 255;

/// How much of that is without faults, at the end.
const CALM: Duration = Duration::from_secs(60);

/// What a reader sees is so old.
const LATE: SignedDuration = SignedDuration::from_secs(90);

/// The apiserver is down for so long.
const OUTAGE: SignedDuration = SignedDuration::from_secs(150);

/// A token has so much life for whoever sees it [`LATE`].
const LEAST: SignedDuration = SignedDuration::from_secs(180);

/// What kills, throttling and sessions that are too short add to an outage: a lease that runs out twice, a pause of 20 s, and back-off.
const REST: SignedDuration = SignedDuration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_is_refused_whatever_breaks() {
    let world = World::get();
    let seconds = world.option("IAMDB_ORACLE_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
    let length = Duration::from_secs(seconds);
    assert!(length >= Duration::from_secs(SECONDS), "a round and the calm after it take {SECONDS} s");
    // In four minutes only tokens that are renewed early are renewed more than once.
    let renewals: &[i64] = if seconds > SECONDS { &[720, 450, 420] } else { &[720] };
    let stage = Stage::set().await;
    let replicas = vec![
        stage.replica("oracle-first", 8181, true, &[]).await,
        stage.replica("oracle-second", 8182, true, &[]).await,
    ];
    let tenants = join_all(Database::BOTH.map(|database| Tenant::new(database, "oracle"))).await;
    join_all(tenants.iter().map(|tenant| make(tenant, renewals))).await;

    let tenants: Vec<_> = tenants.into_iter().map(Arc::new).collect();
    let readers = readers::Readers::start(&tenants, LATE).await;
    let toll = faults::rage(&stage, replicas, &tenants, length.saturating_sub(CALM)).await;
    tokio::time::sleep(CALM).await;
    let record = readers.stop().await;

    eprintln!("{record}");
    eprintln!("beside {toll}");
    assert_eq!(record.refused, Vec::<String>::new());
    let expected = tenants.len() * USERS * READERS;
    assert_eq!(record.files.len(), expected);
    // Each reader has logged in time and again, or the oracle has seen nothing.
    assert!(record.opened >= u64::try_from(expected).expect("few") * seconds / 20, "{} sessions", record.opened);
    for file in &record.files {
        assert!(file.least_life >= LEAST + LATE, "{}: a token was published with {}", file.name, file.least_life);
        let renew_before = SignedDuration::from_secs(renewals[file.user % renewals.len()]);
        let bound = renew_before - LATE - OUTAGE - REST;
        assert!(file.least_left >= bound, "{}: a reader saw {} left, {bound} is the least", file.name, file.least_left);
        // All faults are over for a minute: nothing is overdue any more.
        let left = file.expires_at.duration_since(now());
        assert!(left >= renew_before - SignedDuration::from_secs(30), "{}: {left} left at the end", file.name);
    }
    for tenant in tenants {
        Arc::into_inner(tenant).expect("nobody else uses it").close().await;
    }
    drop(toll);
}

fn user_name(user: usize) -> String {
    format!("u{user}")
}

fn token_name(user: usize, reader: usize) -> String {
    format!("u{user}-r{reader}")
}

/// The names of a tenant's tokens.
fn names() -> impl Iterator<Item = String> {
    (0..USERS).flat_map(|user| (0..READERS).map(move |reader| token_name(user, reader)))
}

async fn make(tenant: &Tenant, renewals: &[i64]) {
    for user in 0..USERS {
        let name = user_name(user);
        let role = format!("{}-{name}", tenant.name);
        tenant.create_role(&role, &name).await;
        tenant.create_service_account(&name, &tenant.role_arn(&role)).await;
        let mut object = tenant.user(&name);
        object["spec"]["principals"]["serviceAccounts"] = json!([{"name": name}]);
        tenant.apply::<IamDbUser>(object).await;
        for reader in 0..READERS {
            let mut token = tenant.token(&token_name(user, reader), &name);
            token["spec"]["identity"]["serviceAccount"]["name"] = json!(name);
            token["spec"]["rotation"] = json!({"renewBefore": format!("{}s", renewals[user % renewals.len()])});
            tenant.apply::<DbAuthToken>(token).await;
        }
    }
    for user in 0..USERS {
        tenant.user_ready(&user_name(user)).await;
        join_all((0..READERS).map(|reader| async move { tenant.token_ready(&token_name(user, reader)).await })).await;
    }
}
