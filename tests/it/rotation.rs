//! Fifty Secrets over ten token keys, for minutes: each rotation is one write to each Secret, and never anything else.
//!
//! It goes on beside all other tests, also beside those that stop the operator or break something: that may make a rotation late, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::{self, join_all};
use iamdb::api::{DbAuthToken, EXPIRES_AT_ANNOTATION, EXPIRES_AT_LABEL, ISSUED_AT_ANNOTATION, IamDbUser};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::{WatchStreamExt, watcher};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::effects::{Since, is_write};
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// How the namespaces of this test begin. Whoever counts what the operator writes leaves them out.
pub const NAMESPACES: &str = "t-rotation-";

/// Token keys, each a user of its own.
const KEYS: usize = 10;

/// Secrets of each key.
const SECRETS: usize = 5;

/// How long rotations are watched, in seconds.
const WATCHED: u64 = 300;

/// A token is due 60 to 150 seconds after it was issued: its life of 900, less a margin of 30, less `renewBefore`, less a spread of up to 90. A
/// machine that stands still may add to it.
const RENEW_BEFORE: &str = "12m";
const EARLIEST: SignedDuration = SignedDuration::from_secs(59);
const LATEST: SignedDuration = SignedDuration::from_secs(170);

/// Every published token can be relied on for this long, whoever reads it when.
const ALWAYS_LEFT: SignedDuration = SignedDuration::from_secs(180);

/// So long after a write both the watch and the audit log tell of it.
const ALL_TELL: Duration = Duration::from_secs(2);

/// A version of a Secret.
#[derive(Clone, Debug)]
struct Version {
    seen: Instant,
    stored_as: String,
    token: String,
    issued: Timestamp,
    expires: Timestamp,
}

/// The versions of each Secret, in their order.
type Record = Arc<Mutex<BTreeMap<String, Vec<Version>>>>;

#[tokio::test]
async fn each_rotation_is_one_write_to_each_secret_and_nothing_else_is_written() {
    let world = World::get();
    let seconds = world.option("IAMDB_IT_ROTATION_SECONDS").map_or(WATCHED, |text| text.parse().expect("seconds"));
    let started = Instant::now();
    let since = Since::now(world);
    let turn = world.together().await;
    let tenant = Tenant::new(Database::Orders, "rotation").await;
    assert!(tenant.name.starts_with(NAMESPACES));
    let record = Record::default();
    let watch = tokio::spawn(watch(tenant.secrets(), record.clone()));
    make_all(&tenant).await;
    drop(turn);

    tokio::time::sleep(Duration::from_secs(seconds)).await;

    let _turn = world.together().await;
    let disturbed = world.was_disturbed(started, Instant::now());
    let patience = SOON + LATEST.unsigned_abs();
    let (versions, requests) =
        until("all Secrets of a key hold one token", patience, || seen(&tenant, &since, &record)).await;
    assert!(!watch.is_finished(), "the watch of the Secrets met one that is wrong");
    watch.abort();
    assert_eq!(versions.len(), KEYS * SECRETS);
    for (name, versions) in &versions {
        check_rotations(world, name, versions);
    }
    if !disturbed {
        for key in 0..KEYS {
            let histories: BTreeSet<Vec<&str>> =
                secrets_of(&versions, key).map(|it| it.iter().map(|it| it.token.as_str()).collect()).collect();
            assert_eq!(histories.len(), 1, "key {key}: its Secrets held the same tokens in the same order");
        }
    }
    check_writes(&requests, &versions, disturbed);
    for key in [0, KEYS / 2, KEYS - 1] {
        tenant.log_in(&token_name(key, 0), "SELECT 1").await.expect("login");
    }
    let rotations: usize = versions.values().map(|versions| versions.len() - 1).sum();
    eprintln!(
        "{} Secrets, {rotations} rotations in {seconds} s, beside tests that run alone: {disturbed}",
        versions.len()
    );
    tenant.close().await;
}

fn user_name(key: usize) -> String {
    format!("k{key}")
}

fn token_name(key: usize, secret: usize) -> String {
    format!("k{key}-s{secret}")
}

async fn make_all(tenant: &Tenant) {
    join_all((0..KEYS).map(|key| tenant.apply::<IamDbUser>(tenant.user(&user_name(key))))).await;
    for key in 0..KEYS {
        join_all((0..SECRETS).map(|secret| {
            let mut token = tenant.token(&token_name(key, secret), &user_name(key));
            token["spec"]["rotation"] = json!({"renewBefore": RENEW_BEFORE});
            tenant.apply::<DbAuthToken>(token)
        }))
        .await;
    }
    for key in 0..KEYS {
        tenant.user_ready(&user_name(key)).await;
        join_all((0..SECRETS).map(|secret| async move { tenant.token_ready(&token_name(key, secret)).await })).await;
    }
}

/// The versions of all Secrets and what the operator asked about Secrets, of one moment; nothing while the Secrets of a key hold two tokens. The
/// watch tells of a write before the audit log does, or after it: so nothing may have been written in the seconds before and after.
async fn seen(tenant: &Tenant, since: &Since, record: &Record) -> Option<(BTreeMap<String, Vec<Version>>, Vec<Value>)> {
    let before = Since::now(tenant.world);
    tokio::time::sleep(ALL_TELL).await;
    let versions = record.lock().clone();
    tokio::time::sleep(ALL_TELL).await;
    let about_secrets = |since: &Since| {
        let mut requests = since.requests_in(tenant.world, &tenant.name);
        requests.retain(|it| it["objectRef"]["resource"] == "secrets");
        requests
    };
    let is_quiet = || !about_secrets(&before).iter().any(is_write);
    let last = |key| secrets_of(&versions, key).map(|it| it.last().map(|it| it.token.clone())).collect::<BTreeSet<_>>();
    if !is_quiet() || (0..KEYS).any(|key| last(key).len() != 1) {
        return None;
    }
    // To read minutes of the log takes seconds.
    let requests = about_secrets(since);
    is_quiet().then_some((versions, requests))
}

/// Records every version of every Secret.
async fn watch(secrets: kube::Api<Secret>, record: Record) {
    let changes = watcher(secrets, watcher::Config::default()).default_backoff().applied_objects();
    let changes = changes.filter_map(|secret| future::ready(secret.ok()));
    let mut changes = std::pin::pin!(changes);
    while let Some(secret) = changes.next().await {
        let version = version(&secret);
        let mut record = record.lock();
        let versions = record.entry(secret.name_any()).or_default();
        // A watch that begins anew tells what it told before.
        if versions.last().is_none_or(|last| last.stored_as != version.stored_as) {
            versions.push(version);
        }
    }
}

/// A version of a Secret; what stands in it comes from one signing.
fn version(secret: &Secret) -> Version {
    let name = secret.name_any();
    let data = secret.data.as_ref().expect("data");
    let token = String::from_utf8(data["password"].0.clone()).expect("text");
    let instant = |annotation: &str| secret.annotations()[annotation].parse::<Timestamp>().expect("an instant");
    let (issued, expires) = (instant(ISSUED_AT_ANNOTATION), instant(EXPIRES_AT_ANNOTATION));
    let (compact, username) = ("%Y%m%dT%H%M%SZ", String::from_utf8_lossy(&data["username"].0).into_owned());
    assert_eq!(secret.labels()[EXPIRES_AT_LABEL], expires.strftime(compact).to_string(), "{name}");
    assert!(token.contains(&format!("X-Amz-Date={}&", issued.strftime(compact))), "{name}: signed when it says");
    assert!(token.contains(&format!("DBUser={username}&")), "{name}: for whom it says");
    assert_eq!(expires.duration_since(issued), SignedDuration::from_secs(870), "{name}");
    let stored_as = secret.resource_version().expect("resource version");
    Version { seen: Instant::now(), stored_as, token, issued, expires }
}

fn secrets_of(versions: &BTreeMap<String, Vec<Version>>, key: usize) -> impl Iterator<Item = &Vec<Version>> {
    (0..SECRETS).filter_map(move |secret| versions.get(&format!("{}-db", token_name(key, secret))))
}

/// Each version brings another token, which lives longer, and comes in time. An operator that was killed amid a turn has left some Secrets of the
/// key behind. Its successor takes those along that it has looked at by then, maybe in the same second, and the others when they are due: so a key
/// may hold two tokens for as long.
fn check_rotations(world: &World, name: &str, versions: &[Version]) {
    for pair in versions.windows(2) {
        let (old, new) = (&pair[0], &pair[1]);
        assert_ne!(old.token, new.token, "{name}: a write that brings no new token");
        let is_disturbed = world.was_disturbed(old.seen, new.seen);
        let is_later = old.expires < new.expires || (is_disturbed && old.expires == new.expires);
        assert!(is_later, "{name}: the expiry went back: {} {}", old.expires, new.expires);
        let left = old.expires.duration_since(new.issued);
        assert!(left >= ALWAYS_LEFT, "{name}: replaced with {left} left");
        let age = new.issued.duration_since(old.issued);
        assert!(age >= EARLIEST || is_disturbed, "{name}: replaced after {age}");
        assert!(age <= LATEST || is_disturbed, "{name}: replaced after {age}");
    }
}

/// The audit log knows of no writes but these. What else the operator asked for is no write, nor a look.
fn check_writes(requests: &[Value], versions: &BTreeMap<String, Vec<Version>>, disturbed: bool) {
    for (name, versions) in versions {
        let about: Vec<&Value> = requests.iter().filter(|it| it["objectRef"]["name"] == **name).collect();
        let verbs: Vec<_> = about.iter().map(|it| format!("{} {}", it["verb"], it["responseStatus"]["code"])).collect();
        let writes = about.iter().filter(|it| is_write(it)).map(|it| it["responseStatus"]["code"].as_u64());
        let (done, open): (Vec<_>, Vec<_>) =
            writes.filter(|code| *code < Some(300) || *code >= Some(500)).partition(|code| *code < Some(300));
        // Of a write whose sender died the apiserver says 504, whether it was done or not.
        let most = done.len() + if disturbed { open.len() } else { 0 };
        assert!((done.len()..=most).contains(&versions.len()), "{name}: {} versions, {verbs:?}", versions.len());
        let done = done.len();
        assert!(disturbed || about.len() == done, "{name}: one request a write: {verbs:?}");
    }
}
