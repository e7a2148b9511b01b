//! The side of a feed that is written: what a watch tells goes into the store and its index, and then to whoever asked for changes.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use kube::runtime::reflector::{self, Lookup, ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::{Change, Index, Subscribers, name_digest};

/// The side of a feed that is written.
pub(super) struct Filling<K: Lookup<DynamicType = ()> + Clone + 'static> {
    pub(super) store: Store<K>,
    pub(super) index: Index<K>,
    pub(super) writer: reflector::store::Writer<K>,
    pub(super) subscribers: Subscribers<K>,
    /// While everything is listed once more: what was listed, each object by a digest of its name. None during the first list.
    pub(super) listed: Option<HashSet<u64>>,
}

impl<K> Filling<K>
where
    K: Lookup<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    /// The store first: whoever is woken finds there what woke it. Both under one lock, so that whoever subscribes misses nothing.
    ///
    /// The first list enters the store when it is complete. A later one is only compared with what is there, object by object, and never held whole
    /// beside it: after a watch that broke most is as it was.
    pub(super) fn take(&mut self, event: Event<K>) {
        let subscribers = self.subscribers.clone();
        let mut subscribers = subscribers.lock();
        let mut tell = |change: Change<K>| subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        match (event, &mut self.listed) {
            (event @ (Event::Init | Event::InitApply(_)), None) => self.writer.apply_watcher_event(&event),
            (Event::InitDone, None) => {
                self.writer.apply_watcher_event(&Event::InitDone);
                self.listed = Some(HashSet::new());
                let all = self.store.state().into_iter().inspect(|object| self.index.enter(object));
                all.map(Change::Applied).for_each(tell);
            }
            (Event::Init, Some(listed)) => listed.clear(),
            (Event::InitApply(object), Some(listed)) => {
                listed.insert(name_digest(&object));
                self.apply(object).into_iter().for_each(tell);
            }
            (Event::InitDone, Some(listed)) => {
                let listed = std::mem::take(listed);
                let gone = self.store.state_filter(|object| !listed.contains(&name_digest(object)));
                gone.into_iter().map(|object| self.remove(object)).for_each(tell);
            }
            (Event::Apply(object), _) => self.apply(object).into_iter().for_each(tell),
            (Event::Delete(object), _) => tell(self.remove(Arc::new(object))),
        }
    }

    /// Nothing comes of an object that is as it was. A namesake of the one before is another object.
    fn apply(&mut self, object: K) -> Vec<Change<K>> {
        let reference = ObjectRef::from_obj(&object);
        let before = self.store.get(&reference);
        if before.as_ref().is_some_and(|before| is_unchanged::<K>(before, &object)) {
            return Vec::new();
        }
        let gone = before.clone().filter(|before| before.uid() != object.uid()).map(|before| self.remove(before));
        self.writer.apply_watcher_event(&Event::Apply(object));
        let now = self.store.get(&reference);
        if let Some(now) = &now {
            self.index.enter(now);
        }
        // At the end: an object that is there is missing from its index at no moment.
        if let Some(before) = &before {
            self.index.leave(before);
        }
        gone.into_iter().chain(now.map(Change::Applied)).collect()
    }

    fn remove(&mut self, object: Arc<K>) -> Change<K> {
        // What a watch tells of a deletion is not what it told before.
        if let Some(before) = self.store.get(&ObjectRef::from_obj(object.as_ref())) {
            self.index.leave(&before);
        }
        self.writer.apply_watcher_event(&Event::Delete(K::clone(&object)));
        Change::Deleted(object)
    }
}

fn is_unchanged<K: Lookup<DynamicType = ()>>(before: &K, now: &K) -> bool {
    now.resource_version().is_some() && (before.uid(), before.resource_version()) == (now.uid(), now.resource_version())
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, Stream, StreamExt};
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::super::{Feed, Unseen, digest};
    use super::*;

    fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
        serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": version}
        }))
        .unwrap()
    }

    /// Indexed by the resource version.
    fn filling() -> (Filling<ConfigMap>, Feed<ConfigMap>) {
        let (store, writer) = reflector::store();
        let subscribers = Subscribers::default();
        let index = Index::new(Some(|it: &ConfigMap| digest(&it.metadata.resource_version.as_deref())));
        let feed = Feed {
            store: store.clone(),
            index: index.clone(),
            subscribers: subscribers.clone(),
            unseen: Unseen::default(),
        };
        (Filling { store, index, writer, subscribers, listed: None }, feed)
    }

    fn of_version(feed: &Feed<ConfigMap>, version: &str) -> Vec<String> {
        let found = feed.index().about(&Some(version));
        let mut names: Vec<_> = found.into_iter().filter_map(|it| it.metadata.name.clone()).collect();
        names.sort();
        names
    }

    fn list(filling: &mut Filling<ConfigMap>, objects: impl IntoIterator<Item = ConfigMap>) {
        filling.take(Event::Init);
        objects.into_iter().for_each(|object| filling.take(Event::InitApply(object)));
        filling.take(Event::InitDone);
    }

    /// What was told so far, as `+name uid` and `-name uid`.
    fn told(changes: &mut (impl Stream<Item = Change<ConfigMap>> + Unpin)) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(Some(change)) = changes.next().now_or_never() {
            let sign = if matches!(change, Change::Applied(_)) { '+' } else { '-' };
            let meta = &change.object().metadata;
            told.push(format!("{sign}{} {}", meta.name.as_deref().unwrap(), meta.uid.as_deref().unwrap()));
        }
        told
    }

    #[test]
    fn a_list_after_the_first_tells_only_what_differs_from_what_is_there() {
        let (mut filling, feed) = filling();
        let mut changes = Box::pin(feed.subscribe());
        list(
            &mut filling,
            [object("a", "1", "1"), object("b", "2", "1"), object("c", "3", "1"), object("d", "4", "1")],
        );
        assert_eq!(told(&mut changes).len(), 4);
        let same = feed.store().get(&ObjectRef::new("a").within("shop")).unwrap();
        // a is as it was, b has changed, c went, d was made anew, e is new.
        list(
            &mut filling,
            [object("a", "1", "1"), object("b", "2", "9"), object("d", "5", "9"), object("e", "6", "9")],
        );
        assert_eq!(told(&mut changes), ["+b 2", "-d 4", "+d 5", "+e 6", "-c 3"]);
        assert_eq!(feed.store().len(), 4);
        let still = feed.store().get(&ObjectRef::new("a").within("shop")).unwrap();
        assert!(Arc::ptr_eq(&same, &still), "there is one copy");
    }

    #[test]
    fn an_object_is_found_by_what_it_is_now_and_not_by_what_it_was() {
        let (mut filling, feed) = filling();
        list(&mut filling, [object("a", "1", "1"), object("b", "2", "1"), object("c", "3", "1")]);
        assert_eq!(of_version(&feed, "1"), ["a", "b", "c"]);
        filling.take(Event::Apply(object("a", "1", "2")));
        filling.take(Event::Apply(object("b", "9", "2"))); // made anew, and its deletion was not told
        assert_eq!((of_version(&feed, "1"), of_version(&feed, "2")), (vec!["c".into()], vec!["a".into(), "b".into()]));
        filling.take(Event::Delete(object("a", "1", "3")));
        list(&mut filling, [object("b", "9", "2"), object("d", "4", "1")]);
        assert_eq!((of_version(&feed, "1"), of_version(&feed, "2")), (vec!["d".into()], vec!["b".into()]));
        filling.take(Event::Delete(object("b", "9", "4")));
        assert!(of_version(&feed, "2").is_empty() && of_version(&feed, "4").is_empty());
    }

    #[test]
    fn a_list_that_broke_takes_nothing_away() {
        let (mut filling, feed) = filling();
        list(&mut filling, [object("a", "1", "1"), object("b", "2", "1")]);
        let mut changes = Box::pin(feed.subscribe());
        told(&mut changes);
        filling.take(Event::Init);
        filling.take(Event::InitApply(object("b", "2", "1")));
        list(&mut filling, [object("a", "1", "1"), object("b", "2", "1")]);
        assert_eq!(told(&mut changes), Vec::<String>::new());
        assert_eq!(feed.store().len(), 2);
    }
}
