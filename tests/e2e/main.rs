//! The operator as it is run: its image, installed by the chart, on a node with a real kubelet; judged by pods with stock clients.
//!
//! `make e2e` starts the test world, gives it a node, packs image and chart, and runs this. There is one test: what it does to the operator it
//! does one after the other, and the pods log in all the while.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_in_result, reason = "a test that cannot go on ends")]
#![allow(unreachable_pub, reason = "nothing here is for other crates; pub tells a module's face from its inside")]

mod clients;
mod foreign;
mod release;
#[allow(dead_code, reason = "the integration tests use all of it")]
#[path = "../it/world.rs"]
mod world;

use std::time::{Duration, Instant};

use futures::future::join_all;
use iamdb::api::{DbAuthToken, DbServer, IamDbUser};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use clients::Clients;
use foreign::Foreign;
use release::Release;
use world::{Database, SOON, World, until};

/// The namespace of the examples.
const NAMESPACE: &str = "shop";

/// A kubelet looks at a pod's volumes every 60 to 90 seconds; the rest is what a busy machine adds.
const KUBELET: Duration = Duration::from_secs(120);

/// With this a rotation is due 60 to 150 seconds after the last one.
const RENEW_BEFORE: &str = "12m";

/// A rotation that is due, and what a busy machine adds.
const ROTATION: Duration = Duration::from_secs(180);

/// A replica takes over within 17 seconds; the rest is what a busy machine adds.
const TAKEOVER: Duration = Duration::from_secs(40);

/// Objects beside which an operator is started.
const OBJECTS: usize = 100;

/// In which it then knows them all.
const READY: Duration = Duration::from_secs(2);

#[tokio::test]
async fn pods_log_in_whatever_happens_to_the_operator() {
    let world = World::get();
    let test = Test { world, client: world.kube().await, started: Instant::now() };
    let release = Release::new(world, test.client.clone());
    test.clear(&release).await;
    world.kubectl(&["apply", "--filename", "examples/namespace.yaml"]);
    let foreign = Foreign::make(world, &test.client).await;

    release.make_role().await;
    release.install();
    test.say("the chart is installed");
    world.kubectl(&["apply", "--filename", "examples/"]);
    test.all_ready().await;
    let refusals = world.log_end("WORLD_AUTH_LOG");
    let clients = Clients::start(world, &test.client).await;
    test.say("the examples are ready, and two pods log in");

    for database in Database::BOTH {
        let renewed = json!({"spec": {"rotation": {"renewBefore": RENEW_BEFORE}}});
        merge(&test.tokens(), database.identifier(), renewed).await;
    }
    join_all(Database::BOTH.map(|database| test.rotated_by_itself(&clients, database))).await;

    release.upgrade();
    test.acts_again("after an upgrade of the release").await;

    test.catches_up_soon(&release).await;

    // From all namespaces to the one, and without a watch of Secrets; everything below is done to that, until it is installed again.
    release.narrow(NAMESPACE);
    test.acts_again("after its rights were narrowed").await;

    release.kill_leader().await;
    test.acts_again("after the leader was killed").await;

    let evicted = release.evict_leader().await;
    until("another replica leads", TAKEOVER, || async { release.leader().await.filter(|leader| *leader != evicted) })
        .await;
    test.acts_again("after the leader's pod was evicted").await;

    let before = test.secrets_by_uid().await;
    release.uninstall().await;
    test.say("the chart is uninstalled");
    clients.log_in_times(20).await;
    release.install();
    test.acts_again("after the chart was installed again").await;
    assert_eq!(test.secrets_by_uid().await, before, "the Secrets are those of before");
    clients.have_the_newest().await;

    let logins = clients.never_refused().await;
    test.say(&format!("{logins:?} logins of the two pods, none refused"));
    let (verdicts, _) = world.log("WORLD_AUTH_LOG", refusals);
    let refused: Vec<_> = verdicts.iter().filter(|it| it["accepted"] == false && is_ours(&it["user"])).collect();
    assert!(refused.is_empty(), "the servers refused {refused:?}");
    let admitted = verdicts.iter().filter(|it| it["accepted"] == true && is_ours(&it["user"])).count();
    assert!(admitted >= logins.iter().sum(), "the servers admitted {admitted} logins");
    foreign.is_untouched(&test.client).await;

    clients.stop();
    test.objects_outlive_the_operator(&release).await;
    test.delete_examples();
    for database in Database::BOTH {
        assert_eq!(test.accounts(database), "0", "the account is gone");
    }
    foreign.is_untouched(&test.client).await;
    foreign.remove(&test.client).await;
    release.uninstall().await;
    world.kubectl(&["delete", "--timeout=60s", "--filename", "examples/namespace.yaml", "--filename", "crds"]);
    test.say("everything is deleted, and nothing is left");
}

fn is_ours(user: &Value) -> bool {
    user.as_str().is_some_and(|user| user.starts_with("app_"))
}

/// What the test does itself.
struct Test {
    world: &'static World,
    client: Client,
    started: Instant,
}

impl Test {
    fn say(&self, what: &str) {
        eprintln!("[{:>5.1} s] {what}", self.started.elapsed().as_secs_f32());
    }

    /// Takes away what an earlier run left, and what the world brings for an operator that no chart installs.
    async fn clear(&self, release: &Release) {
        self.world.control(&["operator", "--stop"]);
        if self.any_left() {
            self.delete_examples();
            assert!(!self.any_left(), "there are other objects in this world: end it with `make world-down` first");
        }
        release.uninstall_if_there().await;
        let definitions = ["tests/world/rbac", "charts/iamdb-operator/files/admission", "crds"];
        for folder in definitions {
            self.world.kubectl(&["delete", "--ignore-not-found", "--timeout=60s", "--filename", folder]);
        }
        self.say("the cluster is as before an installation");
    }

    /// Deletes what the examples made, but for the namespace: an operator that is there takes all of it away.
    fn delete_examples(&self) {
        let files = std::fs::read_dir(self.world.root().join("examples")).expect("examples");
        let paths = files.map(|file| file.expect("an example").path()).filter(|path| !path.ends_with("namespace.yaml"));
        let files: Vec<_> = paths.map(|path| format!("--filename={}", path.display())).collect();
        let mut args = vec!["delete", "--ignore-not-found", "--timeout=60s"];
        args.extend(files.iter().map(String::as_str));
        self.world.kubectl(&args);
    }

    /// Whether there are objects that an operator must take away. Without the definitions there are none.
    fn any_left(&self) -> bool {
        ["dbservers", "iamdbusers"].iter().any(|kind| {
            let output =
                self.world.command("kubectl").args(["get", kind, "--all-namespaces", "--output=name"]).output();
            !output.expect("kubectl").stdout.is_empty()
        })
    }

    fn tokens(&self) -> Api<DbAuthToken> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn all_ready(&self) {
        for database in Database::BOTH {
            let name = database.identifier();
            ready::<DbServer>(&Api::all(self.client.clone()), name).await;
            ready::<IamDbUser>(&Api::namespaced(self.client.clone(), NAMESPACE), name).await;
            ready::<DbAuthToken>(&self.tokens(), name).await;
        }
    }

    /// When the token in a Secret ends: no two tokens of a Secret end at the same time.
    async fn expiry(&self, database: Database) -> String {
        let secret = self.secrets().get(&secret_of(database)).await.expect("get Secret");
        let data = secret.data.unwrap_or_default();
        String::from_utf8(data["token-expires-at"].0.clone()).expect("text")
    }

    async fn secrets_by_uid(&self) -> Vec<(String, Option<String>)> {
        let mut all = Vec::new();
        for database in Database::BOTH {
            let secret = self.secrets().get(&secret_of(database)).await.expect("get Secret");
            all.push((secret.name_any(), secret.uid()));
        }
        all
    }

    async fn next_expiry(&self, database: Database, before: &str, patience: Duration) -> String {
        until(&format!("another token for {}", database.identifier()), patience, || async {
            Some(self.expiry(database).await).filter(|expiry| expiry != before)
        })
        .await
    }

    /// Waits for a rotation that nobody asked for, and until the pod logs in with its token.
    async fn rotated_by_itself(&self, clients: &Clients, database: Database) {
        let next = self.next_expiry(database, &self.expiry(database).await, ROTATION).await;
        let written = Instant::now();
        clients.log_in_with(database, &next, KUBELET).await;
        let late = written.elapsed().as_secs_f32();
        self.say(&format!("{}: rotated, and in use in the pod {late:.0} s later", database.identifier()));
    }

    /// Makes objects, and ends an operator's process: the next one soon knows them all.
    async fn catches_up_soon(&self, release: &Release) {
        let names: Vec<_> = (0..OBJECTS).map(|at| format!("of-many-{at}")).collect();
        join_all(names.iter().map(|name| self.make_token(name))).await;
        let tokens = self.tokens();
        join_all(names.iter().map(|name| ready(&tokens, name))).await;
        // Where the machine stands still during one start, it may not during the next.
        let mut starts = Vec::new();
        while starts.last().is_none_or(|took| *took >= READY) {
            assert!(starts.len() < 3, "ready after {starts:?}");
            let pod = release.kill_leader().await;
            let took = release.time_to_catch_up(&pod).await;
            let told = took.as_secs_f32();
            self.say(&format!("beside {OBJECTS} objects a container is ready {told:.2} s after its start"));
            starts.push(took);
        }
        for name in names {
            tokens.delete(&name, &DeleteParams::default()).await.expect("delete");
        }
    }

    /// One more token for the account of the examples.
    async fn make_token(&self, name: &str) {
        let token = json!({"metadata": {"name": name}, "spec": {
            "userRef": {"name": Database::Orders.identifier()},
            "identity": {"type": "ServiceAccount", "serviceAccount": {"name": "app"}},
            "secret": {"name": name},
        }});
        let token = serde_json::from_value(token).expect("a DbAuthToken");
        self.tokens().create(&PostParams::default(), &token).await.expect("create");
    }

    /// The operator goes before its objects, and then their definitions do: the Secrets go with them, nothing hangs, and what stays in the databases is
    /// taken up by the next operator.
    async fn objects_outlive_the_operator(&self, release: &Release) {
        release.uninstall().await;
        self.world.kubectl(&["delete", "--timeout=60s", "crd", "dbauthtokens.iamdb.dev"]);
        for database in Database::BOTH {
            let (secrets, name) = (self.secrets(), secret_of(database));
            until("the Secret is gone with the definition", SOON, || async {
                secrets.get_opt(&name).await.expect("get Secret").is_none().then_some(())
            })
            .await;
        }
        let readme = self.world.root().join("charts/iamdb-operator/README.md");
        let readme = std::fs::read_to_string(readme).expect("the chart's README");
        let takes_finalizers_off =
            readme.lines().find(|line| line.contains("iamdb.dev\\/cleanup")).expect("the command");
        let done = self.world.command("bash").args(["-euo", "pipefail", "-c", takes_finalizers_off]).status();
        assert!(done.expect("bash").success(), "{takes_finalizers_off}");
        self.world.kubectl(&["delete", "--ignore-not-found", "--timeout=60s", "--filename", "crds"]);
        for database in Database::BOTH {
            assert_eq!(self.accounts(database), "1", "the account stays as it is");
        }
        release.install();
        self.world.kubectl(&["apply", "--filename", "examples/"]);
        self.all_ready().await;
        self.say("objects and definitions went after the operator, and the next one took up what they left");
    }

    /// How many accounts there are of the examples.
    fn accounts(&self, database: Database) -> String {
        let sql = format!("SELECT COUNT(*) FROM mysql.user WHERE User = 'app_{}'", database.identifier());
        self.world.root_sql(database, &sql)
    }

    /// Asks for new tokens, which only an operator that acts writes.
    async fn acts_again(&self, when: &str) {
        let asked = Instant::now();
        for database in Database::BOTH {
            let before = self.expiry(database).await;
            // Any value that was not there before.
            let request = format!("after {:?}", self.started.elapsed());
            let ask = json!({"metadata": {"annotations": {"iamdb.dev/rotate-requested-at": request}}});
            merge(&self.tokens(), database.identifier(), ask).await;
            self.next_expiry(database, &before, TAKEOVER).await;
        }
        self.say(&format!("{when}: new tokens in {:.0} s", asked.elapsed().as_secs_f32()));
    }
}

fn secret_of(database: Database) -> String {
    format!("{}-db", database.identifier())
}

async fn merge<K>(api: &Api<K>, name: &str, patch: Value)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patch");
}

/// Waits until an object is Ready.
async fn ready<K>(api: &Api<K>, name: &str)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    until(&format!("{} {name} is ready", K::kind(&())), SOON, || async {
        let object = serde_json::to_value(api.get(name).await.expect("get")).expect("JSON");
        let conditions = object["status"]["conditions"].as_array()?;
        conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True").then_some(())
    })
    .await;
}
