//! The apiserver as the benchmark sees it, and the meters of a run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use iamdb::api::DbAuthToken;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::audit::{Request, Tail};
use crate::operator::{Operator, Program};
use crate::process::{Process, machine_cpu};
use crate::world::World;

/// The operator's ServiceAccount.
const OPERATOR: (&str, &str) = (NAMESPACE, "iamdb-operator");

/// A peer's. The world's audit policy knows the namespace.
const PEER: (&str, &str) = ("bench-peer", "operator");

/// The benchmark is a ServiceAccount like the operator, so that the apiserver treats both alike.
const NAME: &str = "iamdb-bench";
pub const USER: &str = "system:serviceaccount:iamdb-system:iamdb-bench";
const NAMESPACE: &str = "iamdb-system";

/// CPU seconds of a tenth of a second from which on an operator works. At rest it takes less: it renews its lease.
const WORK: f64 = 0.02;

/// What the benchmark works on.
pub struct Plane {
    pub world: &'static World,
    /// The apiserver, as the benchmark's ServiceAccount.
    pub client: Client,
    /// The same for a program.
    pub kubeconfig: PathBuf,
    /// The operator of this project.
    pub ours: Program,
    apiserver: Process,
    etcd: Process,
    controllers: Process,
}

/// CPU seconds since some moment, of everybody that takes part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub operator: f64,
    pub bench: f64,
    pub apiserver: f64,
    pub etcd: f64,
    controllers: f64,
    machine: f64,
}

/// Measures from its making on.
pub struct Meter<'p> {
    plane: &'p Plane,
    /// Who the operator is to the apiserver.
    user: String,
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
        std::fs::create_dir_all(world.root().join("target/bench")).expect("target/bench");
        make_account(&admin, (NAMESPACE, NAME)).await;
        let kubeconfig = kubeconfig_of(world, &admin, (NAMESPACE, NAME)).await;
        let ours = Program::ours(world, OPERATOR, &kubeconfig_of(world, &admin, OPERATOR).await);
        let own = Kubeconfig::read_from(&kubeconfig).expect("kubeconfig");
        let config = Config::from_custom_kubeconfig(own, &KubeConfigOptions::default()).await.expect("kubeconfig");
        let client = Client::try_from(config).expect("client");
        let process = |name: &str| Process::of_file(&world.root().join(format!("target/world/run/{name}.pid")));
        let (apiserver, etcd) = (process("kube-apiserver"), process("etcd"));
        Self { world, client, kubeconfig, ours, apiserver, etcd, controllers: process("kube-controller-manager") }
    }

    /// Starts the operator.
    pub fn operator(&self) -> Operator {
        self.ours.start()
    }

    /// Begins to measure.
    pub fn meter(&self, operator: Option<&Operator>) -> Meter<'_> {
        self.meter_of(&self.ours, operator)
    }

    /// Begins to measure what may be another operator.
    pub fn meter_of(&self, program: &Program, operator: Option<&Operator>) -> Meter<'_> {
        let operator = operator.map(Operator::process);
        let tail = Tail::from_now(self.world.var("WORLD_AUDIT_LOG"), &program.user);
        let (user, before) = (program.user.clone(), self.cpu(operator));
        Meter { plane: self, user, operator, started: Instant::now(), before, tail, requests: Vec::new() }
    }

    /// What such a command starts, as a peer with all rights; nothing when the world had one before.
    pub async fn peer(&self, command: impl Fn(&Path) -> Command + 'static) -> Option<Program> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if namespaces.get_opt(PEER.0).await.expect("namespace").is_some() {
            return None;
        }
        make_account(&self.client, PEER).await;
        let kubeconfig = kubeconfig_of(self.world, &self.client, PEER).await;
        let log = kubeconfig.with_file_name("peer.log");
        Some(Program::new(PEER, log, move || command(&kubeconfig)))
    }

    /// Deletes namespaces with what is in them, and waits until they are gone: what is measured next is not measured beside it.
    pub async fn remove_namespaces(&self, names: Vec<String>) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        for name in &names {
            namespaces.delete(name, &DeleteParams::default()).await.expect("delete namespace");
        }
        for name in &names {
            while namespaces.get_opt(name).await.expect("namespace").is_some() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    fn cpu(&self, operator: Option<Process>) -> Cpu {
        Cpu {
            operator: operator.map_or(0.0, Process::cpu),
            bench: Process::own().cpu(),
            apiserver: self.apiserver.cpu(),
            etcd: self.etcd.cpu(),
            controllers: self.controllers.cpu(),
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
            controllers: now.controllers - self.before.controllers,
            machine: now.machine - self.before.machine,
        }
    }

    /// Cores that somebody else had since it began: the noise of the figures.
    pub fn foreign_cores(&self) -> f64 {
        let cpu = self.cpu();
        let known = cpu.operator + cpu.bench + cpu.apiserver + cpu.etcd + cpu.controllers;
        ((cpu.machine - known) / self.seconds()).max(0.0)
    }

    /// Reads on in the audit log.
    pub fn look(&mut self) {
        assert!(self.operator.is_none_or(Process::is_alive), "the operator ended: its log in target/bench tells why");
        self.requests.extend(self.tail.read());
    }

    /// What the operator asked.
    pub fn operators(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|it| it.is_of(&self.user))
    }

    /// Secrets that the operator wrote.
    pub fn written(&self) -> usize {
        self.count(Request::is_secret_written)
    }

    /// What the operator asked of a sort.
    pub fn count(&self, is_it: fn(&Request) -> bool) -> usize {
        self.operators().filter(|it| is_it(it)).count()
    }

    /// Waits until the operator wrote so many Secrets.
    pub async fn until_written(&mut self, secrets: usize, patience: Duration) {
        self.until(secrets, Request::is_secret_written, patience).await;
    }

    /// Waits until the operator asked so often for something of a sort.
    pub async fn until(&mut self, count: usize, is_it: fn(&Request) -> bool, patience: Duration) {
        while self.count(is_it) < count {
            let (done, waited) = (self.count(is_it), self.started.elapsed());
            assert!(waited < patience, "{done} of {count} Secrets after {waited:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.look();
        }
    }

    /// Waits until the operator has neither asked for anything nor worked for a while: what a watch tells is asked for once, and keeps it busy all
    /// the same. Tells when, in seconds since the beginning, it did last.
    pub async fn until_quiet(&mut self, quiet: Duration, patience: Duration) -> f64 {
        let asked = |it: &Self| it.operators().filter(|it| it.is_write() || it.is_read()).count();
        let cpu = |it: &Self| it.operator.map_or(0.0, Process::cpu);
        let (mut last, mut used, mut since) = (asked(self), cpu(self), Instant::now());
        while since.elapsed() < quiet {
            assert!(self.started.elapsed() < patience, "the operator does not come to rest within {patience:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.look();
            let before = std::mem::replace(&mut used, cpu(self));
            if asked(self) != last || used - before >= WORK {
                (last, since) = (asked(self), Instant::now());
            }
        }
        since.duration_since(self.started).as_secs_f64()
    }
}

/// Makes a ServiceAccount that may do everything.
async fn make_account(admin: &Client, (namespace, name): (&str, &str)) {
    let apply = PatchParams::apply(NAME);
    let folder = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let namespaces = Api::<Namespace>::all(admin.clone());
    namespaces.patch(namespace, &apply, &Patch::Apply(&folder)).await.expect("Namespace");
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), namespace);
    accounts.patch(name, &apply, &Patch::Apply(&account)).await.expect("ServiceAccount");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("{namespace}-{name}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    });
    let bindings = Api::<ClusterRoleBinding>::all(admin.clone());
    let bound = bindings.patch(&format!("{namespace}-{name}"), &apply, &Patch::Apply(&binding)).await;
    bound.expect("ClusterRoleBinding");
}

/// A kubeconfig for a ServiceAccount, straight to the apiserver.
async fn kubeconfig_of(world: &World, admin: &Client, (namespace, name): (&str, &str)) -> PathBuf {
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.expect("token");
    let token = answer.status.expect("token").token;
    let admin = Kubeconfig::read_from(world.var("KUBECONFIG")).expect("kubeconfig");
    let mut text: Value = serde_json::to_value(admin).expect("kubeconfig");
    for user in text["users"].as_array_mut().expect("users") {
        user["user"] = json!({"token": token});
    }
    let path = world.root().join(format!("target/bench/{namespace}-{name}.kubeconfig"));
    std::fs::write(&path, text.to_string()).expect("kubeconfig");
    path
}
