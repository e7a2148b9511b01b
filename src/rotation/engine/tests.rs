use kube::runtime::reflector;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::rotation::sample::{MARKS, Silence, no_apiserver, order, role};

fn engine(silence: &Arc<Silence>) -> Arc<Engine> {
    let client = no_apiserver();
    Engine::new(Parts {
        client: client.clone(),
        marks: MARKS,
        sight: Sight::Watched(reflector::store().0),
        credentials: CredentialCache::new(client, silence.clone(), silence.clone(), silence.clone()),
        logins: Logins::new(silence.clone(), silence.clone()),
        server_date: Arc::default(),
        clock: silence.clone(),
        metrics: Metrics::new(),
        news: unbounded_channel().0,
    })
}

#[tokio::test]
async fn it_is_alive_as_long_as_any_turn_ends_however_much_is_due() {
    let (silence, pulse) = (Arc::new(Silence::new()), Pulse::default());
    let engine = engine(&silence);
    for number in 0..TURNS + 8 {
        let name = format!("o{number}");
        engine.place(&name, Order { identity: role(&name).into(), ..order("app", &name) }).await.unwrap();
    }
    let running = engine.clone().run(stream::pending(), Fence::open(), pulse.clone(), CancellationToken::new());
    let running = tokio::spawn(running);
    silence.was_asked(TURNS).await;

    let hanging = pulse.last();
    for _ in 0..100 {
        engine.wake.notify_one();
        tokio::task::yield_now().await;
    }
    assert_eq!(pulse.last(), hanging, "all turns hang");
    silence.gate.add_permits(1);
    silence.was_asked(TURNS + 1).await;
    assert!(pulse.last() > hanging, "one has ended, and another began at once");
    running.abort();
}

#[tokio::test]
async fn how_many_tokens_there_are_is_told_without_a_turn() {
    let engine = engine(&Arc::new(Silence::new()));
    engine.place("a", order("app", "a")).await.unwrap();
    assert!(engine.metrics.text().contains("iamdb_tokens 1"));
    engine.withdraw("a");
    assert!(engine.metrics.text().contains("iamdb_tokens 0"));
}
