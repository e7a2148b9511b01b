//! Replicas and the one that acts: a leader that dies, ends, is stopped or cut off is replaced, and two never act at the same time.
//!
//! The world's operator stands still here. Each replica has a token of its own, and the apiserver's audit log tells by which token each request
//! came.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use iamdb::api::DbAuthToken;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::effects::is_write;
use crate::forward::Rule;
use crate::operator::Operator;
use crate::tenant::Tenant;
use crate::world::{Alone, Database, OPERATOR_NAMESPACE, SOON, World, until};

const LEASE: &str = "iamdb-operator";
const TOKEN_ID: &str = "authentication.kubernetes.io/credential-id";

/// What the duration of a lease, and the first effect after it, may take.
const AFTER_A_DEATH: Duration = Duration::from_secs(17);

/// What it may take after an orderly end.
const AFTER_A_RELEASE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced_within_its_lease() {
    let stage = Stage::set().await;
    let (first, second) = stage.two_replicas("killed").await;
    let tenant = stage.tenant().await;
    rotate(&tenant).await;
    first.signal("-KILL");
    let death = Instant::now();
    rotate(&tenant).await;
    assert!(death.elapsed() < AFTER_A_DEATH, "the next token came after {:?}", death.elapsed());
    assert_eq!(stage.leader().await, second.name);
    eprintln!("killed: replaced after {:?}", death.elapsed());
    tenant.close().await;
}

#[tokio::test]
async fn a_leader_that_ends_in_order_gives_the_lead_back() {
    let stage = Stage::set().await;
    let (mut first, mut second) = stage.two_replicas("ended").await;
    first.signal("-TERM");
    assert!(first.ended().await, "it ended in order");
    let end = Instant::now();
    let is_next = || async { (stage.leader().await == second.name).then_some(()) };
    until("the other leads", AFTER_A_RELEASE, is_next).await;
    eprintln!("ended: replaced after {:?}", end.elapsed());
    // When the last one goes nobody leads, and nobody has to wait.
    second.signal("-TERM");
    assert!(second.ended().await, "it ended in order");
    assert_eq!(stage.leader().await, "");
}

#[tokio::test]
async fn a_leader_that_was_stopped_for_a_while_acts_no_more() {
    let stage = Stage::set().await;
    let (mut first, second) = stage.two_replicas("stopped").await;
    let tenant = stage.tenant().await;
    // It waits for answers after which it would write at once, and they are there when it goes on: a ServiceAccount that names no role is asked for.
    let pattern = format!("^GET /api/v1/namespaces/{}/serviceaccounts/default", tenant.name);
    let rule = Rule::arm(stage.world, "hold", &pattern, 1, 0);
    let mut late = tenant.token("late", "app");
    late["spec"]["identity"]["serviceAccount"]["name"] = json!("default");
    tenant.apply::<DbAuthToken>(late).await;
    tenant.rotate("app").await;
    until("it waits for answers", SOON, || async { (rule.met().fired > 0).then_some(()) }).await;
    first.signal("-STOP");
    drop(rule);
    let busy = stage.keep_busy(&tenant, async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        first.signal("-CONT");
        let resumed = Instant::now();
        assert!(!first.ended().await, "it ended because the lease is lost");
        eprintln!("stopped: ended {:?} after it was resumed", resumed.elapsed());
        tokio::time::sleep(Duration::from_secs(2)).await;
    });
    busy.await;
    stage.assert_one_after_the_other(&first, &second);
    tenant.token_reason("late", "False", "IdentityDenied").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ends_before_another_acts() {
    let stage = Stage::set().await;
    let (mut first, second) = stage.two_replicas("cut-off").await;
    let tenant = stage.tenant().await;
    let cut = stage.keep_busy(&tenant, async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stage.world.ask("WORLD_FORWARD", "POST", "/pause", &json!({"target": "apiserver"}));
        let cut = Instant::now();
        assert!(!first.ended().await, "it ended because the lease is lost");
        let ended = cut.elapsed();
        assert_eq!(stage.leader().await, first.name, "nobody leads before it has ended");
        until("the other leads", AFTER_A_DEATH, || async { (stage.leader().await == second.name).then_some(()) }).await;
        eprintln!("cut off: ended after {ended:?}, replaced after {:?}", cut.elapsed());
        // What was on its way when its sender ended is lost, as in a network that stays cut.
        for request in ["/close", "/resume"] {
            stage.world.ask("WORLD_FORWARD", "POST", request, &json!({"target": "apiserver"}));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    });
    cut.await;
    stage.assert_one_after_the_other(&first, &second);
    tenant.close().await;
}

/// The world without its operator, and what it takes to start replicas in its stead.
struct Stage {
    world: &'static World,
    environment: Vec<(String, String)>,
    client: kube::Client,
    /// Where the audit log ended at the beginning.
    audit: u64,
    _operator: Operator,
    _turn: Alone<'static>,
}

impl Stage {
    async fn set() -> Self {
        let world = World::get();
        let turn = world.alone().await;
        let client = world.kube().await;
        let operator = Operator::of(world);
        let environment = std::fs::read(format!("/proc/{}/environ", world.operator_pid())).expect("the operator runs");
        let pairs = environment.split(|&byte| byte == 0).filter_map(|it| std::str::from_utf8(it).ok()?.split_once('='));
        let environment = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        world.control(&["operator", "--stop"]);
        let leases = Api::<Lease>::namespaced(client.clone(), OPERATOR_NAMESPACE);
        let _ = leases.delete(LEASE, &DeleteParams::default()).await;
        let audit = world.log_end("WORLD_AUDIT_LOG");
        Self { world, environment, client, audit, _operator: operator, _turn: turn }
    }

    /// One that leads, by way of the forwarder, and one that waits, with a connection of its own. Both are ready.
    async fn two_replicas(&self, test: &str) -> (Replica, Replica) {
        let first = self.replica(&format!("{test}-first"), 8181, true).await;
        until("the first leads", AFTER_A_RELEASE, || async { (self.leader().await == first.name).then_some(()) }).await;
        let second = self.replica(&format!("{test}-second"), 8182, false).await;
        assert_eq!(self.leader().await, first.name);
        (first, second)
    }

    async fn replica(&self, name: &str, port: u16, is_forwarded: bool) -> Replica {
        let scratch = tempfile::tempdir().expect("scratch folder");
        let (token_file, kubeconfig) = (scratch.path().join("token"), scratch.path().join("kubeconfig"));
        std::fs::write(&token_file, self.token().await).expect("token");
        let text = std::fs::read_to_string(self.world.root().join("target/world/operator.kubeconfig"));
        let text = text.expect("the operator's kubeconfig");
        let theirs = self.world.root().join("target/world/pki/operator.token").display().to_string();
        assert!(text.contains(&theirs) && text.contains(":7443"), "{text}");
        let text = text.replace(&theirs, &token_file.display().to_string());
        let text = if is_forwarded { text } else { text.replace(":7443", ":6443") };
        std::fs::write(&kubeconfig, text).expect("kubeconfig");
        let host = self.world.var("WORLD_OPERATOR_URL").trim_start_matches("http://");
        let listen = format!("{}:{port}", host.split(':').next().expect("host"));
        let log = File::create(self.world.root().join(format!("target/world/log/{name}.log"))).expect("log");
        let process = Command::new(self.world.var("WORLD_EXEC"))
            .arg(self.world.root().join("target/world/bin/iamdb"))
            .args(["run", "--operator-namespace", OPERATOR_NAMESPACE, "--listen", &listen, "--identity", name])
            .args(["--allow-loopback-databases", "--resync", "30s", "--log", "debug"])
            .env_clear()
            .envs(self.environment.iter().cloned())
            // Where the program is, if not in the project.
            .envs(self.world.option("CARGO_TARGET_DIR").map(|folder| ("CARGO_TARGET_DIR", folder)))
            .env("KUBECONFIG", &kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("a replica");
        let token_id = token_id(&kubeconfig).await;
        let replica = Replica { process, name: name.to_owned(), token_id, listen, _scratch: scratch };
        until("the replica is ready", Duration::from_secs(30), || async { replica.is_ready().then_some(()) }).await;
        replica
    }

    /// A token of the operator's ServiceAccount.
    async fn token(&self) -> String {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request("iamdb-operator", &PostParams::default(), &request).await;
        answer.expect("a token").status.expect("a token").token
    }

    /// Who holds the lease.
    async fn leader(&self) -> String {
        let lease = Api::<Lease>::namespaced(self.client.clone(), OPERATOR_NAMESPACE)
            .get_opt(LEASE)
            .await
            .expect("read the lease");
        lease.and_then(|it| it.spec).and_then(|it| it.holder_identity).unwrap_or_default()
    }

    /// A tenant with a user and a token `app`.
    async fn tenant(&self) -> Tenant {
        let tenant = Tenant::new(Database::Orders, "leader").await;
        tenant.ready_pair("app", "app").await;
        tenant
    }

    /// Asks for rotations all the time while something happens, so that there is always something to do.
    async fn keep_busy(&self, tenant: &Tenant, happens: impl Future<Output = ()>) {
        let ask = async {
            loop {
                tenant.rotate("app").await;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        tokio::select! {
            () = happens => {}
            () = ask => {}
        }
    }

    /// Both acted, and the second began after the first had ended.
    fn assert_one_after_the_other(&self, first: &Replica, second: &Replica) {
        let (of_first, of_second) = (first.effects(self.world, self.audit), second.effects(self.world, self.audit));
        let last = of_first.iter().max().expect("the first acted");
        let next = of_second.iter().min().expect("the second acted");
        eprintln!("{} and {} effects, {:?} between them", of_first.len(), of_second.len(), next.duration_since(*last));
        assert!(last < next, "the first acted until {last}, the second from {next} on");
    }
}

/// A process that takes part in the election.
struct Replica {
    process: Child,
    name: String,
    /// How the audit log tells its requests.
    token_id: String,
    listen: String,
    _scratch: tempfile::TempDir,
}

impl Replica {
    fn is_ready(&self) -> bool {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(&self.listen) else { return false };
        let mut answer = String::new();
        let asked = write!(stream, "GET /readyz HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_string(&mut answer));
        asked.is_ok() && answer.contains(" 200 OK")
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.expect("kill").success(), "{} does not run", self.name);
    }

    /// Waits until the process has ended, and tells whether it did so in order.
    async fn ended(&mut self) -> bool {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("wait") {
                return status.success();
            }
            assert!(started.elapsed() < Duration::from_secs(15), "{} does not end", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// When it changed anything but its lease, by the apiserver's clock.
    fn effects(&self, world: &World, from: u64) -> Vec<Timestamp> {
        let (lines, _) = world.log("WORLD_AUDIT_LOG", from);
        let is_its = |line: &&Value| line["user"]["extra"][TOKEN_ID][0] == self.token_id.as_str();
        // The review is this test's own question.
        let is_effect = |line: &&Value| {
            let resource = line["objectRef"]["resource"].as_str().unwrap_or_default();
            is_write(line) && !["leases", "selfsubjectreviews"].contains(&resource)
        };
        let times = lines.iter().filter(is_its).filter(is_effect).map(|line| &line["requestReceivedTimestamp"]);
        times.map(|time| time.as_str().expect("a time").parse().expect("a time")).collect()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The id of the token in a kubeconfig, as the apiserver itself tells it.
async fn token_id(kubeconfig: &std::path::Path) -> String {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("kubeconfig");
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("kubeconfig");
    let reviews = Api::<SelfSubjectReview>::all(kube::Client::try_from(config).expect("client"));
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.expect("who am I");
    let extra = review.status.and_then(|it| it.user_info).and_then(|it| it.extra).expect("extra");
    extra[TOKEN_ID].first().expect("an id").clone()
}

async fn issued_at(tenant: &Tenant) -> String {
    let secret = tenant.secret_object("app").await;
    secret.metadata.annotations.expect("annotations")["iamdb.dev/issued-at"].clone()
}

/// Asks for a rotation and waits for the new token. Tokens of one second are one token, so the second of the last one has to be over.
async fn rotate(tenant: &Tenant) {
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let before = issued_at(tenant).await;
    tenant.rotate("app").await;
    until("a new token", Duration::from_secs(30), || async { (issued_at(tenant).await != before).then_some(()) }).await;
}
