//! What the engine knows of a Secret before it writes it: from a watch, or where there is no right to one, by asking once.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::runtime::reflector::{ObjectRef, Store};

use super::known::TokenSecret;
use super::marks::Marks;
use super::order::SecretRef;
use crate::k8s::call::{CallError, call};

/// How Secrets are seen. Never their data.
pub enum Sight {
    /// A watch keeps all of the operator's own here.
    Watched(Store<TokenSecret>),
    /// Each is read when an order for it is placed, and remembered from then on as it was written. What others do to it meanwhile is found at the
    /// next rotation, because each write is conditional.
    Asked(kube::Client),
}

impl Sight {
    /// What there is.
    pub(super) async fn look(&self, marks: &Marks, secret: &SecretRef) -> Result<Option<Arc<TokenSecret>>, CallError> {
        match self {
            Self::Watched(_) => Ok(self.glance(secret)),
            Self::Asked(client) => {
                let api = Api::<Secret>::namespaced(client.clone(), &secret.namespace);
                let found = call("read Secret", api.get_metadata_opt(&secret.name)).await?;
                Ok(found.map(|found| Arc::new(TokenSecret::of(marks, found.metadata))))
            }
        }
    }

    /// What is known of it without asking anybody.
    pub(super) fn glance(&self, secret: &SecretRef) -> Option<Arc<TokenSecret>> {
        match self {
            Self::Watched(store) => store.get(&ObjectRef::new(&secret.name).within(&secret.namespace)),
            Self::Asked(_) => None,
        }
    }
}
