//! Every example, in `examples/` and in the README, is one of our kinds, and nothing of it gets lost when it is read.
//!
//! A field that is misspelt would otherwise be dropped in silence here and refused, or pruned, by an apiserver. CEL rules are not evaluated:
//! that takes an apiserver, and the test world has one.

use std::collections::BTreeSet;

use iamdb::api::{DbAuthToken, DbServer, IamDbUser};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{files, no_complaints, text};

/// Kinds of Kubernetes itself that an example needs.
const BUILT_IN: &[&str] = &["Namespace", "ServiceAccount", "Deployment"];

/// Reads a document as a kind and answers what got lost.
fn lost<K: DeserializeOwned + Serialize>(document: &Value) -> Vec<String> {
    match serde_json::from_value::<K>(document.clone()) {
        Ok(read) => missing("", document, &serde_json::to_value(&read).unwrap()),
        Err(error) => vec![error.to_string()],
    }
}

/// Where `written` has something that `read` has not, or has otherwise.
fn missing(path: &str, written: &Value, read: &Value) -> Vec<String> {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => written
            .iter()
            .flat_map(|(key, value)| missing(&format!("{path}.{key}"), value, read.get(key).unwrap_or(&Value::Null)))
            .collect(),
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            let pairs = written.iter().zip(read).enumerate();
            pairs.flat_map(|(n, (written, read))| missing(&format!("{path}[{n}]"), written, read)).collect()
        }
        (written, read) if written == read => Vec::new(),
        (written, read) => vec![format!("{path}: {written} is read as {read}")],
    }
}

/// Complaints about a text of YAML documents, and the kinds that are in it.
fn check(place: &str, yaml: &str) -> (Vec<String>, BTreeSet<String>) {
    let documents: Vec<Value> = match serde_saphyr::from_multiple(yaml) {
        Ok(documents) => documents,
        Err(error) => return (vec![format!("{place}: {error}")], BTreeSet::new()),
    };
    let (mut complaints, mut kinds) = (Vec::new(), BTreeSet::new());
    for document in &documents {
        let word = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (word("apiVersion"), word("kind"));
        let found = match (version.as_str(), kind.as_str()) {
            ("iamdb.dev/v1alpha1", "DbServer") => lost::<DbServer>(document),
            ("iamdb.dev/v1alpha1", "IamDbUser") => lost::<IamDbUser>(document),
            ("iamdb.dev/v1alpha1", "DbAuthToken") => lost::<DbAuthToken>(document),
            (_, other) if BUILT_IN.contains(&other) => Vec::new(),
            (version, other) => vec![format!("{version} {other} is none of our kinds")],
        };
        complaints
            .extend(found.into_iter().map(|it| format!("{place}: {kind} {}: {it}", document["metadata"]["name"])));
        kinds.insert(kind);
    }
    (complaints, kinds)
}

/// The fenced blocks of a language in a Markdown text.
fn fenced(markdown: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in markdown.lines() {
        match &mut open {
            Some(_) if line.trim_start().starts_with("```") => blocks.extend(open.take()),
            Some(block) => block.extend([line, "\n"]),
            None if line.trim() == format!("```{language}") => open = Some(String::new()),
            None => {}
        }
    }
    blocks
}

fn has_all_kinds(kinds: &BTreeSet<String>) -> bool {
    ["DbServer", "IamDbUser", "DbAuthToken"].iter().all(|kind| kinds.contains(*kind))
}

#[test]
fn every_example_is_one_of_our_kinds() {
    let (mut complaints, mut kinds) = (Vec::new(), BTreeSet::new());
    for path in files("examples", ".yaml") {
        let found = check(&path, &text(&path));
        complaints.extend(found.0);
        kinds.extend(found.1);
    }
    no_complaints(&complaints);
    assert!(has_all_kinds(&kinds), "only {kinds:?} have an example");
}

#[test]
fn the_readme_shows_one_of_each_kind() {
    let (mut complaints, mut kinds) = (Vec::new(), BTreeSet::new());
    for block in fenced(&text("README.md"), "yaml") {
        let found = check("README.md", &block);
        complaints.extend(found.0);
        kinds.extend(found.1);
    }
    no_complaints(&complaints);
    assert!(has_all_kinds(&kinds), "only {kinds:?} are shown");
}

#[test]
fn a_misspelt_example_is_noticed() {
    let good = "apiVersion: iamdb.dev/v1alpha1\nkind: DbAuthToken\nmetadata: {name: a}\nspec: {userRef: {name: a}, \
                identity: {type: ServiceAccount, serviceAccount: {name: app}}, secret: {name: s}}\n";
    no_complaints(&check("x", good).0);
    for (from, to) in [
        ("secret: {name: s}", "secret: {name: s, labells: {}}"),
        ("userRef", "userref"),
        ("kind: DbAuthToken", "kind: DbToken"),
        ("metadata: {name: a}", "metadata: {name: a"),
    ] {
        assert!(!check("x", &good.replace(from, to)).0.is_empty(), "{to}");
    }
}
