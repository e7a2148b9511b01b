//! The one write of a rotation: a PUT of the remembered object, conditional on its uid and resourceVersion, and no read before it.
//!
//! Measured at an apiserver a PUT is the cheapest conditional write (merge patch and apply cost it more), and an answer of metadata alone spares
//! both sides the token on the way back.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::core::PartialObjectMeta;

use super::book::Member;
use super::known::{Known, Others};
use super::marks::{Belonging, Marks};
use super::order::{Order, Problem};
use crate::domain::token::Token;
use crate::k8s::call::{CallError, call};

/// Answer with metadata alone.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Why a Secret was not written.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) problem: Problem,
    /// For how long the apiserver asks not to be asked again.
    pub(super) patience: Option<std::time::Duration>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, patience: None }
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let problem = match (&error, error.code()) {
            (CallError::Refused { operation, .. }, Some(403)) => Problem::Forbidden(operation),
            (_, code) => Problem::Write(code),
        };
        Self { problem, patience: error.retry_after() }
    }
}

/// Brings a token into a Secret, whatever state the Secret is in: the remembered one in one write; otherwise with one look at what is there.
pub(super) async fn publish(client: &Client, marks: &Marks, member: &Member, token: &Token) -> Result<Known, Refusal> {
    let order = &member.order;
    let mut known = member.known.clone();
    if member.is_suspect {
        let seen = look(client, marks, order).await?;
        known = seen.as_ref().map(|seen| Known::of(marks, seen.metadata.clone()));
        if let (Some(seen), Some(known)) = (seen, &known)
            && is_intact(&seen, &body(marks, order, token, known))
        {
            return Ok(known.clone());
        }
    }
    let write = async |known: Option<&Known>| match known {
        Some(known) => put(client, &body(marks, order, token, known)).await,
        None => post(client, &body(marks, order, token, &Known::default())).await,
    };
    let written = match write(known.as_ref()).await {
        // Changed, gone or there already: look, make sure that it is ours, and write once more.
        Err(error) if matches!(error.code(), Some(404 | 409)) => {
            let seen = look(client, marks, order).await?;
            write(seen.map(|seen| Known::of(marks, seen.metadata)).as_ref()).await
        }
        first => first,
    };
    Ok(Known::of(marks, written?))
}

/// Reads the Secret; an error when it is not ours.
async fn look(client: &Client, marks: &Marks, order: &Order) -> Result<Option<Secret>, Refusal> {
    let api = kube::Api::<Secret>::namespaced(client.clone(), &order.secret.namespace);
    let seen = call("get the Secret", api.get_opt(&order.secret.name)).await?;
    match seen {
        Some(seen) if !Belonging::of(marks, &seen.metadata).is_to(&order.owner.uid) => {
            Err(Problem::ForeignSecret.into())
        }
        seen => Ok(seen),
    }
}

/// Whether a Secret is already what would be written over it.
fn is_intact(seen: &Secret, wanted: &Secret) -> bool {
    seen.data == wanted.data
        && seen.metadata.labels == wanted.metadata.labels
        && seen.metadata.annotations == wanted.metadata.annotations
        && seen.metadata.owner_references == wanted.metadata.owner_references
}

/// The Secret to write. `known` is what it was: labels and annotations of others stay, those of an earlier order go, and its uid and
/// resourceVersion make the write conditional.
fn body(marks: &Marks, order: &Order, token: &Token, known: &Known) -> Secret {
    let Others { mut labels, mut annotations, finalizers } = known.others();
    marks.put(order, token, &mut labels, &mut annotations);
    let contents = order.binding.contents(token).into_iter();
    let (uid, resource_version) = known.precondition();
    Secret {
        metadata: ObjectMeta {
            name: Some(order.secret.name.clone()),
            namespace: Some(order.secret.namespace.clone()),
            uid,
            resource_version,
            finalizers,
            owner_references: Some(vec![marks.owner_reference(&order.owner)]),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        type_: Some(marks.secret_type.into()),
        data: Some(contents.map(|(key, value)| (key, ByteString(value))).collect()),
        ..Secret::default()
    }
}

async fn put(client: &Client, secret: &Secret) -> Result<ObjectMeta, CallError> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    send(client, "update the Secret", http::Method::PUT, &format!("/{name}"), secret).await
}

async fn post(client: &Client, secret: &Secret) -> Result<ObjectMeta, CallError> {
    send(client, "create the Secret", http::Method::POST, "", secret).await
}

async fn send(
    client: &Client,
    operation: &'static str,
    method: http::Method,
    path: &str,
    secret: &Secret,
) -> Result<ObjectMeta, CallError> {
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    let refused = |source: kube::Error| CallError::Refused { operation, source: Box::new(source) };
    let body = serde_json::to_vec(secret).map_err(|error| refused(kube::Error::SerdeError(error)))?;
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/api/v1/namespaces/{namespace}/secrets{path}?fieldManager={}", crate::k8s::call::FIELD_MANAGER))
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::ACCEPT, METADATA_ONLY)
        .body(body)
        .map_err(|error| refused(kube::Error::HttpError(error)))?;
    let answer: PartialObjectMeta<Secret> = call(operation, client.request(request)).await?;
    Ok(answer.metadata)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::secret::Secret as Text;
    use crate::rotation::sample::{self, MARKS};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn order(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Order {
        Order { labels: map(labels), annotations: map(annotations), ..sample::order("app", "s") }
    }

    fn token() -> Token {
        let now = jiff::Timestamp::UNIX_EPOCH;
        Token { text: Text::new("t"), signed_at: now, usable_until: now }
    }

    #[test]
    fn a_label_that_the_spec_no_longer_has_goes_and_those_of_others_stay() {
        let write = |order: &Order, known| body(&MARKS, order, &token(), &Known::of(&MARKS, known)).metadata;
        let mut first =
            write(&order(&[("team", "shop"), ("tier", "1")], &[("example.com/note", "x")]), ObjectMeta::default());
        first.labels.as_mut().unwrap().insert("theirs".into(), "y".into());
        first.annotations.as_mut().unwrap().insert("example.com/theirs".into(), "y".into());
        let second = write(&order(&[("team", "blue")], &[]), first);
        let labels =
            map(&[("by", "us"), ("owner", "s"), ("expires", "19700101T000000Z"), ("team", "blue"), ("theirs", "y")]);
        assert_eq!(second.labels, Some(labels));
        let annotations = second.annotations.as_ref().unwrap();
        assert!(annotations.contains_key("example.com/theirs") && !annotations.contains_key("example.com/note"));
        assert_eq!(annotations["applied"], "label/team");
        let third = write(&order(&[], &[]), second);
        assert!(!third.annotations.unwrap().contains_key("applied"));
        assert!(!third.labels.unwrap().contains_key("team"));
    }
}
