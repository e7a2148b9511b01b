//! `DbServer`: finds the database, checks IAM authentication and the administrator's login, and tells the others where it is.

mod admin;
mod found;
mod iam;
mod look;
mod proxies;
mod resolve;
mod status;

use std::sync::Arc;
use std::time::Duration;

use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::{Resource, ResourceExt};

pub(super) use admin::open;

use super::context::Context;
use super::policies::{grant_full_access, withdraw_full_access};
use super::problem::{Problem, Retry};
use super::run::Outcome;
use super::server::Server;
use crate::api::{DbServer, FINALIZER, Reason};
use crate::domain::schedule;
use crate::k8s::feed::digest;
use look::Look;

pub(super) async fn reconcile(object: Arc<DbServer>, context: Arc<Context>) -> Outcome {
    let api = Api::<DbServer>::all(context.client.clone());
    let step = |event| async {
        match event {
            Event::Apply(object) => examine(&api, &object, &context).await,
            Event::Cleanup(object) => release(&api, &object, &context).await,
        }
    };
    finalizer(&api, FINALIZER, object, step).await.map_err(Problem::of_finalizer)
}

async fn examine(api: &Api<DbServer>, object: &DbServer, context: &Context) -> Outcome {
    let found = resolve::server(object, context).await; // reads RDS
    let look = Look::of(object, found, context);
    let mut known = status::with(object, look.found(), context.clock.now()); // pure
    resolve::quotas(&mut known, context).await; // reads IAM, once an hour
    let server = look.is_resolved().then(|| Server::of(&known)).flatten();
    let iam = match &look {
        Look::Found(found) => iam::converge(&known, found, context).await, // may ask RDS to switch it on
        Look::Unanswered(_) | Look::Failed(_) => iam::as_told_last(&known),
    };
    let login = match &server {
        Some(server) => Some(resolve::login(object, server, context).await), // logs in to the database
        None => None,
    };
    let iam = iam.and_then(|()| iam::in_server(login.as_ref()));
    let full_access = grant_full_access(api, object, &known, context).await; // reads and writes IAM
    let next = status::of(&known, &look, &iam, login.as_ref()).with(&full_access);
    status::write(api, object, next, context).await?;
    let problems = look.problems().cloned().chain(iam.err()).chain(login.and_then(Result::err));
    let problems: Vec<Problem> =
        problems.chain(full_access.problem()).filter(|problem| problem.retry != Retry::OnChange).collect();
    match Problem::of_several(&problems) {
        Some(problem) => Err(problem),
        None => Ok(Action::requeue(next_look(&known, context))),
    }
}

/// At the resync, or when a former resource id has had its time.
fn next_look(known: &DbServer, context: &Context) -> Duration {
    let resync = context.resync_after(&known.uid().unwrap_or_default());
    let now = context.clock.now();
    let runs_out = status::former(known).into_iter().map(|former| schedule::until(former.until, now)).min();
    runs_out.map_or(resync, |runs_out| resync.min(runs_out + Duration::from_secs(1)))
}

/// Lets a DbServer go once nobody uses it: an account could not be removed without it.
async fn release(api: &Api<DbServer>, object: &DbServer, context: &Context) -> Outcome {
    let name = object.name_any();
    let users = context.feeds.users.store().state_filter(|user| user.spec.server_ref.name == name);
    if users.is_empty() {
        if let Err(problem) = withdraw_full_access(object, context).await {
            let message = format!("full access is not taken off yet ({}): {}", problem.reason, problem.message);
            let told = Problem::passing(Reason::Deleting, message);
            status::write(api, object, status::deleting(object, &told), context).await?;
            return Err(told);
        }
        context.looks.forget(&object.uid().unwrap_or_default(), &name);
        return Ok(Action::await_change());
    }
    let problem = Problem::passing(Reason::Deleting, format!("in use by {}", listed(&users)));
    status::write(api, object, status::deleting(object, &problem), context).await?;
    Err(problem)
}

/// The first few users by name, and how many more there are.
fn listed(users: &[Arc<crate::api::IamDbUser>]) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<_> = users
        .iter()
        .map(|user| format!("IamDbUser {}/{}", user.namespace().unwrap_or_default(), user.name_any()))
        .collect();
    names.sort();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

/// What other kinds read of a DbServer: everything but its conditions.
pub(super) fn fingerprint(object: &DbServer) -> u64 {
    digest(&(object.meta().uid.as_deref(), object.meta().generation, format!("{:?}", Server::of(object))))
}
