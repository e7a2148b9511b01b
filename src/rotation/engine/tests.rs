use kube::runtime::reflector;
use tokio::sync::mpsc::unbounded_channel;
use tower::{Layer, Service};

use super::*;
use crate::k8s::dates::DateLayer;
use crate::rotation::book::Published;
use crate::rotation::known::Known;
use crate::rotation::sample::{MARKS, Silence, inputs, no_apiserver, order, role};

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
        engine.place(Order { identity: role(&name).into(), ..order("app", &name) }).await.unwrap();
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
    engine.place(order("app", "a")).await.unwrap();
    assert!(engine.metrics.text().contains("iamdb_tokens 1"));
    engine.withdraw("a");
    assert!(engine.metrics.text().contains("iamdb_tokens 0"));
}

/// The apiserver tells what time it is.
async fn tell(engine: &Engine, date: &'static str) {
    let answer = move |_: http::Request<()>| async move {
        let answer = http::Response::builder().header(http::header::DATE, date);
        Ok::<_, std::convert::Infallible>(answer.body(()).unwrap())
    };
    let layer = DateLayer::new(engine.server_date.clone());
    layer.layer(tower::service_fn(answer)).call(http::Request::new(())).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_behind_does_not_hide_that_tokens_die() {
    let silence = Arc::new(Silence::new());
    let engine = engine(&silence);
    let end = schedule::plus(Timestamp::UNIX_EPOCH, schedule::TOKEN_LIFE);
    let published = Published { expires_at: end, inputs: inputs(1) };
    engine.with(|book| book.place(order("app", "a"), Some((Known::default(), published))));
    let running = engine.clone().run(stream::pending(), Fence::open(), Pulse::default(), CancellationToken::new());
    let running = tokio::spawn(running);
    tell(&engine, "Thu, 01 Jan 1970 00:00:30 GMT").await;
    assert_eq!(engine.now(), Timestamp::UNIX_EPOCH, "half a minute is nothing");
    tell(&engine, "Thu, 01 Jan 1970 00:20:00 GMT").await;
    assert!(engine.now() > end);
    engine.wake.notify_one();
    while engine.progress("a").unwrap().problem != Some(Problem::ClockSkew) {
        tokio::task::yield_now().await;
    }
    assert_eq!(silence.asked(), 0, "nothing is signed");
    running.abort();
}

#[tokio::test]
async fn what_is_due_by_the_apiservers_clock_alone_is_not_signed_even_if_the_clocks_agree_again() {
    let silence = Arc::new(Silence::new());
    let begun = schedule::plus(Timestamp::UNIX_EPOCH, 2 * schedule::LARGEST_SKEW);
    assert_eq!(engine(&silence).sign(&order("app", "a").key(), begun).await, Err(Problem::ClockSkew));
    assert_eq!(silence.asked(), 0);
}
