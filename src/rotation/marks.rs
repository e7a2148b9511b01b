//! The marks of a token Secret: how the operator knows its own, and what such a Secret says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::order::{Order, Owner};
use crate::domain::token::Token;

/// Labels or annotations.
type Texts = BTreeMap<String, String>;

/// Labels and annotations that mark a token Secret. The names are the API's; the engine is told them.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// Type of the Secret.
    pub secret_type: &'static str,
    /// API version and kind of the objects that Secrets belong to.
    pub owner_kind: (&'static str, &'static str),
    /// Label, and its value, on everything that the operator makes.
    pub managed_by: (&'static str, &'static str),
    /// Label with the owner's uid.
    pub owner_uid: &'static str,
    /// Label with the instant at which the token stops being usable.
    pub expires_at_label: &'static str,
    /// Annotation with that instant.
    pub expires_at: &'static str,
    /// Annotation with the instant of the signing.
    pub issued_at: &'static str,
    /// Annotation with the digest of the inputs.
    pub inputs: &'static str,
    /// Annotation with the names of the user's labels and annotations that stand on the Secret by our hand, `label/...` and `annotation/...`.
    pub applied: &'static str,
}

impl Marks {
    /// The Secret goes with its owner. `blockOwnerDeletion` is left off: it would need a right on the owner's finalizers.
    pub(super) fn owner_reference(&self, owner: &Owner) -> OwnerReference {
        OwnerReference {
            api_version: self.owner_kind.0.to_owned(),
            kind: self.owner_kind.1.to_owned(),
            name: owner.name.clone(),
            uid: owner.uid.to_string(),
            controller: Some(true),
            block_owner_deletion: None,
        }
    }

    /// Puts them beside what others have on a Secret, with the labels and annotations that the order asks for.
    pub(super) fn put(&self, order: &Order, token: &Token, labels: &mut Texts, annotations: &mut Texts) {
        let theirs = order.labels.keys().map(|key| format!("label/{key}"));
        let applied: Vec<_> = theirs.chain(order.annotations.keys().map(|key| format!("annotation/{key}"))).collect();
        if !applied.is_empty() {
            annotations.insert(self.applied.into(), applied.join(" "));
        }
        labels.extend(order.labels.clone());
        labels.insert(self.managed_by.0.into(), self.managed_by.1.into());
        labels.insert(self.owner_uid.into(), order.owner.uid.to_string());
        labels.insert(self.expires_at_label.into(), token.usable_until.strftime("%Y%m%dT%H%M%SZ").to_string());
        annotations.extend(order.annotations.clone());
        annotations.insert(self.issued_at.into(), token.signed_at.to_string());
        annotations.insert(self.expires_at.into(), token.usable_until.to_string());
        annotations.insert(self.inputs.into(), order.inputs.to_string());
    }

    /// Takes off whatever [`Self::put`] put there, now or for an earlier order.
    pub(super) fn take_off(&self, labels: &mut Texts, annotations: &mut Texts) {
        let before = annotations.remove(self.applied).unwrap_or_default();
        for name in before.split_ascii_whitespace() {
            match name.split_once('/') {
                Some(("label", key)) => _ = labels.remove(key),
                Some(("annotation", key)) => _ = annotations.remove(key),
                _ => {}
            }
        }
        for ours in [self.managed_by.0, self.owner_uid, self.expires_at_label] {
            labels.remove(ours);
        }
        for ours in [self.issued_at, self.expires_at, self.inputs] {
            annotations.remove(ours);
        }
    }
}

/// Whose a Secret says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Belonging {
    /// Uid of the object that controls it.
    controller: Option<Arc<str>>,
    /// Uid on its label.
    label: Option<Arc<str>>,
}

impl Belonging {
    pub(super) fn of(marks: &Marks, meta: &ObjectMeta) -> Self {
        let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let controller: Option<Arc<str>> = controller.map(|owner| owner.uid.as_str().into());
        let label = meta.labels.as_ref().and_then(|labels| labels.get(marks.owner_uid));
        // Nearly always the same, and kept once.
        let label = label.map(|label| match &controller {
            Some(controller) if **controller == **label => controller.clone(),
            _ => label.as_str().into(),
        });
        Self { controller, label }
    }

    /// Whether it is the Secret of the object of this uid: that object controls it, and no label says otherwise. A label is easily taken off; the next
    /// write puts it back.
    pub(super) fn is_to(&self, uid: &str) -> bool {
        self.controller.as_deref() == Some(uid) && self.label.as_deref().is_none_or(|label| label == uid)
    }

    /// Uid of the object that has to look when the Secret changes, be it that it lost the Secret by that.
    pub(super) fn concerns(&self) -> Option<&str> {
        self.controller.as_deref().or(self.label.as_deref())
    }
}
