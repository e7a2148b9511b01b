//! The fields of a kind, for tests that must have tried each: a field that is new fails them until it is tried, too.

use kube::CustomResourceExt;
use serde_json::Value;

/// The fields of a kind's spec that none of these specs has.
pub fn untried<K: CustomResourceExt>(specs: &[Value]) -> Vec<String> {
    let crd = serde_json::to_value(K::crd()).expect("JSON");
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut fields = Vec::new();
    walk(spec, "", &mut fields);
    assert!(fields.len() > 10, "the schema tells of {fields:?} only");
    fields.retain(|field| specs.iter().all(|spec| spec.pointer(field).is_none()));
    fields
}

/// JSON pointers to all that has no part of its own; to the first of a list.
fn walk(schema: &Value, at: &str, fields: &mut Vec<String>) {
    let members = schema["properties"].as_object();
    match (members, schema["items"]["properties"].is_object()) {
        (Some(members), _) => members.iter().for_each(|(name, member)| walk(member, &format!("{at}/{name}"), fields)),
        (None, true) => walk(&schema["items"], &format!("{at}/0"), fields),
        (None, false) => fields.push(at.to_owned()),
    }
}
