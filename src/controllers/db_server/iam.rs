//! IAM authentication: whether it is on, and having RDS switch it on where the DbServer says so.

use std::time::Duration;

use kube::ResourceExt;

use super::found::{Found, called};
use super::resolve::Login;
use crate::api::{DbServer, IamAuthentication, Mode, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server;
use crate::ports::{Apply, FaultKind, ServerName};

/// RDS is not asked again sooner, whatever it tells: what it describes lags behind what it was told.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// What is to be done about IAM authentication.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It is on, or nobody can tell.
    Nothing,
    /// RDS is asked to switch it on.
    Ask(Apply),
    /// Somebody else has to do something, or time to pass.
    Wait(Problem),
}

/// Sees to it that RDS has IAM authentication switched on, as far as the DbServer lets the operator.
pub(super) async fn converge(object: &DbServer, found: &Found, context: &Context) -> Result<(), Problem> {
    let Some(name) = &found.name else { return Ok(()) };
    match next(object, name, found) {
        Next::Nothing => Ok(()),
        Next::Wait(problem) => Err(problem),
        Next::Ask(apply) => ask(object, name, found, apply, context).await,
    }
}

/// What the state and the spec lead to. Pure.
fn next(object: &DbServer, name: &ServerName, found: &Found) -> Next {
    let (choice, called) = (object.spec.iam_authentication, called(name));
    let apply = match choice {
        IamAuthentication::Unknown => {
            let message = "spec.iamAuthentication is not known to this version";
            return Next::Wait(Problem::of_spec(Reason::NotSupportedYet, message));
        }
        _ if found.iam_authentication != Some(false) => return Next::Nothing,
        IamAuthentication::Check => return Next::Wait(off(name)),
        IamAuthentication::Enable => Apply::Immediately,
        IamAuthentication::EnableInMaintenanceWindow => Apply::InMaintenanceWindow,
    };
    let standing = |what: &str| {
        let message = format!("IAM database authentication of {called} is off; {what}");
        Next::Wait(Problem::standing(Reason::IamAuthDisabled, message))
    };
    if object.spec.mode != Mode::Enforce {
        return standing("spec.mode lets the operator change nothing");
    }
    if found.pending.iam_authentication {
        return match apply {
            // What waits for the window is brought forward by nobody but people.
            Apply::Immediately => Next::Wait(accepted(name)),
            Apply::InMaintenanceWindow => standing("RDS switches it on in the next maintenance window"),
        };
    }
    if let Some(state) = found.state.filter(|state| state.word != "available") {
        let message =
            format!("{called} is {}; IAM database authentication is switched on when it is available", state.word);
        return Next::Wait(Problem::passing(Reason::Resolving, message));
    }
    if apply == Apply::Immediately && !found.pending.others.is_empty() {
        return Next::Wait(held_up(name, &found.pending.others));
    }
    Next::Ask(apply)
}

async fn ask(
    object: &DbServer,
    name: &ServerName,
    found: &Found,
    apply: Apply,
    context: &Context,
) -> Result<(), Problem> {
    let (access, uid) = (server::access(object)?, object.uid().unwrap_or_default());
    if apply == Apply::Immediately {
        let waiting = context.rds.maintenance(&access, found.arn.as_deref().unwrap_or_default()).await?;
        if !waiting.is_empty() {
            return Err(held_up(name, &waiting));
        }
    }
    if context.looks.may_ask_rds(&uid, ASK_AGAIN_AFTER, context.clock.now()) {
        match context.rds.enable_iam(&access, name, apply).await {
            // It is not available any more since it was described.
            Err(fault) if fault.kind == FaultKind::Conflict => {
                let message = format!("{} takes no change just now; IAM database authentication is off", called(name));
                return Err(Problem::passing(Reason::Resolving, message));
            }
            answer => answer?,
        }
        tracing::info!(server = object.name_any(), ?apply, "RDS was asked to switch IAM authentication on");
    }
    Err(accepted(name))
}

/// While RDS does not answer, what it said last.
pub(super) fn as_told_last(object: &DbServer) -> Result<(), Problem> {
    match object.status.as_ref().and_then(|status| status.iam_authentication) {
        Some(false) => {
            let message = "RDS said last that IAM database authentication is off";
            Err(Problem::standing(Reason::IamAuthDisabled, message))
        }
        Some(true) | None => Ok(()),
    }
}

/// Nobody has asked the operator to switch it on.
pub(super) fn off(name: &ServerName) -> Problem {
    let message = format!(
        "IAM database authentication of {} is off; switch it on with \
         aws rds modify-{} --enable-iam-database-authentication, or by spec.iamAuthentication",
        called(name),
        kind(name)
    );
    Problem::standing(Reason::IamAuthDisabled, message)
}

/// How the AWS CLI calls what it is.
const fn kind(name: &ServerName) -> &'static str {
    match name {
        ServerName::Instance(_) => "db-instance",
        ServerName::Cluster(_) => "db-cluster",
    }
}

/// RDS has it to do, and does not say when: somebody else may have asked for it, or it was asked for in the window.
fn accepted(name: &ServerName) -> Problem {
    let message = format!(
        "IAM database authentication of {} is off; RDS has accepted to switch it on, and does so now or, where it was not asked to at once, in the \
         next maintenance window (aws rds modify-{} --apply-immediately brings that forward)",
        called(name),
        kind(name)
    );
    Problem::passing(Reason::Resolving, message)
}

/// RDS applies all that is pending together, and nobody asked the operator for the rest.
fn held_up(name: &ServerName, others: &[&str]) -> Problem {
    let message = format!(
        "IAM database authentication of {} is off; to switch it on at once would also apply what is pending ({}): \
         let that be applied first, or choose EnableInMaintenanceWindow",
        called(name),
        others.join(", ")
    );
    Problem::standing(Reason::IamAuthDisabled, message)
}

/// Whether the server, too, has it on.
pub(super) fn in_server(login: Option<&Result<Login, Problem>>) -> Result<(), Problem> {
    match login {
        Some(Ok(login)) if !login.facts.plugin_active => Err(Problem::passing(
            Reason::PluginMissing,
            "RDS says that IAM database authentication is on, but the server has not loaded AWSAuthenticationPlugin (1524)",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::found::tests::{name, orders};
    use super::super::found::{Found, in_rds};
    use super::*;
    use crate::ports::{Pending, RdsServer};

    fn server(choice: &str, mode: &str) -> DbServer {
        serde_json::from_value(json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": "orders"},
            "spec": {
                "region": "us-east-1", "source": {"type": "DbInstance", "dbInstance": {"identifier": "orders"}},
                "ca": {"type": "ConfigMap", "configMap": {"name": "ca"}}, "iamAuthentication": choice, "mode": mode,
            }
        }))
        .unwrap()
    }

    fn switched_off(pending: Pending) -> Found {
        in_rds(&name(), RdsServer { iam_authentication: false, pending, ..orders() }).unwrap()
    }

    fn waits(choice: &str, mode: &str, found: &Found) -> (Reason, String) {
        match next(&server(choice, mode), &name(), found) {
            Next::Wait(problem) => (problem.reason, problem.message),
            other @ (Next::Nothing | Next::Ask(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_on_is_left_alone_and_check_only_tells() {
        let on = in_rds(&name(), orders()).unwrap();
        for choice in ["Check", "Enable", "EnableInMaintenanceWindow"] {
            assert_eq!(next(&server(choice, "Enforce"), &name(), &on), Next::Nothing);
        }
        let (reason, message) = waits("Check", "Enforce", &switched_off(Pending::default()));
        assert_eq!(reason, Reason::IamAuthDisabled);
        assert!(message.contains("modify-db-instance --enable-iam-database-authentication"));
        assert!(off(&ServerName::Cluster("ledger".into())).message.contains("modify-db-cluster"));
        assert_eq!(waits("Sometimes", "Enforce", &on).0, Reason::NotSupportedYet);
    }

    #[test]
    fn rds_is_asked_only_where_nothing_else_would_be_applied_with_it() {
        let off = switched_off(Pending::default());
        assert_eq!(next(&server("Enable", "Enforce"), &name(), &off), Next::Ask(Apply::Immediately));
        let upgrade = Pending { others: vec!["the engine version"], ..Pending::default() };
        let (reason, message) = waits("Enable", "Enforce", &switched_off(upgrade.clone()));
        assert_eq!(reason, Reason::IamAuthDisabled);
        assert!(message.contains("(the engine version)"), "{message}");
        let window = next(&server("EnableInMaintenanceWindow", "Enforce"), &name(), &switched_off(upgrade));
        assert_eq!(window, Next::Ask(Apply::InMaintenanceWindow));
    }

    #[test]
    fn what_rds_was_asked_for_already_is_waited_for() {
        let asked = switched_off(Pending { iam_authentication: true, ..Pending::default() });
        let (reason, message) = waits("Enable", "Enforce", &asked);
        assert_eq!(reason, Reason::Resolving);
        assert!(message.contains("in the next maintenance window"), "nobody knows who asked for it: {message}");
        let (reason, message) = waits("EnableInMaintenanceWindow", "Enforce", &asked);
        assert_eq!(reason, Reason::IamAuthDisabled);
        assert!(message.contains("next maintenance window"));
        let off = RdsServer { iam_authentication: false, state: "modifying".into(), ..orders() };
        let (reason, message) = waits("Enable", "Enforce", &in_rds(&name(), off).unwrap());
        assert_eq!(reason, Reason::Resolving);
        assert!(message.contains("is modifying"));
    }

    #[test]
    fn an_observer_changes_nothing() {
        for mode in ["Observe", "Whatever"] {
            let (reason, message) = waits("Enable", mode, &switched_off(Pending::default()));
            assert_eq!(reason, Reason::IamAuthDisabled);
            assert!(message.contains("spec.mode"));
        }
    }
}
