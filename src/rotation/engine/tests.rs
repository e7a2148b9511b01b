use futures::future;
use kube::client::Body;
use kube::runtime::{reflector, watcher};
use tokio::sync::mpsc::unbounded_channel;
use tower::{Layer, Service};

use super::*;
use crate::domain::secret::Secret;
use crate::k8s::dates::DateLayer;
use crate::rotation::known::{Known, Published};
use crate::rotation::sample::{MARKS, Silence, inputs, no_apiserver, order, role};

fn token() -> Token {
    let now = Timestamp::UNIX_EPOCH;
    Token { text: Secret::new("t"), signed_at: now, usable_until: schedule::usable_until(now, None) }
}

fn member(name: &str, known: Option<Known>) -> Member {
    Member { uid: name.into(), order: Arc::new(order("app", name)), known, is_suspect: false }
}

/// A token that ends so many seconds after the epoch, which is now.
fn published(end: u64) -> Published {
    Published { expires_at: schedule::plus(Timestamp::UNIX_EPOCH, Duration::from_secs(end)), inputs: inputs(1) }
}

fn engine(silence: &Arc<Silence>) -> Arc<Engine> {
    engine_at(no_apiserver(), silence)
}

fn engine_at(client: kube::Client, silence: &Arc<Silence>) -> Arc<Engine> {
    engine_with(client, reflector::store().0, silence)
}

fn engine_with(client: kube::Client, secrets: reflector::Store<TokenSecret>, silence: &Arc<Silence>) -> Arc<Engine> {
    Engine::new(Parts {
        client: client.clone(),
        marks: MARKS,
        sight: Sight::Watched(secrets),
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
async fn a_secret_that_is_not_there_does_not_wait_for_those_that_are() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let apiserver = {
        let asked = asked.clone();
        tower::service_fn(move |request: http::Request<Body>| {
            asked.lock().push(request.method().clone());
            future::pending::<Result<http::Response<Body>, std::io::Error>>()
        })
    };
    let engine = engine_at(kube::Client::new(apiserver, "default"), &Arc::new(Silence::new()));
    let (key, token) = (order("app", "any").key(), token());
    let write = |name: &str, known| {
        engine.with(|book| book.place(order("app", name), None));
        engine.write(member(name, known), &key, &token)
    };
    let there = (0..2 * WRITERS).map(|number| write(&format!("o{number}"), Some(Known::default())));
    let all = future::join(future::join_all(there), write("new", None));
    let busy = async {
        while asked.lock().len() <= WRITERS {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = all => panic!("nothing is answered"),
        () = busy => {}
    }
    let asked = asked.lock();
    let of = |method| asked.iter().filter(|it| *it == method).count();
    assert_eq!((of(http::Method::PUT), of(http::Method::POST)), (WRITERS, 1));
}

#[tokio::test]
async fn what_is_withdrawn_while_it_waits_to_be_written_is_not_written() {
    let engine = engine(&Arc::new(Silence::new()));
    let (key, token) = (order("app", "a").key(), token());
    let others = future::join_all((0..WRITERS).map(|_| engine.writers.enter(true))).await;
    engine.with(|book| book.place(order("app", "a"), Some((Known::default(), published(900)))));
    let write = engine.write(member("a", Some(Known::default())), &key, &token);
    let mut write = std::pin::pin!(write);
    assert!(future::poll_immediate(&mut write).await.is_none(), "it waits");
    engine.withdraw("a");
    drop(others);
    assert!(write.await.is_none(), "nobody was asked, who would have refused");
}

#[tokio::test]
async fn an_end_that_no_token_has_is_not_believed() {
    let silence = Arc::new(Silence::new());
    let (secrets, mut writer) = reflector::store();
    let engine = engine_with(no_apiserver(), secrets, &silence);
    for (name, end) in [("a", schedule::TOKEN_LIFE.as_secs()), ("b", 100_000)] {
        let meta = serde_json::json!({
            "name": name, "namespace": "shop", "labels": {"owner": name},
            "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": name, "uid": name, "controller": true}],
            "annotations": {"expires": published(end).expires_at.to_string(), "inputs": inputs(1).to_string()},
        });
        let secret = TokenSecret::of(&MARKS, serde_json::from_value(meta).unwrap());
        writer.apply_watcher_event(&watcher::Event::Apply(secret));
        engine.place(order("app", name)).await.unwrap();
    }
    let end = |name| engine.progress(name).unwrap().expires_at;
    assert_eq!(end("a"), Some(published(900).expires_at));
    assert_eq!(end("b"), None);
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
