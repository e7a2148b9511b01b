//! The test world as the tests see it: where things are, and hands to look at them with.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What a change may take until it shows: more than any wait of the operator's and of the garbage collector's, also on a machine that has others to serve.
pub const SOON: Duration = Duration::from_secs(120);

/// Namespace of the operator.
pub const OPERATOR_NAMESPACE: &str = "iamdb-system";

/// Where the audit log tells the id of the token that a request came with.
pub const TOKEN_ID: &str = "authentication.kubernetes.io/credential-id";

/// A running test world.
pub struct World {
    env: HashMap<String, String>,
    root: PathBuf,
    turn: RwLock<()>,
    /// When tests were alone; the last one is without end while it runs.
    alone: Mutex<Vec<(Instant, Option<Instant>)>>,
    /// Ids of tokens whose requests are judged by the test that made them.
    apart: Mutex<HashSet<String>>,
    /// Where the logs of the apiserver and of AWS ended when the tests began.
    beginning: HashMap<&'static str, u64>,
}

/// The turn of a test that runs alone.
pub struct Alone<'w> {
    world: &'w World,
    _turn: RwLockWriteGuard<'w, ()>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut spans = self.world.alone.lock();
        if let Some((_, end)) = spans.last_mut() {
            *end = Some(Instant::now());
        }
    }
}

/// One of the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// MySQL 8.0, DB instance `orders`.
    Orders,
    /// MariaDB 10.11, DB instance `billing`.
    Billing,
    /// MySQL 8.0, the writer of DB cluster `ledger`: its endpoint, and the member that writes at the beginning.
    Ledger,
    /// MySQL 8.0 that folds names to lower case, DB instance `catalog`.
    Catalog,
}

impl Database {
    /// The DB instances.
    pub const BOTH: [Self; 2] = [Self::Orders, Self::Billing];

    /// Identifier of the DB instance or cluster, which is also the name of a database in it.
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Billing => "billing",
            Self::Ledger => "ledger",
            Self::Catalog => "catalog",
        }
    }

    /// Variable that names its general query log.
    pub const fn log(self) -> &'static str {
        match self {
            Self::Orders => "WORLD_ORDERS_LOG",
            Self::Billing => "WORLD_BILLING_LOG",
            Self::Ledger => "WORLD_LEDGER_LOG",
            Self::Catalog => "WORLD_CATALOG_LOG",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Orders => "ORDERS",
            Self::Billing => "BILLING",
            Self::Ledger => "LEDGER",
            Self::Catalog => "CATALOG",
        }
    }

    pub const fn client(self) -> &'static str {
        match self {
            Self::Orders | Self::Ledger | Self::Catalog => "mysql",
            Self::Billing => "mariadb",
        }
    }
}

impl World {
    /// The world that `make world` started.
    pub fn get() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(|| {
            let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            let file = root.join("target/world/env");
            assert!(file.exists(), "there is no test world: run `make world` first, or `make it`");
            let script = format!("set -a; . '{}'; env -0", file.display());
            let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
            assert!(output.status.success(), "{} cannot be sourced", file.display());
            let env = String::from_utf8(output.stdout).expect("the environment is text");
            let env = env.split('\0').filter_map(|pair| pair.split_once('='));
            let env: HashMap<_, _> = env.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let end = |name: &'static str| (name, std::fs::metadata(&env[name]).map_or(0, |file| file.len()));
            let beginning = ["WORLD_AUDIT_LOG", "WORLD_AWS_LOG"].map(end).into();
            Self { env, root, turn: RwLock::new(()), alone: Mutex::default(), apart: Mutex::default(), beginning }
        })
    }

    /// For tests that run beside others.
    pub async fn together(&self) -> RwLockReadGuard<'_, ()> {
        self.turn.read().await
    }

    /// For tests that stop the operator, break something shared, or count what everybody does. One test goes on beside them, because it takes
    /// minutes: that of the rotation, in namespaces of its own ([`crate::a_rotation::NAMESPACES`]).
    pub async fn alone(&self) -> Alone<'_> {
        let turn = self.turn.write().await;
        self.alone.lock().push((Instant::now(), None));
        Alone { world: self, _turn: turn }
    }

    /// What is asked for with this token is judged by the test that made it: it has other rights.
    pub fn judge_apart(&self, token_id: &str) {
        self.apart.lock().insert(token_id.to_owned());
    }

    /// Whether a line of the audit log is judged elsewhere.
    pub fn is_judged_apart(&self, line: &Value) -> bool {
        let id = &line["user"]["extra"][TOKEN_ID][0];
        id.as_str().is_some_and(|id| self.apart.lock().contains(id))
    }

    /// Whether some test was alone between two instants, or shortly before.
    pub fn was_disturbed(&self, from: Instant, to: Instant) -> bool {
        const AFTERMATH: Duration = Duration::from_secs(35);
        let spans = self.alone.lock();
        spans.iter().any(|(start, end)| *start <= to && end.is_none_or(|end| end + AFTERMATH >= from))
    }

    /// A variable of the world's environment.
    pub fn var(&self, name: &str) -> &str {
        self.env.get(name).unwrap_or_else(|| panic!("target/world/env does not set {name}"))
    }

    /// A variable that the one who runs the tests may set.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// Root of the project.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The apiserver, as administrator. Each test has a runtime of its own, so each has a client of its own.
    pub async fn kube(&self) -> kube::Client {
        kube::Client::try_from(self.kubeconfig().await).expect("client")
    }

    /// The apiserver, as somebody else: with their rights, and judged by the admission policies as they are.
    pub async fn kube_as(&self, user: &str) -> kube::Client {
        kube::Client::try_from(self.config_as(user).await).expect("client")
    }

    /// How somebody else asks the apiserver.
    pub async fn config_as(&self, user: &str) -> kube::Config {
        let mut config = self.kubeconfig().await;
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
        config
    }

    async fn kubeconfig(&self) -> kube::Config {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubeconfig = kube::config::Kubeconfig::read_from(self.var("KUBECONFIG")).expect("kubeconfig");
        let options = kube::config::KubeConfigOptions::default();
        kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("kubeconfig")
    }

    /// AWS, as `world-admin`.
    pub fn aws(&self) -> aws_config::SdkConfig {
        use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build_https();
        let credentials = aws_credential_types::Credentials::new(
            self.var("AWS_ACCESS_KEY_ID"),
            self.var("AWS_SECRET_ACCESS_KEY"),
            None,
            None,
            "world",
        );
        aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .endpoint_url(self.var("AWS_ENDPOINT_URL"))
            .region(aws_config::Region::new(self.var("AWS_REGION").to_owned()))
            .http_client(http)
            .build()
    }

    /// Host name of a database's endpoint.
    pub fn host(&self, database: Database) -> &str {
        self.var(&format!("WORLD_{}_HOST", database.variable()))
    }

    /// A command that runs where the endpoint names resolve.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.var("WORLD_EXEC"));
        command.arg(program).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// What `iamdb` prints; an error when it fails.
    pub fn iamdb(&self, args: &[&str]) -> Result<String, String> {
        text_of(&self.command("iamdb").args(args).output().expect("iamdb"))
    }

    /// Runs a statement as root over the server's UNIX socket, and returns the rows as text, fields parted by tabs.
    pub fn root_sql(&self, database: Database, sql: &str) -> String {
        let socket = self.var(&format!("WORLD_{}_SOCKET", database.variable()));
        let output = Command::new(database.client())
            .env_clear()
            .envs(&self.env)
            .args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"])
            .arg(format!("--socket={socket}"))
            .arg("--execute")
            .arg(sql)
            .output()
            .expect("database client");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// Runs a statement as a pod would: with the client's option file alone.
    pub fn client_sql(&self, database: Database, option_file: &Path, sql: &str) -> Result<String, String> {
        let output = self
            .command(database.client())
            .arg(format!("--defaults-extra-file={}", option_file.display()))
            .args(["--batch", "--skip-column-names", "--connect-timeout=60", "--execute", sql])
            .output()
            .expect("database client");
        text_of(&output)
    }

    /// Runs kubectl as administrator, from the project's root.
    #[allow(dead_code, reason = "for the end-to-end test, which shares this file")]
    pub fn kubectl(&self, args: &[&str]) {
        let status = self.command("kubectl").args(args).current_dir(&self.root).stdout(Stdio::null()).status();
        assert!(status.expect("kubectl").success(), "kubectl {args:?} failed");
    }

    /// Runs a command of the world's own program, which controls the operator.
    pub fn control(&self, args: &[&str]) {
        let program = self.root.join("target/world-bin/world");
        let status = Command::new(program).args(args).current_dir(&self.root).stdout(Stdio::null()).status();
        assert!(status.expect("world").success(), "world {args:?} failed");
    }

    /// Process id of the operator.
    pub fn operator_pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.var("WORLD_OPERATOR_PID")).expect("the operator runs");
        text.split_whitespace().next().expect("a process id").parse().expect("a process id")
    }

    /// JSON lines of one of the world's logs from a byte on, and where the log ends now.
    pub fn log(&self, name: &str, from: u64) -> (Vec<Value>, u64) {
        self.log_about("", name, from)
    }

    /// The same, of lines in which a text stands: to read minutes of the audit log takes longer than to look through them.
    pub fn log_about(&self, about: &str, name: &str, from: u64) -> (Vec<Value>, u64) {
        let text = std::fs::read(self.var(name)).unwrap_or_default();
        let from = usize::try_from(from).expect("offset");
        assert!(from <= text.len(), "{name} was begun anew");
        // A line that is being written is read next time.
        let end = text.iter().rposition(|&byte| byte == b'\n').map_or(from, |at| at + 1).max(from);
        let lines = text[from..end].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines
            .filter(|line| String::from_utf8_lossy(line).contains(about))
            .map(|line| serde_json::from_slice(line).expect("a JSON line"))
            .collect();
        (lines, end as u64)
    }

    /// What a log of the apiserver or of AWS tells since the tests began.
    pub fn whole_log(&self, name: &str) -> Vec<Value> {
        self.log(name, self.beginning[name]).0
    }

    /// Where a log ends now: behind its last whole line, since whoever reads on from there begins with a line.
    pub fn log_end(&self, name: &str) -> u64 {
        use std::io::{Read, Seek, SeekFrom};
        const LONGEST_LINE: u64 = 1 << 16;
        let Ok(mut file) = std::fs::File::open(self.var(name)) else { return 0 };
        let from = file.metadata().expect("metadata").len().saturating_sub(LONGEST_LINE);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut tail)).expect("read");
        let end = tail.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        from + end as u64
    }

    /// What the operator wrote from a byte of the audit log on, in a namespace or to objects whose names begin with its name: `patch
    /// dbservers/status t-x`.
    pub fn operator_writes(&self, from: u64, tenant: &str) -> Vec<String> {
        let (lines, _) = self.log_about(tenant, "WORLD_AUDIT_LOG", from);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_write = |line: &Value| {
            let by_operator = text(&line["user"]["username"]).ends_with(":iamdb-operator");
            by_operator && ["create", "update", "patch", "delete"].contains(&text(&line["verb"]).as_str())
        };
        let is_about = |line: &Value| {
            let object = &line["objectRef"];
            object["namespace"] == tenant || text(&object["name"]).starts_with(tenant)
        };
        let lines = lines.iter().filter(|line| is_write(line) && is_about(line));
        let told = lines.map(|line| {
            let object = &line["objectRef"];
            let (resource, part) = (text(&object["resource"]), text(&object["subresource"]));
            format!("{} {resource}/{part} {}", text(&line["verb"]), text(&object["name"]))
        });
        told.collect()
    }

    /// Where the audit log ends once the operator has written nothing about a tenant for two seconds: the log tells of a status after others
    /// have seen it, and an Event comes after its status.
    pub async fn settled(&self, tenant: &str) -> u64 {
        until(&format!("the operator writes nothing about {tenant}"), SOON, || async {
            let from = self.log_end("WORLD_AUDIT_LOG");
            tokio::time::sleep(Duration::from_secs(2)).await;
            self.operator_writes(from, tenant).is_empty().then_some(from)
        })
        .await
    }

    /// Asks one of the world's HTTP endpoints, and returns its answer: JSON, or else the text.
    pub fn ask(&self, endpoint: &str, method: &str, path: &str, body: &Value) -> Value {
        use std::io::{Read, Write};
        let address = self.var(endpoint).strip_prefix("http://").expect("an HTTP address");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = std::net::TcpStream::connect(address).expect("connect");
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|_| Value::from(body))
    }

    /// Text of one of the world's logs from a byte on, and where it ends now.
    pub fn text_log(&self, name: &str, from: u64) -> (String, u64) {
        let text = std::fs::read(self.var(name)).unwrap_or_default();
        let from = usize::try_from(from).expect("offset").min(text.len());
        (String::from_utf8_lossy(&text[from..]).into_owned(), text.len() as u64)
    }
}

/// What a client printed. MariaDB's tells on its standard output that an option meant for MySQL's is obsolete.
fn text_of(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("is obsolete")).collect();
        lines.join("\n")
    };
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Tries until there is an answer. `what` is what is waited for, for the message when it does not come.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, patience: Duration, look: impl FnMut() -> F) -> T {
    patiently(patience, look).await.unwrap_or_else(|| panic!("not within {patience:?}: {what}"))
}

/// Tries until there is an answer, or the patience is at an end. Where the machine stands still, and everybody with it, nobody lost patience: a
/// single look, or the pause before the next, never takes more than a share of it.
pub async fn patiently<T, F: Future<Output = Option<T>>>(patience: Duration, mut look: impl FnMut() -> F) -> Option<T> {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut spent = Duration::ZERO;
    loop {
        let began = Instant::now();
        if let Some(answer) = look().await {
            return Some(answer);
        }
        if spent >= patience {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
        spent += began.elapsed().min(patience / 8 + PAUSE);
    }
}
