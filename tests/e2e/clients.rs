//! Two pods that log in every second.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Client;
use kube::api::{Api, LogParams};

use crate::world::{Database, SOON, World, until};
use crate::{KUBELET, NAMESPACE, secret_of};

/// The pods.
pub struct Clients {
    world: &'static World,
    client: Client,
}

/// What a pod said: of each login whether it was in, and when its token ends.
struct Logins(Vec<(bool, String)>);

impl Logins {
    fn admitted(&self) -> usize {
        self.0.iter().filter(|(is_in, _)| *is_in).count()
    }

    fn with(&self, expiry: &str) -> bool {
        self.0.iter().any(|(is_in, token)| *is_in && token == expiry)
    }
}

impl Clients {
    /// Starts them, and waits until both are in.
    pub async fn start(world: &'static World, client: &Client) -> Self {
        world.kubectl(&["apply", "--filename", "tests/e2e/clients.yaml"]);
        let clients = Self { world, client: client.clone() };
        clients.log_in_times(2).await;
        clients
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn logins(&self, database: Database) -> Logins {
        let text = self.pods().logs(database.identifier(), &LogParams::default()).await.unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Logins(lines.map(|(verdict, rest)| (verdict == "in", rest.to_owned())).collect())
    }

    /// Waits until both were in that many times more.
    pub async fn log_in_times(&self, times: usize) {
        join_all(Database::BOTH.map(|database| async move {
            let before = self.logins(database).await.admitted();
            until(&format!("{times} logins of the pod {}", database.identifier()), SOON, || async {
                (self.logins(database).await.admitted() >= before + times).then_some(())
            })
            .await;
        }))
        .await;
    }

    /// Waits until a pod was in with the token that ends then.
    pub async fn log_in_with(&self, database: Database, expiry: &str, patience: Duration) {
        until(&format!("the pod {} uses the token until {expiry}", database.identifier()), patience, || async {
            self.logins(database).await.with(expiry).then_some(())
        })
        .await;
    }

    /// Waits until both were in with what stands in their Secrets now, or what came after it.
    pub async fn have_the_newest(&self) {
        join_all(Database::BOTH.map(|database| async move {
            let secrets = Api::<Secret>::namespaced(self.client.clone(), NAMESPACE);
            let data = secrets.get(&secret_of(database)).await.expect("get Secret").data.unwrap_or_default();
            let expiry = String::from_utf8(data["token-expires-at"].0.clone()).expect("text");
            until(
                &format!("the pod {} has a token until {expiry} or later", database.identifier()),
                KUBELET,
                || async {
                    self.logins(database).await.0.iter().any(|(is_in, token)| *is_in && *token >= expiry).then_some(())
                },
            )
            .await;
        }))
        .await;
    }

    /// Neither pod was ever refused or started again. Returns how often each was in.
    pub async fn never_refused(&self) -> [usize; 2] {
        let mut admitted = [0; 2];
        for (n, database) in Database::BOTH.into_iter().enumerate() {
            let name = database.identifier();
            let logins = self.logins(database).await;
            let refused: Vec<_> = logins.0.iter().filter(|(is_in, _)| !is_in).collect();
            assert!(refused.is_empty(), "the pod {name} was refused: {refused:?}");
            let tokens: BTreeSet<_> = logins.0.iter().map(|(_, token)| token).collect();
            assert!(tokens.len() >= 3, "the pod {name} used only {tokens:?}");
            let status = self.pods().get(name).await.expect("get Pod").status.expect("status");
            let container = &status.container_statuses.expect("the status of its container")[0];
            assert_eq!(container.restart_count, 0, "the pod {name} was started again");
            assert!(container.state.as_ref().is_some_and(|it| it.running.is_some()), "the pod {name} runs");
            admitted[n] = logins.admitted();
        }
        admitted
    }

    pub fn stop(self) {
        self.world.kubectl(&["delete", "--timeout=60s", "--filename", "tests/e2e/clients.yaml"]);
    }
}
