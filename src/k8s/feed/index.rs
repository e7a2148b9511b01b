//! Objects of a feed by what else is asked for than their name.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::RwLock;

use super::digest;

/// What of an object the index goes by: a `digest` of one of its properties.
pub type By<K> = fn(&K) -> u64;

/// The objects of a store once more, by one of their properties: to look through all of them for each of them takes the square of their number.
pub struct Index<K> {
    by: Option<By<K>>,
    objects: Arc<RwLock<HashMap<u64, Vec<Arc<K>>>>>,
}

impl<K> Clone for Index<K> {
    fn clone(&self) -> Self {
        Self { by: self.by, objects: self.objects.clone() }
    }
}

impl<K> Index<K> {
    /// None to index nothing.
    pub(super) fn new(by: Option<By<K>>) -> Self {
        Self { by, objects: Arc::default() }
    }

    /// The objects of which the property is this: all of them, and by chance another, so whoever asks must compare.
    #[must_use]
    pub fn about(&self, property: &impl Hash) -> Vec<Arc<K>> {
        self.objects.read().get(&digest(property)).cloned().unwrap_or_default()
    }

    pub(super) fn enter(&self, object: &Arc<K>) {
        if let Some(by) = self.by {
            self.objects.write().entry(by(object)).or_default().push(object.clone());
        }
    }

    /// Takes an object out that was entered: this very one, not one of its name.
    pub(super) fn leave(&self, object: &Arc<K>) {
        let Some(by) = self.by else { return };
        let mut objects = self.objects.write();
        let key = by(object);
        if let Some(others) = objects.get_mut(&key) {
            others.retain(|other| !Arc::ptr_eq(other, object));
            if others.is_empty() {
                objects.remove(&key);
            }
        }
    }
}
