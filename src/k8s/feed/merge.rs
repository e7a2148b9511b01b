//! One watch out of several, each of a namespace of its own.

use std::collections::HashMap;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

/// What a watch tells.
type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// The events of these watches as those of one. Each comes with its namespace, which matters where there are several; `store` is where the events go in
/// the end.
pub(super) fn one_of<K>(mut watches: Vec<(String, Events<K>)>, store: Store<K>) -> Events<K>
where
    K: Lookup<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    if watches.len() == 1
        && let Some((_, only)) = watches.pop()
    {
        return only;
    }
    let (namespaces, watches): (Vec<_>, Vec<_>) = watches.into_iter().unzip();
    let mut merge = Merge::new(namespaces.clone(), store);
    let watches =
        watches.into_iter().enumerate().map(|(watch, events)| events.map(move |event| (watch, event)).boxed());
    let merged = stream::select_all(watches).flat_map(move |(watch, event)| {
        let (events, error) = match event {
            Ok(event) => (merge.take(watch, event), None),
            Err(error) if is_forbidden(&error) => {
                tracing::warn!(kind = %K::kind(&()), namespace = namespaces[watch], "may not list: nothing is done there");
                (merge.forbidden(watch), Some(error))
            }
            Err(error) => (Vec::new(), Some(error)),
        };
        stream::iter(events.into_iter().map(Ok).chain(error.map(Err)))
    });
    merged.boxed()
}

/// Whether the apiserver lets nobody look there: not that it has trouble.
fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    matches!(error, InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)) if status.code == 403)
}

/// Puts the events of several watches together, so that they look like those of one: it has listed when all have, and when one of them lists anew
/// everything is listed anew, what the others brought out of the store.
struct Merge<K: Lookup<DynamicType = ()> + 'static> {
    parts: Vec<Part<K>>,
    /// What all of them brought.
    store: Store<K>,
    has_listed: bool,
}

/// One of the watches.
struct Part<K: Lookup<DynamicType = ()>> {
    namespace: String,
    has_listed: bool,
    /// What its list brought so far, until all have listed or it has listed anew.
    listed: HashMap<ObjectRef<K>, K>,
}

impl<K: Lookup<DynamicType = ()> + Clone + 'static> Merge<K> {
    fn new(namespaces: impl IntoIterator<Item = String>, store: Store<K>) -> Self {
        let part = |namespace| Part { namespace, has_listed: false, listed: HashMap::new() };
        Self { parts: namespaces.into_iter().map(part).collect(), store, has_listed: false }
    }

    /// What an event of one watch means for the whole.
    fn take(&mut self, watch: usize, event: Event<K>) -> Vec<Event<K>> {
        let Some(part) = self.parts.get_mut(watch) else { return Vec::new() };
        match event {
            Event::Init => {
                part.has_listed = false;
                part.listed.clear();
            }
            Event::InitApply(object) => part.enter(object),
            Event::InitDone => {
                part.has_listed = true;
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
        match self.parts.get_mut(watch) {
            Some(part) if !self.has_listed && !part.has_listed => {
                part.has_listed = true;
                self.list(watch)
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn list(&mut self, watch: usize) -> Vec<Event<K>> {
        let objects: Vec<K> = if self.has_listed {
            let part = &mut self.parts[watch];
            let is_others = |object: &K| object.namespace().as_deref() != Some(part.namespace.as_str());
            let others = self.store.state_filter(is_others);
            let anew = std::mem::take(&mut part.listed).into_values();
            others.iter().map(|object| object.as_ref().clone()).chain(anew).collect()
        } else if self.parts.iter().all(|part| part.has_listed) {
            self.has_listed = true;
            self.parts.iter_mut().flat_map(|part| std::mem::take(&mut part.listed).into_values()).collect()
        } else {
            return Vec::new();
        };
        let objects = objects.into_iter().map(Event::InitApply);
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
            Self { merge: Merge::new(["a".to_owned(), "b".to_owned()], store.clone()), store, writer }
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
        stage.list(1, &[object("b", "1")]);
        assert_eq!(stage.names(), names(&["a/1", "b/1"]));
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
        assert_eq!(stage.list(0, &[object("a", "2"), object("a", "3")]), 5, "while another lists anew, too");
        assert_eq!(stage.names(), names(&["a/2", "a/3", "b/1"]));
        stage.take(1, Event::InitDone);
        assert_eq!(stage.names(), names(&["a/2", "a/3", "b/2"]));
    }
}
