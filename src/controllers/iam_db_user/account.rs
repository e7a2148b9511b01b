//! Brings the accounts of an IamDbUser to what they shall be, in one session of the administrator.

use kube::ResourceExt;

use super::desired;
use super::resolve::Inputs;
use crate::api::{IamDbUser, Reason, Scope};
use crate::controllers::context::Context;
use crate::controllers::db_server;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::account::{AccountStep, DesiredUser, plan};
use crate::domain::engine::ServerFacts;
use crate::ports::{AdminSession, Fault, FaultKind};

/// What became of the account, and of its grants. Grants are open while there is no account.
pub(super) struct Converged {
    pub(super) account: Result<Maker, Problem>,
    pub(super) grants: Option<Result<Maker, Problem>>,
}

/// Who made what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// This operator.
    Operator,
    /// Somebody else, as the object says.
    Other,
}

impl Converged {
    const fn failed(problem: Problem) -> Self {
        Self { account: Err(problem), grants: None }
    }
}

/// Somebody else makes the account: it is taken for granted, unless that somebody is another object here. Its owner alone says who may use it.
pub(super) fn external(object: &IamDbUser, server: &Server, context: &Context) -> Converged {
    let store = context.feeds.users.store();
    let owner = store.find(|other| {
        other.metadata.uid != object.metadata.uid
            && other.spec.username == object.spec.username
            && desired::management(other).is_ok_and(|managed| managed.account)
            && reaches(object.spec.scope, server, other, context)
    });
    match owner {
        Some(owner) => {
            let (namespace, name) = (owner.namespace().unwrap_or_default(), owner.name_any());
            let message = format!("the account {} is managed by IamDbUser {namespace}/{name}", object.spec.username);
            Converged::failed(Problem::standing(Reason::Conflict, message))
        }
        None => Converged { account: Ok(Maker::Other), grants: Some(Ok(Maker::Other)) },
    }
}

/// Whether a policy of this scope on `server` would also open the account of `other`.
fn reaches(scope: Scope, server: &Server, other: &IamDbUser, context: &Context) -> bool {
    let found = server::find(context, &other.spec.server_ref.name).ok();
    let theirs = found.and_then(|found| Server::of(&found));
    theirs.is_some_and(|theirs| {
        theirs.resource_id == server.resource_id
            || (scope == Scope::AccountRegion
                && (&theirs.account_id, &theirs.region) == (&server.account_id, &server.region))
    })
}

/// Observes, plans and applies.
pub(super) async fn converge(inputs: &Inputs, desired: &DesiredUser, context: &Context) -> Converged {
    let (facts, mut session) = match open(inputs, context).await {
        Ok(opened) => opened,
        Err(problem) => return Converged::failed(problem),
    };
    let converged = in_session(desired, &facts, session.as_mut(), context).await;
    session.close().await;
    converged
}

async fn open(inputs: &Inputs, context: &Context) -> Result<(ServerFacts, Box<dyn AdminSession>), Problem> {
    let (facts, session) = db_server::open(&inputs.object, &inputs.server, context).await?;
    let problem = if facts.read_only {
        Problem::passing(Reason::Unreachable, format!("{} takes no writes", inputs.server.writer))
    } else if facts.engine != inputs.server.engine {
        Problem::standing(Reason::UnexpectedError, "the server is of another engine than RDS says")
    } else if !facts.plugin_active {
        let message = "the server has not loaded AWSAuthenticationPlugin (1524): is IAM authentication on?";
        Problem::passing(Reason::PluginMissing, message)
    } else {
        return Ok((facts, session));
    };
    session.close().await;
    Err(problem)
}

async fn in_session(
    desired: &DesiredUser,
    facts: &ServerFacts,
    session: &mut dyn AdminSession,
    context: &Context,
) -> Converged {
    let observed = match session.observe(&desired.username).await {
        Ok(observed) => observed,
        Err(fault) => return Converged::failed(fault.into()),
    };
    let is_alive =
        |uid: &str| context.feeds.users.store().find(|user| user.metadata.uid.as_deref() == Some(uid)).is_some();
    let steps = match plan(desired, &observed, facts, is_alive) {
        Ok(steps) => steps,
        Err(refusal) => return Converged::failed(refusal.into()),
    };
    match apply(desired, &steps, session).await {
        Ok(None) => Converged { account: Ok(Maker::Operator), grants: Some(Ok(Maker::Operator)) },
        Ok(Some(fault)) => {
            let is_missing = fault.kind == FaultKind::Missing;
            let problem = Problem::from(fault);
            let problem = if is_missing { problem.because(Reason::ObjectMissing) } else { problem };
            Converged { account: Ok(Maker::Operator), grants: Some(Err(problem)) }
        }
        Err(fault) => Converged::failed(fault.into()),
    }
}

/// Applies the steps. A grant that the server refuses (its table may be gone) holds up no other step, above all no REVOKE: the first such refusal is
/// told at the end.
async fn apply(
    desired: &DesiredUser,
    steps: &[AccountStep],
    session: &mut dyn AdminSession,
) -> Result<Option<Fault>, Fault> {
    let mut first_refusal = None;
    for step in steps {
        match session.apply(&desired.username, step).await {
            Ok(()) => {}
            Err(fault) if step.is_grant() && fault.kind != FaultKind::Unreachable => {
                first_refusal.get_or_insert(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    if !steps.is_empty() {
        tracing::info!(username = %desired.username, server = desired.owner.server, steps = steps.len(), "account changed");
    }
    Ok(first_refusal)
}
