//! The bare loop: the same writes as a rotation's, of Secrets of the same size, by the same client, and nothing else. What it reaches is the
//! limit of this machine.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};

use crate::figures::Loop;
use crate::plane::Plane;

const NAMESPACES: usize = 20;
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The ways to change a Secret on the condition that nobody else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Way {
    /// The whole object. What the product does.
    Put,
    /// What changes, as a merge patch with uid and resourceVersion.
    MergePatch,
    /// What changes, as a JSON patch that tests the uid and sets the resourceVersion that it is for.
    JsonPatch,
    /// The whole object, by server-side apply.
    Apply,
}

/// Keys of our Secret that a rotation changes.
pub const ROTATED: [&str; 3] = ["password", "uri", "token-expires-at"];

/// Secrets like one of the operator's, which the operator does not watch.
pub struct Raw<'p> {
    plane: &'p Plane,
    /// Keys that change.
    rotated: Vec<String>,
    secrets: Vec<Secret>,
    round: u32,
}

impl<'p> Raw<'p> {
    /// Creates copies of a Secret, in which these keys will change, and tells how fast.
    pub async fn create<K: Into<String>>(
        plane: &'p Plane,
        like: &Secret,
        rotated: impl IntoIterator<Item = K>,
        copies: usize,
        concurrency: usize,
    ) -> (Self, Loop) {
        let namespaces = Api::<Namespace>::all(plane.client.clone());
        for at in 0..NAMESPACES {
            let name = Some(format!("bench-raw-{at}"));
            let namespace =
                Namespace { metadata: ObjectMeta { name, ..ObjectMeta::default() }, ..Namespace::default() };
            let _ = namespaces.create(&PostParams::default(), &namespace).await; // it may be there
        }
        let rotated = rotated.into_iter().map(Into::into).collect();
        let mut raw = Self { plane, rotated, secrets: (0..copies).map(|at| copy(like, at)).collect(), round: 0 };
        let figures = raw.write(concurrency, Way::Put).await;
        (raw, figures)
    }

    /// Replaces all of them once, each on the condition that nobody else did, and tells how fast.
    pub async fn replace(&mut self, concurrency: usize) -> Loop {
        self.write(concurrency, Way::Put).await
    }

    /// The same in another way.
    pub async fn write(&mut self, concurrency: usize, way: Way) -> Loop {
        self.round += 1;
        let meter = self.plane.meter(None);
        let (client, rotated, round) = (&self.plane.client, &self.rotated, self.round);
        let writes = self.secrets.iter_mut().map(|secret| async move {
            renew(secret, rotated, round);
            let meta = send(client, secret, rotated, way).await;
            (secret.metadata.uid, secret.metadata.resource_version) = (meta.uid, meta.resource_version);
        });
        stream::iter(writes).for_each_concurrent(concurrency, |write| write).await;
        let (seconds, cpu, count) = (meter.seconds(), meter.cpu(), self.secrets.len() as f64);
        Loop {
            concurrency,
            rate: count / seconds,
            client_ms: cpu.bench * 1_000.0 / count,
            apiserver_ms: cpu.apiserver * 1_000.0 / count,
            etcd_ms: cpu.etcd * 1_000.0 / count,
            foreign_cores: meter.foreign_cores(),
        }
    }

    /// Deletes the namespaces, with what is in them, and waits until they are gone.
    pub async fn remove(self) {
        self.plane.remove_namespaces((0..NAMESPACES).map(|at| format!("bench-raw-{at}")).collect()).await;
    }
}

/// The same content, and labels and annotations of the same size. The names are others: only the operator may write its own. The garbage collector must
/// find no owner, so an annotation is as long as one.
fn copy(like: &Secret, at: usize) -> Secret {
    let strange = |map: &Option<BTreeMap<String, String>>| -> BTreeMap<String, String> {
        let pairs = map.iter().flatten();
        pairs.map(|(key, value)| (key.replace("iamdb.dev/", "bench.dev/"), value.clone())).collect()
    };
    let mut labels = strange(&like.metadata.labels);
    labels.insert("app.kubernetes.io/managed-by".into(), "iamdb-bench-it".into());
    let mut annotations = strange(&like.metadata.annotations);
    let owner = serde_json::to_string(&like.metadata.owner_references).unwrap_or_default();
    annotations.insert("bench.dev/owner".into(), owner);
    let metadata = ObjectMeta {
        name: Some(format!("raw-{at}")),
        namespace: Some(format!("bench-raw-{}", at % NAMESPACES)),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    Secret { metadata, ..like.clone() }
}

/// Another token of the same length.
fn renew(secret: &mut Secret, rotated: &[String], round: u32) {
    for (_, ByteString(value)) in secret.data.iter_mut().flatten().filter(|(key, _)| rotated.contains(key)) {
        let mark = format!("{round:08}");
        for (byte, new) in value.iter_mut().rev().zip(mark.bytes().rev()) {
            *byte = new;
        }
    }
}

async fn send(client: &kube::Client, secret: &Secret, rotated: &[String], way: Way) -> ObjectMeta {
    let (namespace, name) = (secret.metadata.namespace.as_deref(), secret.metadata.name.as_deref());
    let folder = format!("/api/v1/namespaces/{}/secrets", namespace.unwrap_or_default());
    let path = format!("{folder}/{}", name.unwrap_or_default());
    let bytes = |body: &Value| serde_json::to_vec(body).expect("JSON");
    let whole = || serde_json::to_vec(secret).expect("JSON");
    let meta = &secret.metadata;
    let rotated = || secret.data.iter().flatten().filter(|(key, _)| rotated.contains(key));
    let (method, path, content, body) = match way {
        _ if meta.uid.is_none() => (http::Method::POST, folder, "application/json", whole()),
        Way::Put => (http::Method::PUT, path, "application/json", whole()),
        Way::Apply => (http::Method::PATCH, format!("{path}?force=true"), "application/apply-patch+yaml", whole()),
        Way::MergePatch => {
            let data: serde_json::Map<_, _> = rotated().map(|(key, value)| (key.clone(), json!(value))).collect();
            let of = json!({
                "uid": meta.uid, "resourceVersion": meta.resource_version,
                "labels": meta.labels, "annotations": meta.annotations
            });
            let body = bytes(&json!({"metadata": of, "data": data}));
            (http::Method::PATCH, path, "application/merge-patch+json", body)
        }
        Way::JsonPatch => {
            let replace = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
            let mut body = vec![
                json!({"op": "test", "path": "/metadata/uid", "value": meta.uid}),
                replace("/metadata/resourceVersion", json!(meta.resource_version)),
                replace("/metadata/labels", json!(meta.labels)),
                replace("/metadata/annotations", json!(meta.annotations)),
            ];
            body.extend(rotated().map(|(key, value)| replace(&format!("/data/{key}"), json!(value))));
            (http::Method::PATCH, path, "application/json-patch+json", bytes(&body.into()))
        }
    };
    let sign = if path.contains('?') { '&' } else { '?' };
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}{sign}fieldManager=iamdb-operator"))
        .header(http::header::CONTENT_TYPE, content)
        .header(http::header::ACCEPT, METADATA_ONLY)
        .body(body)
        .expect("a request");
    let answer: PartialObjectMeta<Secret> = client.request(request).await.expect("write");
    answer.metadata
}
