//! What the operator does outside, as those tell it who were asked: the apiserver's audit log, the databases' query logs, AWS's request log.

use std::collections::HashSet;

use serde_json::Value;

use crate::a_rotation::NAMESPACES;
use crate::world::{Database, World};

/// Who the operator is to the apiserver.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:iamdb-system:iamdb-operator";

/// Who it is to AWS.
const IAM_USER: &str = "arn:aws:iam::123456789012:user/iamdb-operator";

/// The databases that keep a query log.
const LOGGED: [Database; 4] = [Database::Orders, Database::Billing, Database::Ledger, Database::Catalog];

/// A point in time, as the places where the logs end.
#[derive(Clone, Copy)]
pub struct Since {
    audit: u64,
    aws: u64,
    queries: [u64; 4],
}

impl Since {
    pub fn now(world: &World) -> Self {
        let queries = LOGGED.map(|it| world.log_end(it.log()));
        Self { audit: world.log_end("WORLD_AUDIT_LOG"), aws: world.log_end("WORLD_AWS_LOG"), queries }
    }

    /// All that the operator asked the apiserver for.
    pub fn requests(&self, world: &World) -> Vec<Value> {
        self.requests_about("", world)
    }

    fn requests_about(&self, about: &str, world: &World) -> Vec<Value> {
        let (lines, _) = world.log_about(about, "WORLD_AUDIT_LOG", self.audit);
        lines.into_iter().filter(|line| line["user"]["username"] == SERVICE_ACCOUNT).collect()
    }

    /// What it asked about a namespace.
    pub fn requests_in(&self, world: &World, namespace: &str) -> Vec<Value> {
        let requests = self.requests_about(namespace, world).into_iter();
        requests.filter(|it| it["objectRef"]["namespace"] == namespace).collect()
    }

    /// What it changed of an account.
    pub fn changes(&self, world: &World, database: Database, username: &str) -> Vec<String> {
        self.statements(world, database).into_iter().filter(|it| it.contains(username) && !is_harmless(it)).collect()
    }

    /// All that the operator changed outside, a line each, but for the test of the rotation.
    pub fn writes(&self, world: &World) -> Vec<String> {
        let mut writes: Vec<String> = self
            .requests(world)
            .iter()
            .filter(|it| is_write(it))
            .filter(|it| !it["objectRef"]["namespace"].as_str().is_some_and(|name| name.starts_with(NAMESPACES)))
            .map(|it| format!("{} {}", text(&it["verb"]), text(&it["requestURI"])))
            .collect();
        writes.extend(self.calls(world).iter().filter(|it| it["write"] == true).map(action));
        for database in Database::BOTH {
            writes.extend(self.statements(world, database).into_iter().filter(|it| !is_harmless(it)));
        }
        writes
    }

    /// All that it asked AWS for as itself.
    pub fn calls(&self, world: &World) -> Vec<Value> {
        let (calls, _) = world.log("WORLD_AWS_LOG", self.aws);
        calls.into_iter().filter(|it| it["principal"] == IAM_USER).collect()
    }

    /// All statements that the master user's sessions ran.
    pub fn statements(&self, world: &World, database: Database) -> Vec<String> {
        let from = LOGGED.iter().zip(self.queries).find(|(it, _)| **it == database).map_or(0, |(_, from)| from);
        let (text, _) = world.text_log(database.log(), from);
        let mut sessions = HashSet::new();
        let mut statements = Vec::new();
        for (session, command, argument) in text.lines().filter_map(entry) {
            match command {
                "Connect" if argument.starts_with("admin@") => drop(sessions.insert(session)),
                "Connect" => drop(sessions.remove(session)),
                "Query" | "Execute" if sessions.contains(session) => statements.push(argument.to_owned()),
                _ => {}
            }
        }
        statements
    }
}

/// What was asked of AWS, as a policy names it.
pub fn action(call: &Value) -> String {
    format!("{}:{}", text(&call["service"]), text(&call["action"]))
}

/// Whether a statement changes nothing.
pub fn is_harmless(statement: &str) -> bool {
    ["SELECT ", "SET SESSION ", "SET NAMES "].iter().any(|harmless| statement.starts_with(harmless))
}

/// Whether a line of the audit log tells of a change. A token for a ServiceAccount changes nothing, nor does the question who one is.
pub fn is_write(line: &Value) -> bool {
    let (verb, object) = (line["verb"].as_str().unwrap_or_default(), &line["objectRef"]);
    let is_token = object["resource"] == "serviceaccounts" && object["subresource"] == "token";
    let is_question = is_token || object["resource"] == "selfsubjectreviews";
    ["create", "update", "patch", "delete", "deletecollection"].contains(&verb) && !is_question
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Session, command and argument of a line of a general query log. MySQL writes the time on each line, MariaDB once a second.
pub fn entry(line: &str) -> Option<(&str, &str, &str)> {
    let (head, argument) = line.rsplit_once('\t').filter(|(head, _)| head.contains('\t'))?;
    let (session, command) = head.rsplit_once('\t')?.1.trim_start().split_once(' ')?;
    session.bytes().all(|digit| digit.is_ascii_digit()).then_some((session, command, argument))
}
