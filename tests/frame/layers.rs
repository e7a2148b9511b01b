//! The layers of `src/`: who may import whom. ARCHITECTURE.md explains them.

use crate::source::{Facts, Scope, facts};
use crate::{files, no_complaints, text};

/// Layer, and the layers that it may use besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli", "app"]),
    ("cli", &["api", "domain", "app", "telemetry"]),
    ("app", &["adapters", "api", "controllers", "domain", "k8s", "ports", "rotation", "telemetry"]),
    ("controllers", &["api", "domain", "ports", "k8s", "rotation", "telemetry"]),
    ("rotation", &["domain", "ports", "k8s", "telemetry"]),
    ("adapters", &["domain", "ports"]),
    ("ports", &["domain"]),
    ("api", &[]),
    ("domain", &[]),
    ("k8s", &[]),
    ("telemetry", &[]),
];

/// Crates that a layer must not name, by the beginning of their name.
const FOREIGN: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "tokio",
            "futures",
            "async_trait",
            "sqlx",
            "aws_config",
            "aws_sdk_",
            "aws_smithy_",
            "kube",
            "k8s_openapi",
            "http",
            "axum",
        ],
    ),
    ("api", &["tokio", "futures", "async_trait", "sqlx", "aws_", "http", "axum"]),
    ("ports", &["tokio", "sqlx", "aws_", "kube", "k8s_openapi"]),
    ("controllers", &["sqlx", "aws_"]),
    ("rotation", &["sqlx", "aws_"]),
    ("k8s", &["sqlx", "aws_"]),
    ("telemetry", &["sqlx", "aws_", "kube", "k8s_openapi"]),
];

/// Layers without I/O: nothing in them can wait.
const SYNCHRONOUS: &[&str] = &["domain", "api"];

/// The only files with SQL text: one place to review what is said to a database.
fn may_say_sql(path: &str) -> bool {
    path == "adapters/mysql/sql.rs" || path.starts_with("adapters/mysql/sql/")
}

/// How SQL statements begin. A privilege (`SELECT`, `SHOW VIEW`) is a word and no statement.
const STATEMENTS: &[&str] = &[
    "ALTER USER",
    "CREATE DATABASE",
    "CREATE SCHEMA",
    "CREATE TABLE",
    "CREATE USER",
    "DELETE ",
    "DROP ",
    "FLUSH ",
    "GRANT ",
    "INSERT ",
    "KILL ",
    "REVOKE ",
    "SELECT ",
    "SET GLOBAL",
    "SET SESSION",
    "SHOW CREATE",
    "SHOW GRANTS",
    "SHOW VARIABLES",
    "UPDATE ",
];

/// A privilege whose words begin like a statement.
const PRIVILEGE: &str = "GRANT OPTION";

/// `domain/token.rs` is of the layer `domain`, `ports.rs` of `ports`.
fn layer_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn imports(path: &str, facts: &Facts) -> Vec<String> {
    let layer = layer_of(path);
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!(
            "src/{path}: `{layer}` is no layer; give it a place in tests/frame/layers.rs and in ARCHITECTURE.md"
        )];
    };
    let foreign = FOREIGN.iter().find(|(name, _)| *name == layer).map_or(&[][..], |(_, crates)| crates);
    let mut complaints = Vec::new();
    for used in &facts.paths {
        let mut segments = used.split("::");
        let (first, second) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        if first == "crate" {
            let is_layer = LAYERS.iter().any(|(name, _)| *name == second);
            if is_layer && second != layer && !allowed.contains(&second) {
                complaints.push(format!("src/{path}: {layer} must not use {second} ({used})"));
            }
        } else if used.contains("::") && foreign.iter().any(|name| is_crate(first, name)) {
            complaints.push(format!("src/{path}: {layer} must not use the crate {first} ({used})"));
        }
    }
    if SYNCHRONOUS.contains(&layer) && facts.is_async {
        complaints.push(format!("src/{path}: {layer} is without I/O, so nothing in it is async"));
    }
    complaints
}

/// A name that ends in `_` stands for all crates that begin so.
fn is_crate(name: &str, rule: &str) -> bool {
    if rule.ends_with('_') { name.starts_with(rule) && name != "aws_lc_rs" } else { name == rule }
}

fn sql_text(path: &str, facts: &Facts) -> Vec<String> {
    if may_say_sql(path) {
        return Vec::new();
    }
    let says = |string: &&String| {
        let text = string.replace(PRIVILEGE, "");
        STATEMENTS.iter().any(|statement| text.contains(statement))
    };
    let complaint = |string: &String| format!("src/{path}: SQL text belongs into adapters/mysql/sql.rs: {string:?}");
    facts.strings.iter().filter(says).map(complaint).collect()
}

fn sources() -> Vec<(String, String)> {
    let below = |path: String| path.trim_start_matches("src/").to_owned();
    files("src", ".rs").into_iter().map(|path| (below(path.clone()), text(path))).collect()
}

#[test]
fn no_layer_imports_what_is_above_it() {
    let mut complaints = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| path != "lib.rs") {
        complaints.extend(imports(path, &facts(path, text, Scope::All)));
    }
    no_complaints(&complaints);
}

#[test]
fn only_app_names_adapters() {
    let mut complaints = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !["adapters", "app"].contains(&layer_of(path))) {
        let names = facts(path, text, Scope::All).paths;
        if names.iter().any(|used| used.starts_with("crate::adapters")) {
            complaints.push(format!("src/{path} names adapters"));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn sql_text_stands_in_one_place() {
    let mut complaints = Vec::new();
    let is_test = |path: &str| path.ends_with("tests.rs") || path.contains("/tests/");
    for (path, text) in sources().iter().filter(|(path, _)| !is_test(path)) {
        complaints.extend(sql_text(path, &facts(path, text, Scope::Product)));
    }
    no_complaints(&complaints);
}

#[test]
fn unchecked_sql_is_accepted_only_by_the_database_session() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let asserted = facts(&path, &text, Scope::All).paths.iter().any(|used| used.ends_with("AssertSqlSafe"));
        if asserted && path != "adapters/mysql/session.rs" {
            complaints
                .push(format!("src/{path} vouches for SQL text; adapters/mysql/session.rs is where that is done"));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn lib_is_only_a_map_of_the_layers() {
    let file = syn::parse_file(&text("src/lib.rs")).unwrap();
    let mut modules = Vec::new();
    for item in &file.items {
        let syn::Item::Mod(syn::ItemMod { content: None, ident, .. }) = item else {
            panic!("src/lib.rs has something besides `pub mod x;`")
        };
        modules.push(ident.to_string());
    }
    let mut layers: Vec<_> = LAYERS.iter().map(|(name, _)| *name).filter(|name| *name != "main").collect();
    layers.sort_unstable();
    assert_eq!(modules, layers);
}

#[test]
fn a_forbidden_import_is_noticed() {
    for (path, code) in [
        ("domain/x.rs", "use crate::ports::Fault;"),
        ("domain/x.rs", "use super::super::adapters::aws::Aws;"),
        ("domain/x.rs", "fn f(it: kube::Client) {}"),
        ("domain/x.rs", "fn f() { vec![tokio::spawn(it)]; }"),
        ("domain/x.rs", "use aws_sdk_iam::Client;"),
        ("domain/x.rs", "async fn f() {}"),
        ("api/x.rs", "use crate::domain::names;"),
        ("api/x.rs", "use sqlx::MySql;"),
        ("ports.rs", "use crate::api::Reason;"),
        ("adapters/aws/x.rs", "use crate::api::Reason;"),
        ("rotation/x.rs", "use crate::api::DbAuthToken;"),
        ("k8s/x.rs", "use crate::{api};"),
        ("controllers/x.rs", "use crate::adapters::aws::Aws;"),
        ("controllers/x.rs", "#[cfg(test)] mod tests { use crate::app::Config; }"),
        ("cli/x.rs", "fn f() { crate::adapters::go(); }"),
        ("main.rs", "fn main() { iamdb::rotation::go(); }"),
        ("helpers/x.rs", ""),
    ] {
        assert_eq!(imports(path, &facts(path, code, Scope::All)).len(), 1, "{path}: {code}");
    }
}

#[test]
fn an_allowed_import_is_no_cause_for_complaint() {
    for (path, code) in [
        ("domain/x.rs", "use super::names; use crate::domain::token; use aws_lc_rs::digest; use std::sync::Arc;"),
        ("api/x.rs", "use kube::CustomResource; use k8s_openapi::api::core::v1::Secret;"),
        ("rotation/x.rs", "use crate::{domain::schedule, k8s::feed, ports::Clock, telemetry::metrics};"),
        ("app.rs", "use crate::adapters::aws::Aws;"),
        ("main.rs", "fn main() { iamdb::cli::Cli::parse().run() }"),
    ] {
        no_complaints(&imports(path, &facts(path, code, Scope::All)));
    }
}

#[test]
fn sql_text_elsewhere_is_noticed() {
    for code in [
        r#"const A: &str = "CREATE USER x";"#,
        r#"fn f() { format!("GRANT {} ON x", p); }"#,
        r#"fn f() { query("SELECT 1") }"#,
        r##"const A: &str = r#"DROP TABLE x"#;"##,
    ] {
        assert_eq!(sql_text("domain/x.rs", &facts("domain/x.rs", code, Scope::Product)).len(), 1, "{code}");
    }
    let allowed = r#"const A: &str = "SELECT"; #[cfg(test)] mod tests { const B: &str = "GRANT OPTION"; }"#;
    no_complaints(&sql_text("domain/x.rs", &facts("domain/x.rs", allowed, Scope::Product)));
}
