//! The chart's release: installed, upgraded, hurt and uninstalled.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, EvictParams, ListParams};
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

    /// Ends the leader's process as the kernel would: nothing is finished, nothing is said.
    pub async fn kill_leader(&self) {
        let leader = until("some replica leads", TAKEOVER, || self.leader()).await;
        let pod = self.pods().get(&leader).await.expect("get Pod");
        let status = pod.status.and_then(|it| it.container_statuses).expect("the status of its container");
        let id = status[0]
            .container_id
            .as_deref()
            .and_then(|id| id.strip_prefix("containerd://"))
            .expect("an id")
            .to_owned();
        let pid = process_of(&id).to_string();
        let killed = Command::new("kill").args(["-9", &pid]).status();
        assert!(killed.expect("kill").success(), "the leader does not run");
        until("the kubelet starts it again", SOON, || async {
            let pod = self.pods().get_opt(&leader).await.expect("get Pod")?;
            (pod.status?.container_statuses?[0].restart_count == 1).then_some(())
        })
        .await;
    }

    /// Evicts the leader's pod, as draining its node would, and returns its name.
    pub async fn evict_leader(&self) -> String {
        let leader = until("some replica leads", TAKEOVER, || self.leader()).await;
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
