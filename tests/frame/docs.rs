//! What the documentation names exists: commands, files, reasons, condition types, metrics and alerts.

use std::collections::BTreeSet;
use std::path::Path;

use iamdb::api::Reason;
use iamdb::domain::arn::PrincipalKind;
use iamdb::domain::operator_rights::{RdsFeatures, Scope, document};

use crate::{files, no_complaints, root, text};

fn documents() -> Vec<String> {
    let mut documents = files("docs", ".md");
    documents
        .extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned));
    documents.push("charts/iamdb-operator/README.md".to_owned());
    documents
}

/// Targets of a Makefile.
fn targets(makefile: &str) -> BTreeSet<String> {
    let target = |line: &str| {
        let (name, _) = line.split_once(':')?;
        let is_name = !name.is_empty() && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
        is_name.then(|| name.to_owned())
    };
    makefile.lines().filter_map(target).collect()
}

/// Targets that a text tells people to make: `make x` in backquotes or as a line of its own, with or without a prompt.
fn told(markdown: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for line in markdown.lines() {
        let code = line.split('`').skip(1).step_by(2);
        let whole = line.trim().trim_start_matches("$ ");
        for command in code.chain([whole]) {
            let Some(rest) = command.trim().strip_prefix("make ") else { continue };
            // Prose that begins a line with "make" is no command: a command has one word, or a comment behind it.
            let words = rest.split('#').next().unwrap_or_default().split_whitespace();
            let names: Vec<_> = words.filter(|word| !word.contains('=')).collect();
            if command != whole || names.len() == 1 {
                told.extend(names.iter().map(|name| (*name).to_owned()));
            }
        }
    }
    told
}

/// Relative links of a Markdown text, without their anchors.
fn links(markdown: &str) -> Vec<String> {
    let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let local =
        targets.filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"));
    local.map(|target| target.split('#').next().unwrap_or(target).to_owned()).collect()
}

/// First cells of the table rows that hold one word in backquotes.
fn rows(markdown: &str) -> Vec<String> {
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned());
    markdown.lines().filter_map(cell).collect()
}

#[test]
fn every_command_that_is_told_exists() {
    let targets = targets(&text("Makefile"));
    let mut complaints = Vec::new();
    for path in documents() {
        let told = told(&text(&path));
        complaints.extend(told.difference(&targets).map(|name| format!("{path}: the Makefile has no target {name}")));
    }
    no_complaints(&complaints);
}

#[test]
fn the_readme_tells_the_commands_that_matter() {
    let told = told(&text("README.md"));
    for target in ["demo", "test", "lint", "unit", "it", "world", "world-down"] {
        assert!(told.contains(target), "README.md does not tell `make {target}`");
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let mut complaints = Vec::new();
    for path in documents() {
        let folder = Path::new(&path).parent().unwrap().to_owned();
        for link in links(&text(&path)) {
            if !root().join(&folder).join(&link).exists() {
                complaints.push(format!("{path}: {link} does not exist"));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn every_reason_is_explained_to_the_person_on_call() {
    let explained = rows(&text("docs/reasons.md"));
    let all: Vec<_> = Reason::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(explained, all, "docs/reasons.md is made by `make reasons`");
}

#[test]
fn the_conditions_that_are_explained_exist() {
    // The condition types have no list of their own; they are what `as_str` can say.
    let conditions = text("src/api/condition.rs");
    let explained = rows(&text("docs/conditions.md"));
    let unknown: Vec<_> = explained.iter().filter(|word| !conditions.contains(&format!("=> \"{word}\""))).collect();
    assert!(unknown.is_empty(), "docs/conditions.md explains {unknown:?}, which does not exist");
}

#[test]
fn every_metric_and_every_alert_is_explained() {
    let registered = text("src/telemetry/metrics.rs");
    let names = registered.split("registry.register(").skip(1).filter_map(|call| call.split('"').nth(1));
    let alerts = text("charts/iamdb-operator/files/alerts.yaml");
    let alerts = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned);
    let all: BTreeSet<String> = names.map(|name| format!("iamdb_{name}")).chain(alerts).collect();
    // Counters are told with a suffix.
    let told = rows(&text("docs/metrics.md"));
    let explained = told.iter().map(|word| word.trim_end_matches("_total").to_owned()).collect::<BTreeSet<_>>();
    assert!(all.len() > 12, "{all:?}");
    assert_eq!(explained, all);
}

#[test]
fn reserved_reasons_are_those_that_no_code_uses() {
    let product: String =
        files("src", ".rs").into_iter().filter(|path| path != "src/api/reason.rs").map(text).collect();
    let is_used = |word: &str| {
        product
            .match_indices(&format!("Reason::{word}"))
            .any(|(at, found)| !product[at + found.len()..].starts_with(|next: char| next.is_ascii_alphanumeric()))
    };
    let mut complaints = Vec::new();
    for reason in Reason::ALL {
        let (word, is_reserved) = (reason.as_str(), reason.what_to_do().starts_with("Reserved: "));
        if is_used(word) && is_reserved {
            complaints.push(format!("{word} is used now: src/api/reason.rs must say what to do about it"));
        }
        if !is_used(word) && !is_reserved {
            complaints.push(format!("{word} is not used: src/api/reason.rs must say `Reserved: ...`"));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let numbered = files("docs/decisions", ".md");
    for (n, path) in numbered.iter().enumerate() {
        assert!(path.starts_with(&format!("docs/decisions/{:04}-", n + 1)), "{path} is out of order");
        assert!(text("ARCHITECTURE.md").contains(path.as_str()), "ARCHITECTURE.md does not name {path}");
    }
}

/// Every action that the operator's own policy can allow.
fn own_actions() -> BTreeSet<String> {
    let every = || "*".to_owned();
    let policy = document(&Scope {
        admin_secrets: Vec::new(),
        inline_policies: true,
        partition: "aws".into(),
        account: "123456789012".into(),
        region: every(),
        policy_paths: vec!["/iamdb/c1/".into()],
        principals: [PrincipalKind::Role, PrincipalKind::User, PrincipalKind::Group].map(|kind| (kind, every())).into(),
        assume_roles: vec![every()],
        rds: RdsFeatures { clusters: true, proxies: true, enable_iam: true, blue_green: true },
        admin_username: Some(every()),
        database_roles: vec![every()],
        own_role: None,
    });
    let actions = policy["Statement"].as_array().unwrap().iter().flat_map(|it| it["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_right_in_aws_is_explained_and_no_other() {
    let text = text("docs/aws.md");
    let words = text.lines().filter(|line| line.starts_with("| `")).flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_action = |word: &&str| {
        let (service, action) = word.split_once(':').unwrap_or_default();
        ["rds", "rds-db", "iam", "sts", "secretsmanager"].contains(&service) && action != "PolicyARN"
    };
    let explained: BTreeSet<_> = words.filter(is_action).map(str::to_owned).collect();
    assert_eq!(explained, own_actions());
}

/// Words in backquotes that look like the name of a test: a sentence with underscores.
fn named_tests(markdown: &str) -> Vec<String> {
    let words = markdown.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_sentence =
        |word: &&str| word.matches('_').count() > 2 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    words.filter(is_sentence).map(str::to_owned).collect()
}

#[test]
fn the_tests_that_hold_invariants_and_faults_exist() {
    let sources: Vec<_> = files("src", ".rs").into_iter().chain(files("tests", ".rs")).map(text).collect();
    let exists = |name: &String| sources.iter().any(|source| source.contains(&format!("fn {name}(")));
    for path in ["ARCHITECTURE.md", "docs/faults.md"] {
        let named = named_tests(&text(path));
        assert!(named.len() > 10, "{path} names only {named:?}");
        let missing: Vec<_> = named.iter().filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{path} names tests that do not exist: {missing:?}");
    }
    let text = text("docs/faults.md");
    let bare = |row: &&str| row.starts_with("| T") && named_tests(row).is_empty() && !row.ends_with("| not tried |");
    assert_eq!(text.lines().filter(bare).collect::<Vec<_>>(), [""; 0], "faults that nothing is said of");
}

/// Paths of the repository in backquotes that a text names: `src/...`, `tests/...`, without patterns.
fn named_paths(markdown: &str) -> Vec<String> {
    let words = markdown.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |word: &&str| {
        ["src/", "tests/", "docs/", "charts/"].iter().any(|folder| word.starts_with(folder))
            && !word.contains(['<', '*', ' ', '{'])
    };
    words.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn every_path_that_is_named_exists() {
    let mut complaints = Vec::new();
    for path in documents() {
        for named in named_paths(&text(&path)) {
            if !root().join(&named).exists() {
                complaints.push(format!("{path}: {named} does not exist"));
            }
        }
    }
    no_complaints(&complaints);
}

#[test]
fn the_readme_stays_short() {
    assert!(
        text("README.md").lines().count() < 150,
        "README.md is for the first five minutes; the rest has documents of its own"
    );
}

#[test]
fn commands_are_found_and_prose_is_not() {
    let markdown =
        "Run `make one`, then:\n\n    make two   # a comment\n$ make three\nmake sure of it\n`make FORCE=1 four`\n";
    assert_eq!(told(markdown).into_iter().collect::<Vec<_>>(), ["four", "one", "three", "two"]);
    assert_eq!(
        targets("one: two ## x\n.PHONY: three\n\tfour: x\nfive-six:\n").into_iter().collect::<Vec<_>>(),
        ["five-six", "one"]
    );
}

#[test]
fn links_and_rows_are_found() {
    assert_eq!(links("[a](b.md#c) [d](https://e) [f](#g) [h](../i)"), ["b.md", "../i"]);
    assert_eq!(named_tests("| `a_b_c_d`, `x_y` | `A_B_C_D` |"), ["a_b_c_d"]);
    assert_eq!(named_paths("`src/app.rs` and `src/api/<kind>.rs` or `app.rs`"), ["src/app.rs"]);
    assert_eq!(rows("| reason | x |\n|---|---|\n| `Ready` | y |\n"), ["Ready"]);
}
