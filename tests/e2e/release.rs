//! The chart's release: installed, upgraded, hurt and uninstalled.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, EvictParams, ListParams, LogParams};
use serde_json::json;

use crate::TAKEOVER;
use crate::world::{SOON, World, until};

/// Name of the release and of what it makes.
const NAME: &str = "iamdb-operator";

/// Where it is installed.
const NAMESPACE: &str = "iamdb-system";

/// A release in the world.
pub struct Release {
    world: &'static World,
    client: Client,
    /// What helm keeps of its own.
    scratch: tempfile::TempDir,
}

impl Release {
    pub fn new(world: &'static World, client: Client) -> Self {
        Self { world, client, scratch: tempfile::tempdir().expect("scratch folder") }
    }

    /// Makes the role that the operator's ServiceAccount may assume; one from an earlier run will do.
    pub async fn make_role(&self) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/kubernetes.default.svc"},
            "Condition": {"StringEquals": {
                "kubernetes.default.svc:sub": format!("system:serviceaccount:{NAMESPACE}:{NAME}"),
                "kubernetes.default.svc:aud": "sts.amazonaws.com"}}}]});
        let iam = aws_sdk_iam::Client::new(&self.world.aws());
        let made = iam.create_role().role_name(NAME).assume_role_policy_document(trust.to_string()).send().await;
        assert!(
            made.as_ref().err().is_none_or(|it| it
                .as_service_error()
                .is_some_and(aws_sdk_iam::operation::create_role::CreateRoleError::is_entity_already_exists_exception)),
            "{made:?}"
        );
    }

    /// Installs the packed chart, and waits until all replicas are ready.
    pub fn install(&self) {
        self.helm(&["install", NAME, self.world.var("IAMDB_E2E_CHART"), "--wait", "--timeout=90s"], true);
    }

    /// Changes what makes other pods, and waits until they are ready.
    pub fn upgrade(&self) {
        let chart = self.world.var("IAMDB_E2E_CHART");
        self.helm(
            &[
                "upgrade",
                NAME,
                chart,
                "--set",
                "log.level=debug",
                "--set",
                "log.format=text",
                "--wait",
                "--timeout=90s",
            ],
            true,
        );
    }

    /// Narrows it to one namespace and takes its watch of Secrets, and waits until the pods are ready.
    pub fn narrow(&self, namespace: &str) {
        let (chart, scope) = (self.world.var("IAMDB_E2E_CHART"), format!("scope.namespaces={{{namespace}}}"));
        let narrow =
            ["upgrade", NAME, chart, "--set", &scope, "--set", "secrets.watch=false", "--wait", "--timeout=90s"];
        self.helm(&narrow, true);
    }

    /// Uninstalls it, and waits until nothing runs any more, and no Lease is left.
    pub async fn uninstall(&self) {
        self.helm(&["uninstall", NAME, "--wait", "--timeout=90s"], false);
        self.gone().await;
        let leases = Api::<Lease>::namespaced(self.client.clone(), NAMESPACE);
        until("no Lease is left", SOON, || async {
            leases.get_opt(NAME).await.expect("get Lease").is_none().then_some(())
        })
        .await;
    }

    pub async fn uninstall_if_there(&self) {
        self.helm(&["uninstall", NAME, "--ignore-not-found", "--wait", "--timeout=90s"], false);
        self.gone().await;
    }

    async fn gone(&self) {
        until("no replica runs", SOON, || async {
            self.pods().list(&ListParams::default()).await.expect("list Pods").items.is_empty().then_some(())
        })
        .await;
    }

    /// The pod that leads.
    pub async fn leader(&self) -> Option<String> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), NAMESPACE);
        leases.get_opt(NAME).await.expect("get Lease")?.spec?.holder_identity.filter(|holder| !holder.is_empty())
    }

    /// The same, unless it is being deleted: helm waits for those that come alone.
    async fn staying_leader(&self) -> Option<String> {
        let pod = self.pods().get_opt(&self.leader().await?).await.expect("get Pod")?;
        pod.metadata.name.filter(|_| pod.metadata.deletion_timestamp.is_none())
    }

    /// Ends the leader's process as the kernel would: nothing is finished, nothing is said. Returns its pod's name once the kubelet has started it again.
    pub async fn kill_leader(&self) -> String {
        let leader = until("some replica leads that stays", TAKEOVER, || self.staying_leader()).await;
        let (container, restarts) = self.container(&leader).await.expect("the status of its container");
        let killed = Command::new("kill").args(["-9", &process_of(&container).to_string()]).status();
        assert!(killed.expect("kill").success(), "the leader does not run");
        until("the kubelet starts it again", SOON, || async {
            (self.container(&leader).await?.1 > restarts).then_some(())
        })
        .await;
        leader
    }

    /// How long a pod took from the start of its process until its watches had caught up.
    pub async fn time_to_catch_up(&self, pod: &str) -> Duration {
        let (container, _) = self.container(pod).await.expect("the status of its container");
        let started = start_of(process_of(&container));
        let with_times = LogParams { timestamps: true, ..LogParams::default() };
        let caught_up: Timestamp = until("the pod's watches have caught up", SOON, || async {
            let text = self.pods().logs(pod, &with_times).await.ok()?;
            let line = text.lines().find(|line| line.contains("watches have caught up"))?;
            line.split_whitespace().next()?.parse().ok()
        })
        .await;
        Duration::try_from(caught_up.duration_since(started)).unwrap_or_default()
    }

    /// The id of a pod's container, and how often it was started again.
    async fn container(&self, pod: &str) -> Option<(String, i32)> {
        let pod = self.pods().get_opt(pod).await.expect("get Pod")?;
        let status = pod.status?.container_statuses?.into_iter().next()?;
        Some((status.container_id?.strip_prefix("containerd://")?.to_owned(), status.restart_count))
    }

    /// Evicts the leader's pod, as draining its node would, and returns its name.
    pub async fn evict_leader(&self) -> String {
        let leader = until("some replica leads that stays", TAKEOVER, || self.staying_leader()).await;
        // The budget allows it when all replicas are ready.
        until("the pod may be evicted", SOON, || async {
            match self.pods().evict(&leader, &EvictParams::default()).await {
                Ok(_) => Some(()),
                Err(kube::Error::Api(status)) if status.code == 429 => None,
                Err(error) => panic!("evict {leader}: {error}"),
            }
        })
        .await;
        leader
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn helm(&self, args: &[&str], with_values: bool) {
        let mut command = self.world.command(self.world.var("IAMDB_E2E_HELM"));
        for kept in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(kept, self.scratch.path());
        }
        command.args(args).args(["--namespace", NAMESPACE]).stdout(Stdio::null());
        if with_values {
            command.arg("--values").arg(self.world.root().join("tests/e2e/values.yaml"));
        }
        assert!(command.status().expect("helm").success(), "helm {args:?} failed");
    }
}

/// The process of a container: the control group says whose it is.
fn process_of(container: &str) -> u32 {
    let processes = std::fs::read_dir("/proc").expect("processes");
    let paths: Vec<PathBuf> = processes.filter_map(|it| it.ok().map(|it| it.path())).collect();
    let found = paths.iter().find_map(|path| {
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        std::fs::read_to_string(path.join("cgroup")).ok()?.contains(container).then_some(pid)
    });
    found.unwrap_or_else(|| panic!("no process of the container {container}"))
}

/// When a process was started, to a hundredth of a second.
#[allow(clippy::disallowed_methods, reason = "tests are outside, where the time comes from")]
fn start_of(pid: u32) -> Timestamp {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let stat = read(&format!("/proc/{pid}/stat"));
    // The name stands in brackets and may hold anything; the start is the 22nd field, in hundredths of a second since the machine's.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let began: f64 = fields[19].parse().expect("when it began");
    let uptime = read("/proc/uptime");
    let up: f64 = uptime.split_whitespace().next().unwrap_or_default().parse().expect("an uptime");
    Timestamp::now() - Duration::from_secs_f64(up - began / 100.0)
}
