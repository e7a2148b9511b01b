//! The rotation in simulated time, at the real apiserver: an hour of it, a dead watch, clocks that jump or are off.
//!
//! The engine is the product's own, with the product's watch, put together here with a clock that a test moves on and an STS that goes by it. It
//! looks at its clock whenever it is told of a Secret, so it is told of one that is nobody's when a second has passed. The clock stands while the
//! apiserver works on an answer, however busy it is. Unless a test is about just that, the engine does not hear what time the apiserver thinks it is:
//! it would sign nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, stream};
use iamdb::domain::access::Access;
use iamdb::domain::arn::Principal;
use iamdb::domain::assume::Assume;
use iamdb::domain::binding::Binding;
use iamdb::domain::digest::Digest;
use iamdb::domain::endpoint::Endpoint;
use iamdb::domain::engine::Engine as Family;
use iamdb::domain::secret::Secret as Text;
use iamdb::domain::token::{Connect, Credentials};
use iamdb::k8s::dates::{DateLayer, ServerDate};
use iamdb::k8s::feed::{Change, Feed};
use iamdb::k8s::fence::Fence;
use iamdb::ports::{Clock, Fault, FaultKind, Login, LoginProbe, LoginTarget, OwnIdentity, Sessions};
use iamdb::rotation::{
    CredentialCache, Engine, Identity, Logins, Marks, ObjectName, Order, Owner, Parts, Problem, SecretRef, Sight,
    TokenSecret, Verify,
};
use iamdb::telemetry::metrics::Metrics;
use iamdb::telemetry::pulse::Pulse;
use iamdb::{api, app};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use kube::client::ClientBuilder;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::util::MapFutureLayer;

use crate::effects::{SERVICE_ACCOUNT, is_write};
use crate::tenant::{Tenant, now};
use crate::world::{Database, SOON, World, until};

const HOUR: i64 = 3_600;

/// A simulated second takes so long.
const SECOND: Duration = Duration::from_millis(5);

/// Identities that sign, accounts of each, and Secrets of each account, which share its token.
const IDENTITIES: [&str; 2] = ["app", "batch"];
const USERS: usize = 5;
const SECRETS: usize = 5;

/// Before its end a token is replaced by so much, and up to 90 s more. A task that waits for a core may do so for simulated seconds.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(450);
const SLACK: SignedDuration = SignedDuration::from_secs(120);

/// For each rotation, at most.
const WRITES: f64 = 1.02;
const READS: f64 = 0.02;

/// Secrets of this test belong to ConfigMaps.
const MARKS: Marks = Marks { owner_kind: ("v1", "ConfigMap"), ..app::MARKS };

#[tokio::test]
async fn an_hour_of_rotations_is_one_write_each_and_no_news_for_anybody() {
    let _turn = World::get().together().await;
    let mut rig = Rig::new("hour", false).await;
    let (audit, sessions) = (rig.tenant.world.log_end("WORLD_AUDIT_LOG"), rig.world.sessions.load(Ordering::SeqCst));
    let before = rig.secrets().await;
    let record = Record::default();
    let keeping = tokio::spawn(keep(rig.told.subscribe(), record.clone()));
    rig.pass(HOUR).await;
    rig.quiet().await;
    assert!(rig.news.try_recv().is_err(), "a rotation is nobody's news: a status would be written for it, or an Event");
    assert_eq!(held(&record).len(), before.len());
    let rotations: usize = held(&record).values().map(|versions| versions.len() - 1).sum();
    for (name, versions) in held(&record).iter() {
        check(name, versions);
    }
    check_requests(&rig.tenant, audit, rotations);
    let renewed = rig.world.sessions.load(Ordering::SeqCst) - sessions;
    assert_eq!(renewed, IDENTITIES.len(), "a session of an hour is renewed once, 16 minutes before its end");
    keeping.abort();
    rig.close().await;
}

#[tokio::test]
async fn rotation_goes_on_without_a_look_when_the_watch_is_dead() {
    let _turn = World::get().together().await;
    let rig = Rig::new("blind", false).await;
    let (audit, before) = (rig.tenant.world.log_end("WORLD_AUDIT_LOG"), rig.secrets().await);
    rig.watch.abort();
    rig.pass(HOUR / 2).await;
    rig.quiet().await;
    let (now, after) = (rig.world.now(), rig.secrets().await);
    assert_eq!(after.len(), before.len());
    for (name, version) in &after {
        let left = version.expires.duration_since(now);
        assert!(left >= RENEW_BEFORE - SLACK, "{name}: {left} left");
    }
    let (writes, others) = requests(&rig.tenant, audit);
    let (least, most) = (4 * after.len(), 6 * after.len());
    assert!(
        (least..=most).contains(&writes) && others <= 2,
        "{writes} writes and {others} other requests in half an hour"
    );
    rig.close().await;
}

#[tokio::test]
async fn what_has_come_due_while_the_clock_jumped_is_renewed_at_once() {
    let _turn = World::get().together().await;
    let rig = Rig::new("jump", false).await;
    rig.pass(20 * 60).await; // second by second, so that the keys are no longer in step
    rig.world.ahead.fetch_add(20 * 60, Ordering::SeqCst);
    let jumped = rig.world.now();
    let renewed = until("every token is renewed", SOON, || async {
        rig.pass(1).await; // what was under way when it jumped rests for half a minute before it is written again
        let secrets = rig.secrets().await;
        secrets.values().all(|version| version.issued >= jumped).then_some(secrets)
    })
    .await;
    for (name, version) in &renewed {
        let late = version.issued.duration_since(jumped);
        assert!(late <= SignedDuration::from_secs(60), "{name}: renewed {late} after the jump");
    }
    rig.close().await;
}

#[tokio::test]
async fn a_clock_that_is_off_signs_nothing_and_takes_nothing_away() {
    let _turn = World::get().together().await;
    for off in [5 * 60, -3_600] {
        let rig = Rig::new("skew", true).await;
        let late = order(&rig.tenant, IDENTITIES[0], "late", rig.owner("late").await);
        let (uid, before) = (late.owner.uid.clone(), rig.secrets().await);
        rig.world.ahead.store(off, Ordering::SeqCst);
        rig.engine.place(late).await.expect("placed");
        rig.tick();
        until("it is refused", SOON, || async {
            let problem = rig.engine.progress(&uid).and_then(|progress| progress.problem);
            (problem == Some(Problem::ClockSkew)).then_some(())
        })
        .await;
        for _ in 0..60 {
            rig.tick();
            tokio::time::sleep(SECOND).await;
        }
        assert_eq!(rig.secrets().await, before, "by a clock that is {off} s off");
        // The clock is put right, and nothing waits by what it said before.
        rig.world.ahead.store(0, Ordering::SeqCst);
        rig.tick();
        until("it is signed", SOON, || async {
            rig.pass(1).await;
            rig.secrets().await.contains_key("late-db").then_some(())
        })
        .await;
        rig.close().await;
    }
}

/// The engine in a namespace of its own, with a first token in each Secret.
struct Rig {
    tenant: Tenant,
    world: Arc<Simulated>,
    engine: Arc<Engine>,
    /// What the engine knows of its Secrets.
    feed: Feed<TokenSecret>,
    watch: JoinHandle<()>,
    /// What a test looks at, by a watch of its own.
    told: Feed<PartialObjectMeta<Secret>>,
    telling: JoinHandle<()>,
    news: UnboundedReceiver<ObjectName>,
    ticks: UnboundedSender<Change<TokenSecret>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
    /// How many answers of the apiserver the engine waits for.
    asked: Arc<AtomicUsize>,
}

impl Rig {
    /// Whether the engine hears what time the apiserver thinks it is.
    async fn new(test: &str, is_dated: bool) -> Self {
        let tenant = Tenant::bare(Database::Orders, test).await;
        tenant.create_service_account("batch", &tenant.role_arn(&tenant.name)).await;
        let date = Arc::new(ServerDate::default());
        let config = tenant.world.config_as(SERVICE_ACCOUNT).await;
        let builder = ClientBuilder::try_from(config).expect("client");
        let asked = Arc::new(AtomicUsize::new(0));
        let client = builder.with_layer(&counted(asked.clone())).with_layer(&DateLayer::new(date.clone())).build();
        let ours = watcher::Config::default().labels(&format!("{}={}", api::MANAGED_BY_LABEL, api::MANAGED_BY));
        let api = Api::<PartialObjectMeta<Secret>>::namespaced(tenant.client.clone(), &tenant.name);
        let (told, telling) = Feed::new(vec![api], ours.clone(), |it| it, None);
        let api = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), &tenant.name);
        let (feed, watch) = Feed::new(vec![api], ours, |it| TokenSecret::of(&MARKS, it.metadata), None);
        let (watch, telling) = (tokio::spawn(watch), tokio::spawn(telling));
        feed.caught_up().await;
        let world = Arc::new(Simulated::new());
        let (news_in, news) = unbounded_channel();
        let engine = Engine::new(Parts {
            client: client.clone(),
            marks: MARKS,
            sight: Sight::Watched(feed.store().clone()),
            credentials: CredentialCache::new(client, world.clone(), world.clone(), world.clone()),
            logins: Logins::new(world.clone(), world.clone()),
            server_date: if is_dated { date } else { Arc::default() },
            clock: world.clone(),
            metrics: Metrics::new(),
            news: news_in,
        });
        let (ticks, ticked) = unbounded_channel();
        let changes = stream::select(feed.subscribe(), received(ticked));
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine.clone().run(changes, Fence::open(), Pulse::default(), stop.clone()));
        let mut rig = Self { tenant, world, engine, feed, watch, told, telling, news, ticks, stop, running, asked };
        for identity in IDENTITIES {
            for (user, secret) in (0..USERS).flat_map(|user| (0..SECRETS).map(move |secret| (user, secret))) {
                let owner = rig.owner(&format!("{identity}-{user}-{secret}")).await;
                let order = order(&rig.tenant, identity, &format!("{identity}_{user}"), owner);
                rig.engine.place(order).await.expect("placed");
            }
        }
        let all = IDENTITIES.len() * USERS * SECRETS;
        until("all Secrets", SOON, || async { (rig.feed.store().len() == all).then_some(()) }).await;
        rig.quiet().await;
        while rig.news.try_recv().is_ok() {} // that each has its first token
        rig
    }

    /// An object that owns a Secret: without one the garbage collector would take it away.
    async fn owner(&self, name: &str) -> Owner {
        let owners = Api::<ConfigMap>::namespaced(self.tenant.client.clone(), &self.tenant.name);
        let owner = serde_json::from_value(json!({"metadata": {"name": name}})).expect("ConfigMap");
        let owner = owners.create(&PostParams::default(), &owner).await.expect("create ConfigMap");
        Owner { name: owner.name_any(), uid: owner.uid().expect("uid").into() }
    }

    /// Lets so many seconds pass.
    async fn pass(&self, seconds: i64) {
        for _ in 0..seconds {
            self.world.ahead.fetch_add(1, Ordering::SeqCst);
            self.tick();
            tokio::time::sleep(SECOND).await;
            while self.asked.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(SECOND).await;
            }
        }
    }

    fn tick(&self) {
        self.ticks
            .send(Change::Applied(Arc::new(TokenSecret::of(&MARKS, ObjectMeta::default()))))
            .expect("the engine listens");
    }

    /// Waits for the answers to what was sent, and for the watch that tells of it.
    async fn quiet(&self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// The Secrets as the apiserver has them.
    async fn secrets(&self) -> BTreeMap<String, Version> {
        let secrets = self.tenant.secrets().list(&ListParams::default()).await.expect("list Secrets");
        secrets.iter().map(|secret| (secret.name_any(), Version::of(&secret.metadata))).collect()
    }

    async fn close(self) {
        self.stop.cancel();
        self.running.await.expect("the engine");
        self.watch.abort();
        self.telling.abort();
        self.tenant.close().await;
    }
}

/// Replaced before half of its life is over, and late enough to be cheap; each lives longer than the last.
fn check(name: &str, versions: &[Version]) {
    // A token of 870 s is due 450 to 540 s before its end.
    assert!((8..=11).contains(&(versions.len() - 1)), "{name}: {} rotations in an hour", versions.len() - 1);
    for pair in versions.windows(2) {
        let left = pair[0].expires.duration_since(pair[1].issued);
        assert!(pair[0].expires < pair[1].expires, "{name}: its end went back");
        let (earliest, latest) = (RENEW_BEFORE + SignedDuration::from_secs(91), RENEW_BEFORE - SLACK);
        assert!(left >= latest && left <= earliest, "{name}: replaced with {left} left");
    }
}

/// Writes of Secrets in the operator's name, and other requests that read something. There is no other write.
fn requests(tenant: &Tenant, audit: u64) -> (usize, usize) {
    let (lines, _) = tenant.world.log("WORLD_AUDIT_LOG", audit);
    let is_ours = |line: &&Value| {
        line["impersonatedUser"]["username"] == SERVICE_ACCOUNT && line["objectRef"]["namespace"] == *tenant.name
    };
    let (writes, reads): (Vec<_>, Vec<_>) = lines.iter().filter(is_ours).partition(|line| is_write(line));
    let others: Vec<_> = writes.iter().filter(|line| line["objectRef"]["resource"] != "secrets").collect();
    assert!(others.is_empty(), "no Event, no status: {others:?}");
    (writes.len(), reads.len())
}

fn check_requests(tenant: &Tenant, audit: u64, rotations: usize) {
    let (writes, reads) = requests(tenant, audit);
    let share = |requests: usize| {
        f64::from(u32::try_from(requests).expect("few")) / f64::from(u32::try_from(rotations).expect("few"))
    };
    let (written, read) = (share(writes), share(reads));
    eprintln!("an hour: {rotations} rotations, for each {written:.3} writes and {read:.3} other requests");
    assert!(written <= WRITES && read <= READS, "for each rotation {written:.3} writes, {read:.3} other requests");
    assert!(written >= 1.0, "the audit log knows of no rotation that nobody wrote");
}

fn order(tenant: &Tenant, service_account: &str, username: &str, owner: Owner) -> Order {
    let region = "us-east-1".to_owned();
    Order {
        secret: SecretRef { namespace: tenant.name.clone(), name: format!("{}-db", owner.name) },
        owner,
        identity: Arc::new(Identity::ServiceAccount {
            region: region.clone(),
            namespace: tenant.name.clone(),
            name: service_account.to_owned(),
            role: tenant.role_arn(&tenant.name).parse().expect("a role"),
            then: None,
        }),
        binding: Binding {
            connect: Arc::new(Connect {
                region,
                endpoint: Endpoint::new(tenant.world.host(tenant.database), 3306).expect("an endpoint"),
                username: username.to_owned(),
            }),
            alias: None,
            engine: Family::MySql,
            database: None,
            ca: None,
            formats: BTreeSet::new(),
            mount_path: "/x".to_owned(),
        },
        renew_before: RENEW_BEFORE.unsigned_abs(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        verify: Verify::Never,
        ca: "".into(),
        hosts: Vec::new(),
        inputs: Digest::of(["hour"]),
    }
}

/// A version of a Secret, in simulated time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    issued: Timestamp,
    expires: Timestamp,
}

impl Version {
    fn of(meta: &ObjectMeta) -> Self {
        let annotations = meta.annotations.as_ref().expect("annotations");
        let instant = |annotation: &str| annotations[annotation].parse().expect("an instant");
        Self { issued: instant(api::ISSUED_AT_ANNOTATION), expires: instant(api::EXPIRES_AT_ANNOTATION) }
    }
}

/// The versions of each Secret, in their order.
type Record = Arc<Mutex<BTreeMap<String, Vec<Version>>>>;

fn held(record: &Record) -> parking_lot::MutexGuard<'_, BTreeMap<String, Vec<Version>>> {
    record.lock()
}

async fn keep(changes: impl Stream<Item = Change<PartialObjectMeta<Secret>>>, record: Record) {
    let mut changes = std::pin::pin!(changes);
    while let Some(change) = changes.next().await {
        let secret = change.object();
        let version = Version::of(&secret.metadata);
        let mut record = held(&record);
        let versions = record.entry(secret.name_any()).or_default();
        // A watch that begins anew tells what it told before.
        if versions.last().is_none_or(|last| last.issued != version.issued) {
            versions.push(version);
        }
    }
}

/// Counts the requests that are under way. A watch is under way until it begins to tell.
fn counted<A: 'static>(
    asked: Arc<AtomicUsize>,
) -> MapFutureLayer<impl FnMut(BoxFuture<'static, A>) -> BoxFuture<'static, A> + Clone> {
    MapFutureLayer::new(move |answer: BoxFuture<'static, A>| {
        let asked = Asked::new(asked.clone());
        async move {
            let _asked = asked;
            answer.await
        }
        .boxed()
    })
}

/// A request that is under way.
struct Asked(Arc<AtomicUsize>);

impl Asked {
    fn new(asked: Arc<AtomicUsize>) -> Self {
        asked.fetch_add(1, Ordering::SeqCst);
        Self(asked)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn received<T: Send>(receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}

/// Simulated time, and an STS that goes by it.
struct Simulated {
    beginning: Timestamp,
    /// Seconds since then.
    ahead: AtomicI64,
    /// How many sessions were handed out.
    sessions: AtomicUsize,
}

impl Simulated {
    fn new() -> Self {
        Self { beginning: now(), ahead: AtomicI64::new(0), sessions: AtomicUsize::new(0) }
    }

    fn session(&self, life: Duration) -> Credentials {
        let number = self.sessions.fetch_add(1, Ordering::SeqCst);
        Credentials {
            access_key_id: format!("ASIA{number:016}"),
            secret_access_key: Text::new("k".repeat(40)),
            session_token: Some(Text::new("t".repeat(1_024))),
            expires_at: self.now().checked_add(life).ok(),
        }
    }
}

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        self.beginning + SignedDuration::from_secs(self.ahead.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Sessions for Simulated {
    async fn by_web_identity(&self, _: &str, _: &Principal, _: &Text, life: Duration) -> Result<Credentials, Fault> {
        Ok(self.session(life))
    }

    async fn by_role(&self, _: &str, _: &Assume, _: Option<&Credentials>, _: Duration) -> Result<Credentials, Fault> {
        Err(Fault::new(FaultKind::Denied, "assume role"))
    }
}

#[async_trait]
impl OwnIdentity for Simulated {
    async fn credentials(&self) -> Result<Credentials, Fault> {
        Err(Fault::new(FaultKind::Denied, "load credentials"))
    }

    async fn credentials_for(&self, _: &Access) -> Result<Credentials, Fault> {
        Err(Fault::new(FaultKind::Denied, "load credentials"))
    }
}

#[async_trait]
impl LoginProbe for Simulated {
    async fn log_in(&self, _: &LoginTarget, _: Family) -> Result<Login, Fault> {
        Err(Fault::new(FaultKind::Unreachable, "log in"))
    }
}
