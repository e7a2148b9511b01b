//! Brings the accounts of an IamDbUser to what they shall be, in one session of the administrator.

use super::resolve::Inputs;
use crate::api::Reason;
use crate::controllers::context::Context;
use crate::controllers::db_server::admin_target;
use crate::controllers::problem::Problem;
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

    /// Somebody else makes the account: it is taken for granted.
    pub(super) const fn external() -> Self {
        Self { account: Ok(Maker::Other), grants: Some(Ok(Maker::Other)) }
    }
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
    let target = admin_target(&inputs.object, &inputs.server, context).await?;
    let (facts, session) = context.databases.open(&target).await?;
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
        Ok(()) => Converged { account: Ok(Maker::Operator), grants: Some(Ok(Maker::Operator)) },
        Err((step, fault)) if step.is_grant() => {
            let is_missing = fault.kind == FaultKind::Missing;
            let problem = Problem::from(fault);
            let problem = if is_missing { problem.because(Reason::ObjectMissing) } else { problem };
            Converged { account: Ok(Maker::Operator), grants: Some(Err(problem)) }
        }
        Err((_, fault)) => Converged::failed(fault.into()),
    }
}

async fn apply<'s>(
    desired: &DesiredUser,
    steps: &'s [AccountStep],
    session: &mut dyn AdminSession,
) -> Result<(), (&'s AccountStep, Fault)> {
    for step in steps {
        session.apply(&desired.username, step).await.map_err(|fault| (step, fault))?;
    }
    if !steps.is_empty() {
        tracing::info!(username = %desired.username, server = desired.owner.server, steps = steps.len(), "account changed");
    }
    Ok(())
}
