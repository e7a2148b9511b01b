//! The chart's rights are those that the test world gives the operator, and its CRDs those of the types. Text-based: helm is not needed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{files, no_complaints, text};

/// The operator's rights, as the tests run with them.
const TESTED: &str = "tests/world/rbac/operator.yaml";

/// The chart's rules: lists, which its templates put into roles as they are.
const RIGHTS: &str = "charts/iamdb-operator/files/rights";

/// Kind and rules of each role, in the order of the file.
fn roles(yaml: &str) -> Vec<(String, Vec<Value>)> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let is_role = |document: &&Value| matches!(document["kind"].as_str(), Some("ClusterRole" | "Role"));
    let rules = |document: &Value| {
        let rules = document["rules"].as_array().cloned().unwrap_or_default();
        (document["kind"].as_str().unwrap_or_default().to_owned(), rules)
    };
    documents.iter().filter(is_role).map(rules).collect()
}

/// The rules of some of the chart's lists.
fn rules(lists: &[&str]) -> Vec<Value> {
    let list = |name: &&str| -> Vec<Value> {
        serde_saphyr::from_str(&text(format!("{RIGHTS}/{name}.yaml"))).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    lists.iter().flat_map(list).collect()
}

/// The lists that a text of the chart brings in, in its order.
fn brought_in(template: &str) -> Vec<String> {
    let names = template.split(".Files.Get \"files/rights/").skip(1);
    names.filter_map(|rest| Some(rest.split_once(".yaml")?.0.to_owned())).collect()
}

#[test]
fn the_chart_grants_exactly_the_rights_that_are_tested() {
    let everywhere = ("ClusterRole".to_owned(), rules(&["cluster", "namespaces", "events", "secrets-watch", "tokens"]));
    let own = ("Role".to_owned(), rules(&["own"]));
    assert_eq!(roles(&text(TESTED)), [everywhere, own], "{TESTED} and {RIGHTS} differ");
}

/// Which of them are brought in when is seen in what helm renders: `make chart` compares that. Here: nothing else is.
#[test]
fn the_chart_grants_nothing_but_those_lists() {
    let (roles, helpers) =
        (text("charts/iamdb-operator/templates/rbac.yaml"), text("charts/iamdb-operator/templates/_helpers.tpl"));
    assert!(!roles.contains("verbs:") && !helpers.contains("verbs:"), "a rule stands outside of {RIGHTS}");
    assert_eq!(brought_in(&roles), ["cluster", "own", "events"]);
    assert_eq!(brought_in(&helpers), ["namespaces", "events", "secrets-watch", "tokens"]);
    assert_eq!(roles.matches("kind: ClusterRole\n").count(), 2, "one, and what its binding names");
    let lists = files(RIGHTS, ".yaml");
    let known = ["cluster", "events", "namespaces", "own", "secrets-watch", "tokens"];
    assert_eq!(lists, known.map(|name| format!("{RIGHTS}/{name}.yaml")));
}

#[test]
fn a_scope_leaves_the_cluster_nothing_that_is_in_a_namespace() {
    let resources = |rules: &[Value]| -> Vec<String> {
        let all = rules.iter().flat_map(|rule| rule["resources"].as_array().cloned().unwrap_or_default());
        all.filter_map(|it| it.as_str().map(str::to_owned)).collect()
    };
    assert_eq!(resources(&rules(&["cluster"])), ["dbservers", "dbservers/status", "namespaces"]);
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
    assert!(deployment.contains("containerPort: 8080") && flags.contains("default_value = \"[::]:8080\""));
}

/// Metrics that a text asks for: words that begin as ours do.
fn asked_for(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    words.filter(|word| word.starts_with("iamdb_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let registered = text("src/telemetry/metrics.rs");
    for path in ["alerts.yaml", "dashboard.json"] {
        let asked = asked_for(&text(format!("charts/iamdb-operator/files/{path}")));
        assert!(asked.contains("iamdb_not_ready") && asked.contains("iamdb_rotations_total"), "{path}: {asked:?}");
        // What OpenMetrics puts behind the name of a counter and of a histogram.
        let name = |it: &String| {
            it.trim_start_matches("iamdb_").trim_end_matches("_total").trim_end_matches("_bucket").to_owned()
        };
        let unknown: Vec<_> = asked.iter().filter(|it| !registered.contains(&format!("\"{}\"", name(it)))).collect();
        assert!(unknown.is_empty(), "{path} asks for {unknown:?}, which nobody tells");
    }
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
