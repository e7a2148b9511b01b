//! CA bundles, each read once: thousands of tokens share one text, and reading it is a hundred certificates' work.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use parking_lot::Mutex;

use crate::domain::ca::{Bundle, NotABundle, TrustStore};
use crate::ports::Fault;

/// Bundles by name and key of their ConfigMap, with the state of the ConfigMap that they were read from.
#[derive(Debug, Default)]
pub struct Bundles {
    read: Mutex<HashMap<(String, String), (Version, Bundle)>>,
    /// Why the last attempt to fetch a bundle failed.
    failures: Mutex<HashMap<TrustStore, Fault>>,
}

/// Uid and resourceVersion.
type Version = (Option<String>, Option<String>);

impl Bundles {
    /// The bundle under a key of a ConfigMap; none when there is no such key.
    ///
    /// # Errors
    /// What is wrong with the text under the key.
    pub(super) fn read(&self, config_map: &ConfigMap, key: &str, now: Timestamp) -> Option<Result<Bundle, NotABundle>> {
        let text = config_map.data.as_ref()?.get(key)?;
        let meta = &config_map.metadata;
        let version = (meta.uid.clone(), meta.resource_version.clone());
        let place = (meta.name.clone().unwrap_or_default(), key.to_owned());
        let mut held = self.read.lock();
        if let Some((of, bundle)) = held.get(&place)
            && *of == version
            && bundle.expires_at() > now
        {
            return Some(Ok(bundle.clone()));
        }
        let bundle = Bundle::parse(text, now);
        match &bundle {
            Ok(bundle) => held.insert(place, (version, bundle.clone())),
            Err(_) => held.remove(&place),
        };
        Some(bundle)
    }

    /// Why a bundle could not be fetched; none before it was tried, and after it succeeded.
    pub(super) fn failure(&self, place: &TrustStore) -> Option<Fault> {
        self.failures.lock().get(place).cloned()
    }

    /// A bundle could not be fetched.
    pub(super) fn failed(&self, place: &TrustStore, fault: Fault) {
        self.failures.lock().insert(place.clone(), fault);
    }

    /// A bundle was fetched.
    pub(super) fn fetched(&self, place: &TrustStore) {
        self.failures.lock().remove(place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const CA: &str = include_str!("../domain/testdata/ca.pem");

    fn config_map(version: &str, text: &str) -> ConfigMap {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "ca", "uid": "u", "resourceVersion": version}, "data": {"ca.crt": text}
        }))
        .unwrap()
    }

    #[test]
    fn a_bundle_is_read_once_for_each_state_of_its_config_map() {
        let (bundles, now) = (Bundles::default(), "2026-01-01T00:00:00Z".parse().unwrap());
        let read = |version, text| bundles.read(&config_map(version, text), "ca.crt", now).unwrap();
        let (first, again) = (read("1", CA).unwrap(), read("1", CA).unwrap());
        assert!(Arc::ptr_eq(&first.pem(), &again.pem()), "one text for all");
        assert_eq!(read("2", "junk"), Err(NotABundle::Empty));
        assert_eq!(read("3", CA).unwrap(), first);
        assert!(bundles.read(&config_map("3", CA), "other", now).is_none());
    }

    #[test]
    fn a_bundle_that_expires_while_it_is_held_is_refused() {
        let bundles = Bundles::default();
        let read = |now: &str| bundles.read(&config_map("1", CA), "ca.crt", now.parse().unwrap()).unwrap();
        assert!(read("2026-01-01T00:00:00Z").is_ok());
        assert_eq!(read("2400-01-01T00:00:00Z"), Err(NotABundle::Expired));
    }
}
