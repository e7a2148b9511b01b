//! Writing status: server-side apply of the whole status, and only when it changed.

use std::fmt::Debug;

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::call::{CallError, FIELD_MANAGER, call};

/// Writes `next` as the status of `object` unless `current` says the same already. Tells whether it wrote. An object that is gone is no error.
pub async fn write<K, S>(api: &Api<K>, object: &K, current: Option<&S>, next: &S) -> Result<bool, CallError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: Serialize + PartialEq + Sync,
{
    if current == Some(next) {
        return Ok(false);
    }
    let status = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"uid": object.uid()},
        "status": next,
    });
    let name = object.name_any();
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(&status);
    match call("write status", api.patch_status(&name, &parameters, &patch)).await {
        Ok(_) => Ok(true),
        // The object went, or a namesake stands in its place: either way there is nobody to tell.
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(false),
        Err(error) => Err(error),
    }
}
