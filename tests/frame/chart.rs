//! The chart's rights are those that the test world gives the operator, and its CRDs those of the types. Text-based: helm is not needed.

use serde_json::Value;

use crate::{files, no_complaints, text};

/// The operator's rights, as every test runs with them.
const TESTED: &str = "tests/world/rbac/operator.yaml";
const CHART: &str = "charts/iamdb-operator/templates/rbac.yaml";

/// Reads a template as YAML: lines that are only a template action go, an action within a line becomes a word.
fn without_actions(template: &str) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let mut rest = line;
        let mut plain = String::new();
        while let Some((before, after)) = rest.split_once("{{") {
            let (_, after) = after.split_once("}}").expect("an action ends on its line");
            plain += before;
            if !(plain.trim().is_empty() && after.trim().is_empty()) {
                plain += "templated";
            }
            rest = after;
        }
        plain += rest;
        text += plain.trim_end();
        text.push('\n');
    }
    text
}

/// Kind and rules of each role, in the order of the file.
fn rules(yaml: &str) -> Vec<(String, Value)> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let is_role = |document: &&Value| matches!(document["kind"].as_str(), Some("ClusterRole" | "Role"));
    let rules =
        |document: &Value| (document["kind"].as_str().unwrap_or_default().to_owned(), document["rules"].clone());
    documents.iter().filter(is_role).map(rules).collect()
}

fn rights_differ(tested: &str, chart: &str) -> Vec<String> {
    let (tested, chart) = (rules(tested), rules(&without_actions(chart)));
    if tested == chart {
        return Vec::new();
    }
    vec![format!("{CHART} differs from {TESTED}:\n  tested: {tested:?}\n  chart:  {chart:?}")]
}

#[test]
fn the_chart_grants_exactly_the_rights_that_are_tested() {
    let tested = text(TESTED);
    assert_eq!(rules(&tested).len(), 3, "{TESTED} has other roles than the operator's two and that on tokens");
    no_complaints(&rights_differ(&tested, &text(CHART)));
}

#[test]
fn the_chart_installs_exactly_the_generated_crds() {
    let generated = files("crds", ".yaml");
    let shipped = files("charts/iamdb-operator/files/crds", ".yaml");
    let name = |path: &String| path.rsplit('/').next().unwrap().to_owned();
    assert_eq!(
        generated.iter().map(name).collect::<Vec<_>>(),
        shipped.iter().map(name).collect::<Vec<_>>(),
        "run `make crds`"
    );
    for (generated, shipped) in generated.iter().zip(&shipped) {
        assert!(text(generated) == text(shipped), "{shipped} differs from {generated}: run `make crds`");
    }
}

#[test]
fn what_the_chart_sets_and_probes_exists_in_the_program() {
    let deployment = text("charts/iamdb-operator/templates/deployment.yaml");
    let flags = text("src/cli/run.rs");
    let names = deployment.lines().filter_map(|line| line.trim().strip_prefix("- name: "));
    for name in names.filter(|name| name.starts_with("IAMDB_") || *name == "POD_NAMESPACE") {
        assert!(flags.contains(&format!("env = \"{name}\"")), "no flag of `iamdb run` reads {name}");
    }
    let routes = text("src/telemetry/http.rs");
    let probes: Vec<_> = deployment.lines().filter_map(|line| line.trim().strip_prefix("path: ")).collect();
    assert_eq!(probes, ["/healthz", "/readyz"]);
    assert!(probes.iter().all(|path| routes.contains(&format!("\"{path}\""))), "{probes:?} are not all served");
    assert!(deployment.contains("containerPort: 8080") && flags.contains("default_value = \"0.0.0.0:8080\""));
}

/// Values without a comment right above them. What stands below an explained key is explained with it; a key that only groups needs none.
fn unexplained(values: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut after_comment = false;
    let mut explained: Option<usize> = None;
    for (n, line) in values.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with('#') {
            after_comment = true;
            continue;
        }
        if after_comment {
            explained = Some(indent);
        } else if explained.is_none_or(|above| indent <= above) {
            explained = None;
            if !line.ends_with(':') {
                complaints.push(format!("values.yaml:{}: {line:?} has no comment", n + 1));
            }
        }
        after_comment = false;
    }
    complaints
}

#[test]
fn every_value_of_the_chart_is_explained() {
    no_complaints(&unexplained(&text("charts/iamdb-operator/values.yaml")));
}

#[test]
fn a_value_without_explanation_is_noticed() {
    no_complaints(&unexplained("image:\n  # What.\n  tag: a\n# All.\nall:\n  one: 1\n  two:\n    three: 3\n"));
    for values in
        ["tag: a\n", "image:\n  tag: a\n", "# One.\none: 1\ntwo: 2\n", "image:\n  # What.\n  tag: a\n  other: b\n"]
    {
        assert_eq!(unexplained(values).len(), 1, "{values}");
    }
}

#[test]
fn a_right_too_many_or_too_few_is_noticed() {
    let tested = "kind: ClusterRole\nrules:\n  - {apiGroups: [''], resources: [secrets], verbs: [get]}\n";
    let chart = "kind: ClusterRole\nmetadata:\n  name: {{ include \"x\" . }}\n  labels:\n    {{- include \"l\" . | nindent 4 }}\nrules:\n  # why\n  - \
                 {apiGroups: [''], resources: [secrets], verbs: [get]}\n";
    no_complaints(&rights_differ(tested, chart));
    for (from, to) in [("[get]", "[get, list]"), ("[secrets]", "['*']"), ("ClusterRole", "Role")] {
        assert_eq!(rights_differ(tested, &chart.replace(from, to)).len(), 1, "{to}");
    }
}
