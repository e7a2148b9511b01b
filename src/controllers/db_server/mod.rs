//! `DbServer`: finds the database, checks IAM authentication and the administrator's login, and tells the others where it is.

mod admin;
mod resolve;
mod status;

use std::sync::Arc;

use kube::api::Api;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::{Resource, ResourceExt};

pub(super) use admin::target as admin_target;

use super::context::Context;
use super::policies::{grant_full_access, withdraw_full_access};
use super::problem::{Problem, Retry};
use super::run::{Outcome, digest};
use super::server::{self, Server};
use crate::api::{DbServer, FINALIZER, Reason};

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
    let known = status::with(object, found.as_ref().ok());
    let login = match (&found, server::resolved(&known)) {
        (Ok(_), Ok(server)) => Some(resolve::login(object, &server, context).await), // logs in to the database
        _ => None,
    };
    let full_access = grant_full_access(api, object, &known, context).await; // reads and writes IAM
    let next = status::of(&known, &found, login.as_ref()).with(&full_access);
    status::write(api, object, next, context).await?;
    let iam = found.as_ref().ok().and_then(|found| resolve::iam_authentication(&known, found, login.as_ref()).err());
    let problems = [found.err(), login.and_then(Result::err), iam, full_access.problem()];
    match problems.into_iter().flatten().find(|problem| problem.retry != Retry::OnChange) {
        Some(problem) => Err(problem),
        None => Ok(Action::requeue(context.resync_after(&object.uid().unwrap_or_default()))),
    }
}

/// Lets a DbServer go once nobody uses it: an account could not be removed without it.
async fn release(api: &Api<DbServer>, object: &DbServer, context: &Context) -> Outcome {
    let name = object.name_any();
    let users = context.feeds.users.store().state_filter(|user| user.spec.server_ref.name == name);
    if users.is_empty() {
        withdraw_full_access(object, context).await?;
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
