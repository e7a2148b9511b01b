//! What is remembered of Secrets: enough to write each once more without a read, nothing of its contents, and no more than that, because there are
//! thousands. A Kubernetes object would hold the same in six times the memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::Lookup;

use super::marks::{Belonging, Marks};
use crate::domain::digest::Digest;

/// Which object a Secret is, in which state, and what others put on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    uid: Option<Arc<str>>,
    version: Option<Arc<str>>,
    others: Option<Arc<Others>>,
}

/// What is on a Secret by the hand of others. It stays. Most Secrets have nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) finalizers: Option<Vec<String>>,
}

impl Known {
    /// What a Secret's metadata says, but for what we put there ourselves, now or by an earlier order.
    pub(super) fn of(marks: &Marks, meta: ObjectMeta) -> Self {
        let (mut labels, mut annotations) = (meta.labels.unwrap_or_default(), meta.annotations.unwrap_or_default());
        marks.take_off(&mut labels, &mut annotations);
        let others = Others { labels, annotations, finalizers: meta.finalizers };
        Self {
            uid: meta.uid.map(Into::into),
            version: meta.resource_version.map(Into::into),
            others: (others != Others::default()).then(|| Arc::new(others)),
        }
    }

    /// What makes a write conditional on this state.
    pub(super) fn precondition(&self) -> (Option<String>, Option<String>) {
        (self.uid.as_deref().map(str::to_owned), self.version.as_deref().map(str::to_owned))
    }

    /// What others put on it.
    pub(super) fn others(&self) -> Others {
        self.others.as_deref().cloned().unwrap_or_default()
    }

    /// Whether this is a later state of the Secret than `other`. Resource versions of one cluster are numbers that grow; one that is none is no later
    /// than any.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let number = |known: &Self| known.version.as_deref().and_then(|version| version.parse::<u64>().ok());
        number(self) > number(other)
    }
}

/// What a Secret holds, as its own annotations tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// When its token stops being usable.
    pub(super) expires_at: Timestamp,
    /// Digest of what went into it.
    pub(super) inputs: Digest,
}

/// A Secret of the operator's, as the watch tells of it.
#[derive(Clone, Debug)]
pub struct TokenSecret {
    name: Box<str>,
    namespace: Box<str>,
    belonging: Belonging,
    expires_at: Option<Timestamp>,
    inputs: Option<Digest>,
    known: Known,
}

impl TokenSecret {
    /// What is kept of a Secret's metadata.
    #[must_use]
    pub fn of(marks: &Marks, meta: ObjectMeta) -> Self {
        let annotation = |key: &str| meta.annotations.as_ref().and_then(|annotations| annotations.get(key));
        Self {
            name: meta.name.clone().unwrap_or_default().into(),
            namespace: meta.namespace.clone().unwrap_or_default().into(),
            belonging: Belonging::of(marks, &meta),
            expires_at: annotation(marks.expires_at).and_then(|text| text.parse().ok()),
            inputs: annotation(marks.inputs).map(|text| Digest::read(text)),
            known: Known::of(marks, meta),
        }
    }

    /// Whether it is the Secret of the object of this uid.
    #[must_use]
    pub fn is_of(&self, uid: &str) -> bool {
        self.belonging.is_to(uid)
    }

    /// Until when its token can be relied on, as it says itself.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Uid and resourceVersion, which make a write conditional on this state.
    #[must_use]
    pub fn precondition(&self) -> (Option<String>, Option<String>) {
        self.known.precondition()
    }

    pub(super) const fn known(&self) -> &Known {
        &self.known
    }

    /// Uid of the object that has to look when it changes.
    pub(super) fn concerns(&self) -> Option<&str> {
        self.belonging.concerns()
    }

    /// What it says of its contents; none when it does not belong to this object, or its marks cannot be read.
    pub(super) fn published(&self, owner: &str) -> Option<Published> {
        let (expires_at, inputs) = (self.expires_at?, self.inputs?);
        self.is_of(owner).then_some(Published { expires_at, inputs })
    }
}

/// So that a feed can keep it.
impl Lookup for TokenSecret {
    type DynamicType = ();

    fn kind((): &()) -> Cow<'_, str> {
        <Secret as Resource>::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        <Secret as Resource>::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        <Secret as Resource>::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        <Secret as Resource>::plural(&())
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.namespace))
    }

    fn resource_version(&self) -> Option<Cow<'_, str>> {
        self.known.version.as_deref().map(Cow::Borrowed)
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        self.known.uid.as_deref().map(Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::sample::{MARKS, inputs};

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_we_put_on_a_secret_is_not_kept_and_what_others_put_there_is() {
        let ours = serde_json::json!({
            "uid": "u", "resourceVersion": "7",
            "labels": {"by": "us", "owner": "o", "expires": "19700101T000000Z", "team": "shop"},
            "annotations": {"issued": "x", "expires": "y", "inputs": "z", "applied": "label/team annotation/note", "note": "n"},
        });
        let known = Known::of(&MARKS, meta(ours.clone()));
        assert_eq!((known.others(), known.others.is_none()), (Others::default(), true));
        assert_eq!(known.precondition(), (Some("u".into()), Some("7".into())));
        let mut touched = ours;
        touched["labels"]["theirs"] = "1".into();
        touched["annotations"]["theirs"] = "2".into();
        touched["finalizers"] = serde_json::json!(["theirs"]);
        let Others { labels, annotations, finalizers } = Known::of(&MARKS, meta(touched)).others();
        assert_eq!(labels, BTreeMap::from([("theirs".into(), "1".into())]));
        assert_eq!(annotations, BTreeMap::from([("theirs".into(), "2".into())]));
        assert_eq!(finalizers, Some(vec!["theirs".to_owned()]));
    }

    #[test]
    fn a_secret_is_its_controllers_unless_its_label_says_otherwise() {
        let owner = serde_json::json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "o", "controller": true}]);
        let of = |label: Option<&str>, owner: &serde_json::Value| {
            let annotations = serde_json::json!({"expires": "2026-01-02T03:04:05Z", "inputs": inputs(1).to_string()});
            let labels = serde_json::json!({"owner": label});
            let labels = if label.is_some() { labels } else { serde_json::Value::Null };
            let meta = serde_json::json!({"labels": labels, "annotations": annotations, "ownerReferences": owner});
            TokenSecret::of(&MARKS, self::meta(meta))
        };
        let none = serde_json::Value::Null;
        let is_ours = |secret: &TokenSecret| (secret.is_of("o"), secret.published("o").is_some());
        assert_eq!(is_ours(&of(Some("o"), &owner)), (true, true));
        assert_eq!(is_ours(&of(None, &owner)), (true, true), "a label was taken off");
        assert_eq!(is_ours(&of(Some("other"), &owner)), (false, false));
        assert_eq!(is_ours(&of(Some("o"), &none)), (false, false), "a copy carries our label, too");
        // Whoever may have lost it has to look.
        let concerns = |secret: &TokenSecret| secret.concerns().map(str::to_owned);
        assert_eq!(concerns(&of(Some("other"), &owner)), Some("o".into()));
        assert_eq!(concerns(&of(Some("o"), &none)), Some("o".into()));
        assert_eq!(concerns(&of(None, &none)), None);
    }

    #[test]
    fn later_states_have_higher_versions() {
        let of = |version: &str| Known::of(&MARKS, meta(serde_json::json!({"resourceVersion": version})));
        assert!(of("10").is_newer_than(&of("9")));
        assert!(!of("9").is_newer_than(&of("9")));
        assert!(!of("strange").is_newer_than(&of("9")));
    }
}
