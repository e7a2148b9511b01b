//! How many IamDbUsers are worked on at a time: by server, so that one that does not answer holds up nobody else's, and by namespace, so that one
//! with very many does not keep the others of its server waiting.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// IamDbUsers of one server. The database serves one after the other; with these there is always one at its desk, while others are at the apiserver,
/// so that its session need not be opened anew.
const OF_SERVER: usize = 16;

/// IamDbUsers of one namespace on one server.
const OF_NAMESPACE: usize = 8;

/// Lets a few in at a time, in the order in which they came.
#[derive(Debug, Default)]
pub struct Turnstile {
    servers: Gates<String>,
    namespaces: Gates<(String, String)>,
}

type Gates<K> = Mutex<HashMap<K, Arc<Semaphore>>>;

/// The way is free as long as this is held.
#[derive(Debug)]
pub(super) struct Pass {
    _permits: [Option<OwnedSemaphorePermit>; 2],
}

impl Turnstile {
    /// Waits for its turn. Who waits for the server has come through its namespace's gate, so a crowd of one namespace waits outside.
    pub(super) async fn enter(&self, server: &str, namespace: &str) -> Pass {
        let of_namespace = pass(&self.namespaces, (server.to_owned(), namespace.to_owned()), OF_NAMESPACE).await;
        let of_server = pass(&self.servers, server.to_owned(), OF_SERVER).await;
        Pass { _permits: [of_namespace, of_server] }
    }
}

async fn pass<K: Eq + Hash>(gates: &Gates<K>, key: K, width: usize) -> Option<OwnedSemaphorePermit> {
    let gate = {
        let mut gates = gates.lock();
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        gates.entry(key).or_insert_with(|| Arc::new(Semaphore::new(width))).clone()
    };
    gate.acquire_owned().await.ok() // they are never closed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_crowd_of_one_server_or_namespace_leaves_room_for_others() {
        let turnstile = Turnstile::default();
        let mut inside = Vec::new();
        for _ in 0..OF_NAMESPACE {
            inside.push(turnstile.enter("a", "crowd").await);
        }
        assert!(timeout(SOON, turnstile.enter("a", "crowd")).await.is_err());
        for n in 0..OF_SERVER - OF_NAMESPACE {
            inside.push(timeout(SOON, turnstile.enter("a", &format!("n{n}"))).await.unwrap());
        }
        assert!(timeout(SOON, turnstile.enter("a", "late")).await.is_err());
        assert!(timeout(SOON, turnstile.enter("b", "crowd")).await.is_ok());
        inside.pop();
        assert!(timeout(SOON, turnstile.enter("a", "late")).await.is_ok());
    }

    #[tokio::test]
    async fn gates_that_nobody_uses_are_forgotten() {
        let turnstile = Turnstile::default();
        for n in 0..10 {
            drop(turnstile.enter(&n.to_string(), "x").await);
        }
        let _inside = turnstile.enter("a", "x").await;
        assert_eq!(turnstile.servers.lock().len(), 1);
    }
}
