//! What a DbServer tells.

use jiff::Timestamp;
use kube::api::Api;

use super::found::Found;
use super::look::Look;
use super::resolve::Login;
use crate::api::{
    Capabilities, ConditionType, Conditions, DbServer, DbServerStatus, PreviousResourceId, Reason, SourceType,
};
use crate::controllers::conditions::{self, Finding};
use crate::controllers::context::Context;
use crate::controllers::policies::FullAccess;
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::engine::Engine;
use crate::domain::succession::{self, Former};
use crate::k8s::call::CallError;

/// A status to be written: its fields, and what was found.
pub(super) struct Next {
    fields: DbServerStatus,
    findings: Vec<Finding>,
}

impl Next {
    /// The same with what became of full access, which stands beside the rest: a DbServer without it has no such part.
    pub(super) fn with(mut self, full_access: &FullAccess) -> Self {
        self.fields.attachments.clone_from(&full_access.attachments);
        report::add(&mut self.findings, ConditionType::PolicyReady, full_access.verdict.as_ref());
        self
    }
}

/// The object with what was found in its status. Where nothing was, what was found last still stands: a describe call that fails must not stop
/// tokens from being renewed.
pub(super) fn with(object: &DbServer, found: Option<&Found>, now: Timestamp) -> DbServer {
    let mut known = object.clone();
    let before = former(object);
    let fields = known.status.get_or_insert_default();
    let (last, found) = (fields.resource_id.clone(), found.cloned());
    if let Some(current) = found.as_ref().map(|found| &found.resource_id).or(last.as_ref()) {
        let former = succession::former(before, last.as_deref(), current, now).into_iter();
        let former = former.map(|it| PreviousResourceId { resource_id: it.resource_id, until: it.until.to_string() });
        fields.previous_resource_ids = former.collect();
    }
    if let Some(found) = found {
        fields.upcoming_resource_ids = found.upcoming;
        fields.arn = found.arn;
        fields.partition = Some(found.partition);
        fields.account_id = Some(found.account_id);
        fields.resource_id = Some(found.resource_id);
        fields.engine = Some(found.engine);
        fields.engine_version = found.engine_version;
        fields.iam_authentication = found.iam_authentication;
        fields.master_username = found.master_username;
        fields.admin_secret_arn = found.master_secret_arn;
        fields.ca_identifier = found.ca_identifier;
        fields.endpoints = Some(found.endpoints);
    }
    known
}

/// The former ids that the status remembers. An end that cannot be read has come.
pub(super) fn former(object: &DbServer) -> Vec<Former> {
    let listed = object.status.iter().flat_map(|status| &status.previous_resource_ids);
    listed
        .filter_map(|it| Some(Former { resource_id: it.resource_id.clone(), until: it.until.parse().ok()? }))
        .collect()
}

/// Whether the status says that the server of this very spec is known.
pub(super) fn is_resolved(object: &DbServer) -> bool {
    let current = object.status.as_ref().filter(|status| status.observed_generation == object.metadata.generation);
    current.is_some_and(|status| conditions::is_true(&status.conditions, ConditionType::Resolved.as_str()))
}

/// The status after a look at RDS and, where that was possible, a login.
pub(super) fn of(
    known: &DbServer,
    look: &Look,
    iam: &Result<(), Problem>,
    login: Option<&Result<Login, Problem>>,
) -> Next {
    let resolved = match look.shortfall() {
        Some(problem) => Verdict::Bad(problem.clone()),
        None => Verdict::Good(whereabouts(known, look)),
    };
    let unknown = || Verdict::Waiting(Reason::Resolving, "not looked at while the server is not resolved".into());
    let iam = match look {
        Look::Failed(_) => unknown(),
        Look::Found(_) | Look::Unanswered(_) => Verdict::of(iam, |()| is_on(known, login).to_owned()),
    };
    let admin = match login {
        // Nothing to reach is no failure: such a server serves accounts that somebody else makes.
        Some(Err(problem)) if problem.reason == Reason::NoAdmin => {
            Verdict::Waiting(Reason::NoAdmin, problem.message.clone())
        }
        Some(login) => Verdict::of(login, |login| format!("logged in to {:?}", login.facts.engine)),
        None => unknown(),
    };
    let has_no_admin = matches!(admin, Verdict::Waiting(Reason::NoAdmin, _));
    let parts = [
        (ConditionType::Resolved, resolved),
        (ConditionType::IamAuthentication, iam),
        (ConditionType::AdminReachable, admin),
    ];
    let mut findings = report::findings(&parts, "accounts and tokens can be had");
    if has_no_admin {
        let without = report::findings(&parts[..2], "tokens can be had, for accounts that somebody else makes");
        findings.splice(..1, without.into_iter().take(1));
    }
    let mut fields = known.status.clone().unwrap_or_default();
    if let Some(Ok(login)) = login {
        fields.capabilities = Some(capabilities(login, fields.capabilities.unwrap_or_default()));
    }
    Next { fields, findings }
}

/// Where the server is. While RDS does not answer, what was said last.
fn whereabouts(known: &DbServer, look: &Look) -> String {
    let status = known.status.as_ref();
    if let Look::Found(found) = look {
        let writer = found.endpoints.writer.as_ref();
        let place = writer.map(|it| format!("{} at {}:{}", found.resource_id, it.host, it.port)).unwrap_or_default();
        return found.note.map_or_else(|| place.clone(), |note| format!("{place}; {note}"));
    }
    let said = status.and_then(|it| it.conditions.iter().find(|it| it.type_ == ConditionType::Resolved.as_str()));
    said.map(|it| it.message.clone().into_owned()).unwrap_or_default()
}

fn is_on(known: &DbServer, login: Option<&Result<Login, Problem>>) -> &'static str {
    let is_known = known.spec.source.kind != SourceType::Static || matches!(login, Some(Ok(_)));
    if is_known { "on" } else { "taken for granted: the server is described by hand" }
}

/// What can be done, as far as a login tells; and what the last one told that this one did not ask for.
fn capabilities(login: &Login, before: Capabilities) -> Capabilities {
    Capabilities {
        roles: login.abilities.map(|it| it.grants_roles).or(before.roles),
        end_sessions: login.abilities.map(|it| it.ends_sessions).or(before.end_sessions),
        attributes: Some(login.facts.engine == Engine::MySql),
    }
}

/// The status of a DbServer that is to go and may not yet.
pub(super) fn deleting(object: &DbServer, problem: &Problem) -> Next {
    let findings = report::findings(&[(ConditionType::Resolved, Verdict::Bad(problem.clone()))], "");
    Next { fields: object.status.clone().unwrap_or_default(), findings: findings.into_iter().take(1).collect() }
}

/// Writes it if it changed.
pub(super) async fn write(
    api: &Api<DbServer>,
    object: &DbServer,
    next: Next,
    context: &Context,
) -> Result<(), CallError> {
    let none = Conditions::new();
    let before = object.status.as_ref().map_or(&none, |status| &status.conditions);
    let generation = object.metadata.generation;
    let conditions = report::conditions(context, before, &next.findings, generation);
    let status = DbServerStatus { observed_generation: generation, conditions, ..next.fields };
    report::write(context, api, object, (object.status.as_ref(), before), (&status, &status.conditions)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::found::in_rds;
    use super::super::found::tests::{name, orders};
    use super::*;
    use crate::api::Truth;
    use crate::controllers::server::Server;
    use crate::ports::RdsServer;

    fn object() -> DbServer {
        serde_json::from_value(json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": "orders", "generation": 1},
            "spec": {
                "region": "us-east-1", "source": {"type": "DbInstance", "dbInstance": {"identifier": "orders"}},
                "ca": {"type": "ConfigMap", "configMap": {"name": "ca"}},
            }
        }))
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn found(id: &str, upcoming: &[&str]) -> Found {
        let found = in_rds(&name(), RdsServer { resource_id: id.into(), ..orders() }).unwrap();
        Found { upcoming: upcoming.iter().map(|&id| id.to_owned()).collect(), ..found }
    }

    fn further(object: &DbServer) -> String {
        Server::of(object).unwrap().further_resource_ids.join(" ")
    }

    #[test]
    fn policies_name_the_green_id_before_and_the_blue_one_after_a_switch_over() {
        let before = with(&object(), Some(&found("db-BLUE", &["db-GREEN"])), at(0));
        assert_eq!(further(&before), "db-GREEN");
        let switched = with(&before, Some(&found("db-GREEN", &[])), at(10));
        assert_eq!(further(&switched), "db-BLUE");
        let again = with(&switched, Some(&found("db-GREEN", &[])), at(3_609));
        assert_eq!(again, switched, "what is known is not written anew");
        let back = with(&again, Some(&found("db-BLUE", &[])), at(3_609));
        assert_eq!(further(&back), "db-GREEN");
        assert_eq!(further(&with(&switched, None, at(3_610))), "", "the hour ends though RDS does not answer");
    }

    #[test]
    fn a_server_without_an_administrator_serves_accounts_that_somebody_else_makes() {
        let found = found("db-A", &[]);
        let known = with(&object(), Some(&found), at(0));
        let no_admin = Err(Problem::of_spec(Reason::NoAdmin, "no spec.admin"));
        let told = of(&known, &Look::Found(Box::new(found)), &Ok(()), Some(&no_admin)).findings;
        let truths: Vec<_> = told.iter().map(|it| (it.kind, it.truth)).collect();
        let expected = [
            ("Ready", Truth::True),
            ("Resolved", Truth::True),
            ("IamAuthentication", Truth::True),
            ("AdminReachable", Truth::Unknown),
        ];
        assert_eq!(truths, expected);
    }

    #[test]
    fn a_shortfall_is_told_and_takes_nothing_from_what_is_known() {
        let mut found = found("db-A", &[]);
        found.shortfalls.push(Problem::passing(Reason::NotFound, "proxy app: gone"));
        let known = with(&object(), Some(&found), at(0));
        let next = of(&known, &Look::Found(Box::new(found)), &Ok(()), None);
        assert_eq!((next.findings[0].reason, next.findings[0].message.as_str()), ("NotFound", "proxy app: gone"));
        assert_eq!(next.fields.resource_id.as_deref(), Some("db-A"));
    }

    #[test]
    fn while_rds_does_not_answer_the_same_is_told() {
        let first = found("db-A", &[]);
        let mut known = with(&object(), Some(&first), at(0));
        let told = of(&known, &Look::Found(Box::new(first)), &Ok(()), None).findings;
        known.status.get_or_insert_default().conditions = conditions::merge(&[], &told, Some(1), at(0));
        known.status.get_or_insert_default().observed_generation = Some(1);
        assert!(is_resolved(&known));
        let silence = Look::Unanswered(Problem::passing(Reason::Unreachable, "throttled"));
        assert_eq!(of(&with(&known, None, at(9)), &silence, &Ok(()), None).findings, told);
        known.metadata.generation = Some(2);
        assert!(!is_resolved(&known), "another spec has not been looked at");
    }
}
