//! One watch a kind: a store that everybody reads, and its changes for whoever asks.
//!
//! kube's own shared streams tell no deletions and let one slow subscriber hold up the others. Here deletions are told, those that happened
//! while the watch was broken included, and changes wait in channels of their own. A change is a wake-up, never the only copy of a fact: the
//! store is the truth.

mod filling;
mod index;
mod merge;

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, future};
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::watcher::{self, Event, ExponentialBackoff};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::backoff;
use filling::Filling;
pub use index::{By, Index};

/// The apiserver ends a watch after this, in seconds, and kube takes one that is silent for longer as dead.
pub const WATCH_LIMIT: u32 = 120;

/// Objects of a page of a list, where lists are not streamed. The memory of one page is all that a list takes beside the store.
const PAGE: u32 = 100;

/// Waits between two attempts at a watch that fails, the first and the longest. kube's own would be deaf for up to a minute to an apiserver that is
/// back again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Something happened to an object.
#[derive(Debug)]
pub enum Change<K> {
    /// It is there, new or different.
    Applied(Arc<K>),
    /// It is gone; this is the last that was seen of it.
    Deleted(Arc<K>),
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied(object) => Self::Applied(object.clone()),
            Self::Deleted(object) => Self::Deleted(object.clone()),
        }
    }
}

impl<K> Change<K> {
    /// The object.
    #[must_use]
    pub const fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied(object) | Self::Deleted(object) => object,
        }
    }
}

type Subscribers<K> = Arc<Mutex<Vec<UnboundedSender<Change<K>>>>>;

/// A watched kind.
pub struct Feed<K: Lookup<DynamicType = ()> + 'static> {
    store: Store<K>,
    index: Index<K>,
    subscribers: Subscribers<K>,
    unseen: Unseen,
}

/// Namespaces that may not be looked into: what is not known there may be there all the same.
#[derive(Clone, Debug, Default)]
struct Unseen(Arc<Mutex<BTreeSet<String>>>);

impl Unseen {
    fn enter(&self, namespace: &str) {
        self.0.lock().insert(namespace.to_owned());
    }

    fn leave(&self, namespace: &str) {
        self.0.lock().remove(namespace);
    }

    fn holds(&self, namespace: &str) -> bool {
        self.0.lock().contains(namespace)
    }
}

impl<K> Feed<K>
where
    K: Lookup<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// A feed, and the watch that fills it: of one `api`, or of several that are of a namespace each. The watch never ends; it must be polled for
    /// the feed to live. `keep` makes of an object what is kept of it, which is what somebody reads: managed fields, which alone are most of an
    /// object's memory, are gone before. `by` is what objects are looked up by beside their names, if by anything.
    pub fn new<W>(
        apis: Vec<Api<W>>,
        config: watcher::Config,
        keep: impl Fn(W) -> K + Clone + Send + 'static,
        by: Option<By<K>>,
    ) -> (Self, impl Future<Output = ()> + Send)
    where
        W: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let (store, writer) = reflector::store();
        let index = Index::new(by);
        let (subscribers, unseen) = (Subscribers::default(), Unseen::default());
        let config = config.timeout(WATCH_LIMIT);
        let watch = |api: Api<W>| {
            let keep = keep.clone();
            let keep = move |mut object: W| {
                object.meta_mut().managed_fields = None;
                keep(object)
            };
            let namespace = api.namespace().unwrap_or_default().to_owned();
            let pauses = || ExponentialBackoff::from(backoff::shape(FIRST_PAUSE, LONGEST_PAUSE));
            let streamed = watch(api.clone(), config.clone().streaming_lists()).backoff(pauses());
            let paged = watch(api, config.clone().page_size(PAGE)).backoff(pauses());
            (namespace, or_in_pages(streamed, paged).map_ok(move |event| kept(event, &keep)).boxed())
        };
        let events = merge::one_of(apis.into_iter().map(watch).collect(), store.clone(), unseen.clone());
        let filling = Filling {
            store: store.clone(),
            index: index.clone(),
            writer,
            subscribers: subscribers.clone(),
            listed: None,
        };
        (Self { store, index, subscribers, unseen }, fill(events, filling))
    }

    /// What is there now.
    #[must_use]
    pub const fn store(&self) -> &Store<K> {
        &self.store
    }

    /// The same, by what the feed was told to index it by.
    #[must_use]
    pub const fn index(&self) -> &Index<K> {
        &self.index
    }

    /// Whether a namespace may not be looked into, so that absence there means nothing.
    #[must_use]
    pub fn is_unseen(&self, namespace: &str) -> bool {
        self.unseen.holds(namespace)
    }

    /// Waits until the first list is complete.
    pub async fn caught_up(&self) {
        // An error says that the watch was dropped, which ends everything anyway.
        let _ = self.store.wait_until_ready().await;
    }

    /// All objects that are there now, then every change. Whoever subscribes must read: changes wait without limit.
    pub fn subscribe(&self) -> impl Stream<Item = Change<K>> + Send + use<K> {
        let (sender, receiver) = unbounded_channel();
        let mut subscribers = self.subscribers.lock();
        // Under the lock, so that no change falls between what is there and what comes.
        for object in self.store.state() {
            let _ = sender.send(Change::Applied(object));
        }
        subscribers.push(sender);
        stream(receiver)
    }
}

/// What comes out of a channel.
pub(crate) fn stream<T: Send>(receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}

/// What is there comes as a stream, which takes the memory of one object. An apiserver that streams no lists is asked for pages. Either is a consistent
/// read: what a cache does not know yet must not be taken for gone ([`super::fresh`]).
fn or_in_pages<W>(
    streamed: impl Stream<Item = watcher::Result<Event<W>>>,
    paged: impl Stream<Item = watcher::Result<Event<W>>>,
) -> impl Stream<Item = watcher::Result<Event<W>>> {
    streamed.take_while(|event| future::ready(!event.as_ref().is_err_and(streams_none))).chain(paged)
}

/// Whether the apiserver has nothing against the watch but that it is to begin with what is there.
fn streams_none(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if matches!(status.code, 400 | 422))
}

async fn fill<K>(mut events: impl Stream<Item = watcher::Result<Event<K>>> + Send + Unpin, mut filling: Filling<K>)
where
    K: Lookup<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => filling.take(event),
            Err(error) => tracing::warn!(kind = %K::kind(&()), error = %WatchError(&error), "watch failed, retrying"),
        }
    }
}

fn kept<W, K>(event: Event<W>, keep: impl Fn(W) -> K) -> Event<K> {
    match event {
        Event::Apply(object) => Event::Apply(keep(object)),
        Event::Delete(object) => Event::Delete(keep(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(keep(object)),
        Event::InitDone => Event::InitDone,
    }
}

/// A number for an object's name. Two names of one number are a matter of chance.
pub(crate) fn name_digest<K: Lookup<DynamicType = ()>>(object: &K) -> u64 {
    digest(&(object.namespace(), object.name()))
}

/// A number for a value, good within this process.
pub(crate) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An error of the watch without the texts that it may quote.
struct WatchError<'e>(&'e watcher::Error);

impl std::fmt::Display for WatchError<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            watcher::Error::InitialListFailed(_) => f.write_str("list failed"),
            watcher::Error::WatchStartFailed(_) => f.write_str("watch could not start"),
            watcher::Error::WatchError(status) => write!(f, "watch ended with {}", status.code),
            watcher::Error::WatchFailed(_) => f.write_str("watch broke"),
            watcher::Error::NoResourceVersion => f.write_str("no resource version"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_apiserver_that_streams_no_lists_is_asked_for_pages() {
        let refused = Status { code: 422, ..Status::default() };
        let refused = Err(watcher::Error::WatchStartFailed(kube::Error::Api(refused.boxed())));
        let paged = [Ok(Event::Init), Ok(Event::InitApply(ConfigMap::default())), Ok(Event::InitDone)];
        let events = or_in_pages(stream::iter([refused]), stream::iter(paged));
        let events: Vec<_> = events.collect::<Vec<_>>().now_or_never().unwrap();
        assert!(events.len() == 3 && events.iter().all(Result::is_ok), "{events:?}");
    }
}
