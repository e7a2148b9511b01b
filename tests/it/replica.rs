//! Operators that a test starts itself, while the world's own stands still. Each has a token of its own, and the apiserver's audit log tells by which
//! token each request came.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::Value;

use crate::effects::is_write;
use crate::operator::Operator;
use crate::world::{Alone, OPERATOR_NAMESPACE, SOON, TOKEN_ID, World, until};

pub const LEASE: &str = "iamdb-operator";

/// The world without its operator, and what it takes to start others in its stead.
pub struct Stage {
    pub world: &'static World,
    pub client: kube::Client,
    /// Where the audit log ended at the beginning.
    pub audit: u64,
    environment: Vec<(String, String)>,
    operator: Operator,
    turn: Alone<'static>,
}

impl Stage {
    pub async fn set() -> Self {
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
        Self { world, client, audit, environment, operator, turn }
    }

    /// The world's operator runs again, and the turn goes on.
    pub fn clear(self) -> Alone<'static> {
        let Self { operator, turn, .. } = self;
        drop(operator);
        turn
    }

    /// Starts one with further arguments, by way of the forwarder or with a connection of its own, and waits until it is ready.
    pub async fn replica(&self, name: &str, port: u16, is_forwarded: bool, arguments: &[&str]) -> Replica {
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
        let token_id = token_id(&kubeconfig).await;
        let host = self.world.var("WORLD_OPERATOR_URL").trim_start_matches("http://");
        let listen = format!("{}:{port}", host.split(':').next().expect("host"));
        let is_taken = std::net::TcpStream::connect(&listen).is_ok();
        assert!(
            !is_taken,
            "something listens at {listen} already, and would be taken for the replica: is it left from a test that was killed?"
        );
        let log = File::create(self.world.root().join(format!("target/world/log/{name}.log"))).expect("log");
        let mut command = Command::new(self.world.var("WORLD_EXEC"));
        command
            .arg(self.world.root().join("target/world/bin/iamdb"))
            .args(["run", "--operator-namespace", OPERATOR_NAMESPACE, "--listen", &listen, "--identity", name])
            .args(["--allow-loopback-databases", "--resync", "30s", "--log", "debug"])
            .args(["--trust-store-url", self.world.var("WORLD_TRUST_STORE_HTTPS")])
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            // Where the program is, if not in the project.
            .envs(self.world.option("CARGO_TARGET_DIR").map(|folder| ("CARGO_TARGET_DIR", folder)))
            .env("KUBECONFIG", &kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log);
        let started = Instant::now();
        let process = command.spawn().expect("a replica");
        let mut replica = Replica {
            command,
            process,
            name: name.to_owned(),
            token_id,
            listen,
            ready_after: Duration::ZERO,
            _scratch: scratch,
        };
        until("the replica is ready", SOON, || async { replica.is_ready().then_some(()) }).await;
        replica.ready_after = started.elapsed();
        replica
    }

    /// A token of the operator's ServiceAccount.
    async fn token(&self) -> String {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let spec = TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request("iamdb-operator", &PostParams::default(), &request).await;
        answer.expect("a token").status.expect("a token").token
    }

    /// The record of the election.
    pub async fn lease(&self) -> Option<Lease> {
        Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE).get_opt(LEASE).await.expect("read the lease")
    }

    /// Who holds the lease.
    pub async fn leader(&self) -> String {
        self.lease().await.and_then(|it| it.spec).and_then(|it| it.holder_identity).unwrap_or_default()
    }
}

/// A process that takes part in the election.
pub struct Replica {
    command: Command,
    process: Child,
    pub name: String,
    /// How the audit log tells its requests.
    pub token_id: String,
    listen: String,
    /// How long it took from its start until it was ready.
    pub ready_after: Duration,
    _scratch: tempfile::TempDir,
}

impl Replica {
    fn is_ready(&self) -> bool {
        self.ask("/readyz").is_some_and(|answer| answer.contains(" 200 OK"))
    }

    /// Whether it acts, as far as it knows itself.
    pub fn leads(&self) -> bool {
        self.ask("/metrics").is_some_and(|answer| answer.contains("iamdb_leading 1"))
    }

    /// How many tokens it has scheduled, of everybody.
    pub fn tokens(&self) -> Option<usize> {
        self.ask("/metrics")?.lines().find_map(|line| line.strip_prefix("iamdb_tokens ")?.parse().ok())
    }

    /// What it answers to a request for its metrics or a probe; nothing when it does not.
    pub fn ask(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.listen).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut answer = String::new();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// How long it has had a core.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks"));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// Whether its process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("wait").is_some()
    }

    /// Starts it anew after it has ended.
    pub fn start_again(&mut self) {
        self.process = self.command.spawn().expect("a replica");
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.expect("kill").success(), "{} does not run", self.name);
    }

    /// Waits until the process has ended, and tells whether it did so in order.
    pub async fn ended(&mut self) -> bool {
        let process = parking_lot::Mutex::new(&mut self.process);
        let look = || async { process.lock().try_wait().expect("wait") };
        until(&format!("{} has ended", self.name), Duration::from_secs(20), look).await.success()
    }

    /// When it last told of anything.
    pub fn last_words(&self, world: &World) -> Timestamp {
        let log = world.root().join(format!("target/world/log/{}.log", self.name));
        let text = std::fs::read_to_string(log).expect("its log");
        let mut times = text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
        times.next_back().expect("a line with a time")
    }

    /// All that it asked the apiserver for since a byte of the audit log. What it is asked who it is is this test's own question.
    pub fn requests(&self, world: &World, from: u64) -> Vec<Value> {
        let (lines, _) = world.log("WORLD_AUDIT_LOG", from);
        let is_its = |line: &Value| {
            line["user"]["extra"][TOKEN_ID][0] == self.token_id.as_str()
                && line["objectRef"]["resource"] != "selfsubjectreviews"
        };
        lines.into_iter().filter(is_its).collect()
    }

    /// When it changed anything but its lease, by the apiserver's clock.
    pub fn effects(&self, world: &World, from: u64) -> Vec<Timestamp> {
        self.writes(world, from, |line| line["objectRef"]["resource"] != "leases")
    }

    /// When it claimed its lease, prolonged it, or gave it back.
    pub fn claims(&self, world: &World, from: u64) -> Vec<Timestamp> {
        let is_accepted = |line: &Value| line["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
        self.writes(world, from, |line| line["objectRef"]["resource"] == "leases" && is_accepted(line))
    }

    fn writes(&self, world: &World, from: u64, is_meant: impl Fn(&Value) -> bool) -> Vec<Timestamp> {
        let requests = self.requests(world, from);
        let times = requests.iter().filter(|it| is_write(it) && is_meant(it)).map(|it| &it["requestReceivedTimestamp"]);
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
