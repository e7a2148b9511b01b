//! One watch a kind: a store that everybody reads, and its changes for whoever asks.
//!
//! kube's own shared streams tell no deletions and let one slow subscriber hold up the others. Here deletions are told, those that happened
//! while the watch was broken included, and changes wait in channels of their own. A change is a wake-up, never the only copy of a fact: the
//! store is the truth.

mod merge;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The apiserver ends a watch after this, in seconds, and kube takes one that is silent for longer as dead.
const WATCH_LIMIT: u32 = 120;

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
pub struct Feed<K: Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    subscribers: Subscribers<K>,
}

impl<K> Feed<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    ObjectRef<K>: Eq + Hash,
{
    /// A feed, and the watch that fills it: of one `api`, or of several that are of a namespace each. The watch never ends; it must be polled for
    /// the feed to live. `slim` takes off what nobody reads before an object is kept: managed fields alone are most of an object's memory.
    pub fn new(
        apis: Vec<Api<K>>,
        config: watcher::Config,
        slim: impl Fn(&mut K) + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (store, writer) = reflector::store();
        let subscribers = Subscribers::default();
        let config = config.timeout(WATCH_LIMIT);
        let watch = |api: Api<K>| {
            let namespace = api.namespace().unwrap_or_default().to_owned();
            (namespace, watcher(api, config.clone()).default_backoff().boxed())
        };
        let events = merge::one_of(apis.into_iter().map(watch).collect(), store.clone()).modify(move |object| {
            object.meta_mut().managed_fields = None;
            slim(object);
        });
        let fill = fill(events, store.clone(), writer, subscribers.clone());
        (Self { store, subscribers }, fill)
    }

    /// What is there now.
    #[must_use]
    pub const fn store(&self) -> &Store<K> {
        &self.store
    }

    /// Waits until the first list is complete.
    pub async fn caught_up(&self) {
        // An error says that the watch was dropped, which ends everything anyway.
        let _ = self.store.wait_until_ready().await;
    }

    /// All objects that are there now, then every change. Whoever subscribes must read: changes wait without limit.
    pub fn subscribe(&self) -> impl Stream<Item = Change<K>> + Send + use<K> {
        let (sender, receiver) = unbounded_channel();
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no change falls between what is there and what comes.
        for object in self.store.state() {
            let _ = sender.send(Change::Applied(object));
        }
        subscribers.push(sender);
        stream(receiver)
    }
}

/// One life of a name: an object that was deleted and made again is another.
type Life<K> = (ObjectRef<K>, Option<String>);

fn life<K: Resource<DynamicType = ()>>(object: &K) -> Life<K> {
    (ObjectRef::from_obj(object), object.meta().uid.clone())
}

/// What comes out of a channel.
pub(crate) fn stream<T: Send>(receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}

async fn fill<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send,
    store: Store<K>,
    mut writer: reflector::store::Writer<K>,
    subscribers: Subscribers<K>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    ObjectRef<K>: Eq + Hash,
{
    let mut listed: HashSet<Life<K>> = HashSet::new();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = %WatchError(&error), "watch failed, retrying");
                continue;
            }
        };
        let changes: Vec<Change<K>> = match &event {
            watcher::Event::Apply(object) => vec![Change::Applied(Arc::new(object.clone()))],
            watcher::Event::Delete(object) => vec![Change::Deleted(Arc::new(object.clone()))],
            watcher::Event::Init => {
                listed.clear();
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                // Objects of a list enter the store when the list is complete; so do their changes.
                listed.insert(life(object));
                Vec::new()
            }
            watcher::Event::InitDone => {
                let gone = store.state_filter(|object| !listed.contains(&life(object)));
                gone.into_iter().map(Change::Deleted).collect()
            }
        };
        // The store first: whoever is woken finds there what woke it.
        let mut subscribers = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        writer.apply_watcher_event(&event);
        let mut tell = |change: Change<K>| subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        changes.into_iter().for_each(&mut tell);
        if matches!(event, watcher::Event::InitDone) {
            listed.clear();
            store.state().into_iter().map(Change::Applied).for_each(&mut tell);
        }
    }
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
