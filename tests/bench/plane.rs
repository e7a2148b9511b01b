//! The apiserver as the benchmark sees it, and the meters of a run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use iamdb::api::DbAuthToken;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::audit::{Request, Tail};
use crate::operator::Operator;
use crate::process::{Process, machine_cpu};
use crate::world::World;

/// The benchmark is a ServiceAccount like the operator, so that the apiserver treats both alike.
const NAME: &str = "iamdb-bench";
pub const USER: &str = "system:serviceaccount:iamdb-system:iamdb-bench";
const NAMESPACE: &str = "iamdb-system";

/// What the benchmark works on.
pub struct Plane {
    pub world: &'static World,
    /// The apiserver, as the benchmark's ServiceAccount.
    pub client: Client,
    pub operator_kubeconfig: PathBuf,
    apiserver: Process,
    etcd: Process,
}

/// CPU seconds since some moment, of everybody that takes part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub operator: f64,
    pub bench: f64,
    pub apiserver: f64,
    pub etcd: f64,
    machine: f64,
}

/// Measures from its making on.
pub struct Meter<'p> {
    plane: &'p Plane,
    operator: Option<Process>,
    started: Instant,
    before: Cpu,
    tail: Tail,
    /// What was asked since.
    pub requests: Vec<Request>,
}

impl Plane {
    /// The running world, without its own operator.
    pub async fn take() -> Self {
        let world = World::get();
        world.control(&["operator", "--stop"]);
        let admin = world.kube().await;
        let others = Api::<DbAuthToken>::all(admin.clone()).list_metadata(&ListParams::default().limit(1)).await;
        let is_empty = others.expect("tokens").items.is_empty();
        assert!(is_empty, "the world has tokens, which would be counted: begin with `make world-down world`");
        let folder = world.root().join("target/bench");
        std::fs::create_dir_all(&folder).expect("target/bench");
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}});
        let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), NAMESPACE);
        accounts.patch(NAME, &PatchParams::apply(NAME), &Patch::Apply(&account)).await.expect("ServiceAccount");
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        });
        let bindings = Api::<k8s_openapi::api::rbac::v1::ClusterRoleBinding>::all(admin);
        bindings.patch(NAME, &PatchParams::apply(NAME), &Patch::Apply(&binding)).await.expect("ClusterRoleBinding");
        let own = kubeconfig(world, &accounts, NAME, &folder).await;
        let operator_kubeconfig = kubeconfig(world, &accounts, "iamdb-operator", &folder).await;
        let own = Kubeconfig::read_from(own).expect("kubeconfig");
        let config = Config::from_custom_kubeconfig(own, &KubeConfigOptions::default()).await.expect("kubeconfig");
        let client = Client::try_from(config).expect("client");
        let process = |name: &str| Process::of_file(&world.root().join(format!("target/world/run/{name}.pid")));
        Self { world, client, operator_kubeconfig, apiserver: process("kube-apiserver"), etcd: process("etcd") }
    }

    /// Starts the operator.
    pub fn operator(&self) -> Operator {
        Operator::start(self.world, &self.operator_kubeconfig)
    }

    /// Begins to measure.
    pub fn meter(&self, operator: Option<&Operator>) -> Meter<'_> {
        let operator = operator.map(Operator::process);
        let tail = Tail::from_now(self.world.var("WORLD_AUDIT_LOG"));
        let before = self.cpu(operator);
        Meter { plane: self, operator, started: Instant::now(), before, tail, requests: Vec::new() }
    }

    fn cpu(&self, operator: Option<Process>) -> Cpu {
        Cpu {
            operator: operator.map_or(0.0, Process::cpu),
            bench: Process::own().cpu(),
            apiserver: self.apiserver.cpu(),
            etcd: self.etcd.cpu(),
            machine: machine_cpu(),
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.world.control(&["operator", "--no-build"]);
    }
}

impl Meter<'_> {
    /// Measures an operator that was just started, too.
    pub fn watch(&mut self, operator: &Operator) {
        self.operator = Some(operator.process());
    }

    /// Seconds since it began.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// CPU time since it began.
    pub fn cpu(&self) -> Cpu {
        let now = self.plane.cpu(self.operator);
        Cpu {
            operator: now.operator - self.before.operator,
            bench: now.bench - self.before.bench,
            apiserver: now.apiserver - self.before.apiserver,
            etcd: now.etcd - self.before.etcd,
            machine: now.machine - self.before.machine,
        }
    }

    /// Cores that somebody else had since it began: the noise of the figures.
    pub fn foreign_cores(&self) -> f64 {
        let cpu = self.cpu();
        ((cpu.machine - cpu.operator - cpu.bench - cpu.apiserver - cpu.etcd) / self.seconds()).max(0.0)
    }

    /// Reads on in the audit log.
    pub fn look(&mut self) {
        self.requests.extend(self.tail.read());
    }

    /// What the operator asked.
    pub fn operators(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|it| it.is_operators())
    }

    /// Secrets that the operator wrote.
    pub fn written(&self) -> usize {
        self.operators().filter(|it| it.is_secret_written()).count()
    }

    /// Waits until the operator wrote so many Secrets.
    pub async fn until_written(&mut self, secrets: usize, patience: Duration) {
        while self.written() < secrets {
            let (written, waited) = (self.written(), self.started.elapsed());
            assert!(waited < patience, "{written} of {secrets} Secrets after {waited:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.look();
        }
    }

    /// Waits until the operator has asked nothing for a while, watches aside. Tells when, in seconds since the beginning, it asked last.
    pub async fn until_quiet(&mut self, quiet: Duration, patience: Duration) -> f64 {
        let asked = |it: &Self| it.operators().filter(|it| it.is_write() || it.is_read()).count();
        let (mut last, mut since) = (asked(self), Instant::now());
        while since.elapsed() < quiet {
            assert!(self.started.elapsed() < patience, "the operator does not come to rest within {patience:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.look();
            if asked(self) != last {
                (last, since) = (asked(self), Instant::now());
            }
        }
        since.duration_since(self.started).as_secs_f64()
    }
}

/// A kubeconfig for a ServiceAccount of the operator's namespace, straight to the apiserver.
async fn kubeconfig(world: &World, accounts: &Api<ServiceAccount>, name: &str, folder: &Path) -> PathBuf {
    let spec = TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.expect("token");
    let token = answer.status.expect("token").token;
    let admin = Kubeconfig::read_from(world.var("KUBECONFIG")).expect("kubeconfig");
    let mut text: Value = serde_json::to_value(admin).expect("kubeconfig");
    for user in text["users"].as_array_mut().expect("users") {
        user["user"] = json!({"token": token});
    }
    let path = folder.join(format!("{name}.kubeconfig"));
    std::fs::write(&path, text.to_string()).expect("kubeconfig");
    path
}
