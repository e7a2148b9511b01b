//! Databases that do not answer, and what those see of it that use others.

use std::collections::HashMap;
use std::time::Duration;

use iamdb::api::IamDbUser;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use serde_json::json;

use crate::accounts::{is_ready, make_server, make_user, remove, until};
use crate::figures::{Latency, Silence};
use crate::fleet::{create, each};
use crate::forward::Rule;
use crate::latency::{self, PACE};
use crate::operator::Operator;
use crate::plane::Plane;
use crate::scenes::{self, REST};

const NAME: &str = "bench-silence";

/// DbServers. In truth they are two databases, one of which falls silent.
const SERVERS: usize = 20;

/// So many of them are of the one that does.
const SILENT: usize = 2;

/// Users of each of these, who wait.
const WAITING: usize = 50;

/// Users that are made on the others, before and meanwhile.
const NEWCOMERS: usize = 36;

/// Tokens of those who have nothing to do with any of them.
const TOKENS: usize = 1_000;

const PATIENCE: Duration = Duration::from_secs(120);

/// Users and tokens of others, while all databases answer and while a tenth does not.
pub async fn measure(plane: &Plane) -> Silence {
    let (fleet, operator, _) = scenes::cold_start(plane, TOKENS).await;
    println!("==> {SILENT} of {SERVERS} databases that do not answer");
    let mut meter = plane.meter(Some(&operator));
    let namespaces = Api::<Namespace>::all(plane.client.clone());
    each(0..SERVERS, async |at| {
        make_server(plane, &server(at), if at < SILENT { "billing" } else { "orders" }).await;
        create(&namespaces, json!({"metadata": {"name": server(at)}})).await;
    })
    .await;
    meter.until_quiet(REST, PATIENCE).await;
    let tokens_before = latency::first_and_later(plane, &fleet, &operator).await.1;
    let users_before = newcomers(plane, &operator, 0).await;
    let silence = Rule::arm_at(plane.world, "billing", "^CONNECT$", "blackhole");
    each(0..SILENT * WAITING, async |at| {
        let server = server(at % SILENT);
        make_user(plane, &server, &server, 1_000 + at).await;
    })
    .await;
    let started = std::time::Instant::now();
    while silence.met().fired == 0 {
        assert!(started.elapsed() < PATIENCE, "nobody met the silence");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let users = newcomers(plane, &operator, NEWCOMERS).await;
    let tokens = latency::later(plane, &fleet, &operator).await.latency;
    drop(silence);
    let figures = Silence { servers: SERVERS, silent: SILENT, users_before, users, tokens_before, tokens };
    println!("    {figures:.1?}");
    fleet.remove().await;
    remove(plane, (0..SERVERS).map(server).collect(), &(0..SERVERS).map(server).collect::<Vec<_>>()).await;
    figures
}

/// Milliseconds from the answer to a user's creation to that of the status which says that it is ready; one user a second on databases that answer.
async fn newcomers(plane: &Plane, operator: &Operator, begin: usize) -> Latency {
    let mut meter = plane.meter(Some(operator));
    for at in begin..begin + NEWCOMERS {
        let server = server(SILENT + at % (SERVERS - SILENT));
        make_user(plane, &server, &server, at).await;
        tokio::time::sleep(PACE).await;
    }
    let answering: Vec<String> = (SILENT..SERVERS).map(server).collect();
    let is_theirs = |user: &&IamDbUser| user.metadata.namespace.as_ref().is_some_and(|it| answering.contains(it));
    until(plane, |users| users.iter().filter(is_theirs).all(is_ready)).await;
    meter.look();
    let (mut made, mut told) = (HashMap::<_, Timestamp>::new(), HashMap::new());
    for request in &meter.requests {
        if request.made("iamdbusers") {
            made.insert(request.object(), request.at);
        } else if request.kind() == "patch iamdbusers/status" {
            told.insert(request.object(), request.at); // the last counts
        }
    }
    let waits = made.iter().filter_map(|(user, at)| Some(told.get(user)?.duration_since(*at).as_secs_f64() * 1_000.0));
    let waits: Vec<f64> = waits.collect();
    assert_eq!(waits.len(), NEWCOMERS, "users that were told of as ready");
    Latency::of(waits)
}

fn server(at: usize) -> String {
    format!("{NAME}-{at}")
}
