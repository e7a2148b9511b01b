//! One watch out of several, each of a namespace of its own.

use std::collections::HashMap;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use super::Unseen;

/// What a watch tells.
type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// The events of these watches as those of one. Each comes with its namespace, which matters where there are several; `store` is where the events go in
/// the end.
pub(super) fn one_of<K>(mut watches: Vec<(String, Events<K>)>, store: Store<K>, unseen: Unseen) -> Events<K>
where
    K: Lookup<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    if watches.len() == 1
        && let Some((_, only)) = watches.pop()
    {
        return only;
    }
    let (namespaces, watches): (Vec<_>, Vec<_>) = watches.into_iter().unzip();
    let mut merge = Merge::new(namespaces, store, unseen);
    let watches =
        watches.into_iter().enumerate().map(|(watch, events)| events.map(move |event| (watch, event)).boxed());
    let merged = stream::select_all(watches).flat_map(move |(watch, event)| {
        let events = match event {
            Ok(event) => merge.take(watch, event).into_iter().map(Ok).collect(),
            Err(error) if is_forbidden(&error) => merge.forbidden(watch).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(events)
    });
    merged.boxed()
}

/// Whether the apiserver lets nobody look there: not that it has trouble.
fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    matches!(error, InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)) if status.code == 403)
}

/// Puts the events of several watches together, so that they look like those of one: it has listed when all have. When one of them lists anew, what
/// differs from the store there comes as changes.
struct Merge<K: Lookup<DynamicType = ()> + 'static> {
    parts: Vec<Part<K>>,
    /// What all of them brought.
    store: Store<K>,
    unseen: Unseen,
    has_listed: bool,
}

/// One of the watches.
struct Part<K: Lookup<DynamicType = ()>> {
    namespace: String,
    has_listed: bool,
    /// What its list brought so far, until all have listed, or until it has listed anew.
    listed: HashMap<ObjectRef<K>, K>,
}

impl<K: Lookup<DynamicType = ()> + Clone + 'static> Merge<K> {
    fn new(namespaces: impl IntoIterator<Item = String>, store: Store<K>, unseen: Unseen) -> Self {
        let part = |namespace| Part { namespace, has_listed: false, listed: HashMap::new() };
        Self { parts: namespaces.into_iter().map(part).collect(), store, unseen, has_listed: false }
    }

    /// What an event of one watch means for the whole.
    fn take(&mut self, watch: usize, event: Event<K>) -> Vec<Event<K>> {
        let Some(part) = self.parts.get_mut(watch) else { return Vec::new() };
        // A watch that was forbidden may go on where it was, without a new list.
        if matches!(event, Event::Apply(_) | Event::Delete(_)) {
            self.unseen.leave(&part.namespace);
        }
        match event {
            Event::Init => {
                part.has_listed = false;
                part.listed.clear();
            }
            Event::InitApply(object) => part.enter(object),
            Event::InitDone => {
                part.has_listed = true;
                self.unseen.leave(&part.namespace);
                return self.list(watch);
            }
            event if self.has_listed => return vec![event],
            Event::Apply(object) => part.enter(object),
            Event::Delete(object) => drop(part.listed.remove(&ObjectRef::from_obj(&object))),
        }
        Vec::new()
    }

    /// One of the watches may not list, because its namespace is gone or nobody let it in there: the others do not wait for it. It goes on trying.
    fn forbidden(&mut self, watch: usize) -> Vec<Event<K>> {
        let Some(part) = self.parts.get_mut(watch) else { return Vec::new() };
        tracing::warn!(kind = %K::kind(&()), namespace = part.namespace, "may not list: nothing new is seen there");
        self.unseen.enter(&part.namespace);
        if self.has_listed || part.has_listed {
            return Vec::new();
        }
        part.has_listed = true;
        self.list(watch)
    }

    fn list(&mut self, watch: usize) -> Vec<Event<K>> {
        if self.has_listed {
            let part = &mut self.parts[watch];
            let listed = std::mem::take(&mut part.listed);
            let gone = self.store.state_filter(|object| {
                object.namespace().as_deref() == Some(part.namespace.as_str())
                    && !listed.contains_key(&ObjectRef::from_obj(object))
            });
            let gone = gone.iter().map(|object| Event::Delete(K::clone(object)));
            return gone.chain(listed.into_values().map(Event::Apply)).collect();
        }
        if !self.parts.iter().all(|part| part.has_listed) {
            return Vec::new();
        }
        self.has_listed = true;
        let objects = self.parts.iter_mut().flat_map(|part| std::mem::take(&mut part.listed).into_values());
        let objects = objects.map(Event::InitApply);
        std::iter::once(Event::Init).chain(objects).chain([Event::InitDone]).collect()
    }
}

impl<K: Lookup<DynamicType = ()>> Part<K> {
    fn enter(&mut self, object: K) {
        self.listed.insert(ObjectRef::from_obj(&object), object);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector::{self, store::Writer};
    use kube::{Resource, ResourceExt};

    use super::*;

    struct Stage {
        merge: Merge<ConfigMap>,
        store: Store<ConfigMap>,
        writer: Writer<ConfigMap>,
    }

    impl Stage {
        fn of_two() -> Self {
            let (store, writer) = reflector::store();
            Self {
                merge: Merge::new(["a".to_owned(), "b".to_owned()], store.clone(), Unseen::default()),
                store,
                writer,
            }
        }

        /// How many events come out.
        fn take(&mut self, watch: usize, event: Event<ConfigMap>) -> usize {
            let events = self.merge.take(watch, event);
            for event in &events {
                self.writer.apply_watcher_event(event);
            }
            events.len()
        }

        fn list(&mut self, watch: usize, objects: &[ConfigMap]) -> usize {
            let mut events = self.take(watch, Event::Init);
            for object in objects {
                events += self.take(watch, Event::InitApply(object.clone()));
            }
            events + self.take(watch, Event::InitDone)
        }

        fn names(&self) -> BTreeSet<String> {
            let state = self.store.state();
            state.iter().map(|it| format!("{}/{}", it.metadata.namespace.as_ref().unwrap(), it.name_any())).collect()
        }
    }

    fn object(namespace: &str, name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        (object.meta_mut().namespace, object.meta_mut().name) = (Some(namespace.into()), Some(name.into()));
        object
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn nothing_is_told_before_all_have_listed_and_nothing_is_lost_meanwhile() {
        let mut stage = Stage::of_two();
        assert_eq!(stage.list(0, &[object("a", "1"), object("a", "2")]), 0);
        assert_eq!(stage.take(0, Event::Apply(object("a", "3"))), 0);
        assert_eq!(stage.take(0, Event::Delete(object("a", "1"))), 0);
        stage.take(0, Event::Init);
        assert_eq!(stage.list(1, &[object("b", "1")]), 0, "a watch that broke lists anew");
        assert_eq!(stage.list(0, &[object("a", "2"), object("a", "3")]), 5);
        assert_eq!(stage.names(), names(&["a/2", "a/3", "b/1"]));
    }

    #[test]
    fn a_watch_that_may_not_list_holds_up_nobody_and_is_heard_when_it_may() {
        let mut stage = Stage::of_two();
        stage.list(0, &[object("a", "1")]);
        for event in stage.merge.forbidden(1) {
            stage.writer.apply_watcher_event(&event);
        }
        assert_eq!(stage.names(), names(&["a/1"]));
        assert!(stage.merge.forbidden(1).is_empty(), "it is told once");
        assert!(stage.merge.unseen.holds("b") && !stage.merge.unseen.holds("a"));
        stage.list(1, &[object("b", "1")]);
        assert!(!stage.merge.unseen.holds("b"));
        assert_eq!(stage.names(), names(&["a/1", "b/1"]));
    }

    #[test]
    fn a_watch_that_goes_on_where_it_was_forbidden_sees_again() {
        let mut stage = Stage::of_two();
        stage.list(0, &[object("a", "1")]);
        stage.list(1, &[object("b", "1")]);
        assert!(stage.merge.forbidden(1).is_empty());
        assert_eq!(stage.take(0, Event::Apply(object("a", "2"))), 1);
        assert!(stage.merge.unseen.holds("b"), "another watch says nothing of it");
        assert_eq!(stage.take(1, Event::Delete(object("b", "1"))), 1);
        assert!(!stage.merge.unseen.holds("b"));
    }

    #[test]
    fn then_changes_are_told_as_they_come() {
        let mut stage = Stage::of_two();
        stage.list(0, &[object("a", "1")]);
        stage.list(1, &[]);
        assert_eq!(stage.take(1, Event::Apply(object("b", "1"))), 1);
        assert_eq!(stage.take(0, Event::Delete(object("a", "1"))), 1);
        assert_eq!(stage.names(), names(&["b/1"]));
    }

    #[test]
    fn a_watch_that_lists_anew_takes_nothing_from_the_others() {
        let mut stage = Stage::of_two();
        stage.list(0, &[object("a", "1"), object("a", "2")]);
        stage.list(1, &[object("b", "1")]);
        stage.take(1, Event::Init);
        stage.take(1, Event::InitApply(object("b", "2")));
        assert_eq!(stage.list(0, &[object("a", "2"), object("a", "3")]), 3, "one went; while another lists anew, too");
        assert_eq!(stage.names(), names(&["a/2", "a/3", "b/1"]));
        stage.take(1, Event::InitDone);
        assert_eq!(stage.names(), names(&["a/2", "a/3", "b/2"]));
    }
}
