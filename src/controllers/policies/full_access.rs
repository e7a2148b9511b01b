//! `spec.policy.fullAccess` of a DbServer: principals that may connect as every account. The DbServer itself is what wants it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::Api;
use kube::runtime::reflector::ObjectRef;

use super::entitlements::{Claimant, attachments_of_server};
use super::wants::of_server;
use super::{Granted, rendered, told};
use crate::api::{AttachmentStatus, DbServer, DbServerStatus, OWNER_UID_LABEL};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report::Verdict;
use crate::controllers::server::{self, Server};
use crate::k8s::status;

/// What became of a DbServer's full access.
pub(in crate::controllers) struct FullAccess {
    /// Nothing to tell where none is asked for.
    pub(in crate::controllers) verdict: Option<Verdict>,
    pub(in crate::controllers) attachments: Vec<AttachmentStatus>,
}

impl FullAccess {
    /// What is wrong with it.
    pub(in crate::controllers) fn problem(&self) -> Option<Problem> {
        self.verdict.as_ref()?.problem().cloned()
    }
}

/// Gives the principals full access, and takes it from those that had it before. `known` is the object with what was found of its server.
pub(in crate::controllers) async fn grant(
    api: &Api<DbServer>,
    object: &DbServer,
    known: &DbServer,
    context: &Context,
) -> FullAccess {
    let remembered = attachments_of_server(object);
    let is_asked = object.spec.policy.as_ref().is_some_and(|policy| policy.full_access.is_some());
    let granted = match Server::of(known) {
        None => return FullAccess { verdict: None, attachments: remembered.to_vec() },
        Some(server) => bring(api, object, known, &server, context).await,
    };
    let verdict = match &granted {
        Ok((granted, refused)) => Some(verdict_of(granted, refused.as_ref())),
        Err(problem) => Some(Verdict::Bad(problem.clone())),
    };
    let attachments = granted.as_ref().map_or_else(|_| remembered.to_vec(), |(granted, _)| told::state(granted));
    let has_something = is_asked || !attachments.is_empty();
    FullAccess { verdict: verdict.filter(|_| has_something), attachments }
}

fn verdict_of(granted: &Granted, refused: Option<&Problem>) -> Verdict {
    let told = told::verdict(granted);
    let first = Problem::of_several(refused.into_iter().chain(told.problem()));
    first.map_or(told, Verdict::Bad)
}

/// Brings what is wanted; beside it the first principal that can have nothing, which keeps nothing from the others, nor from those that leave.
async fn bring(
    api: &Api<DbServer>,
    object: &DbServer,
    known: &DbServer,
    server: &Server,
    context: &Context,
) -> Result<(Granted, Option<Problem>), Problem> {
    let (wants, refused) = of_server(known, server, &context.settings.cluster_id)?;
    let remembered = attachments_of_server(object);
    // Written down before anything is attached, so that whoever comes after a crash knows what to look for.
    let attachments = told::intended(remembered, &wants);
    if attachments != remembered {
        let before = object.status.clone().unwrap_or_default();
        let next = DbServerStatus { attachments, ..before.clone() };
        status::write(api, object, object.status.as_ref().map(|_| &before), &next).await?;
    }
    let claimant = Claimant::of_server(object, context);
    let namespace = &context.settings.namespace;
    let rendered = rendered::bring(object, namespace, was_rendered(object, context), &wants, context).await;
    let mut granted = context.entitlements.bring(claimant, &wants, context).await;
    granted.rendered = rendered;
    Ok((granted, refused))
}

/// Takes full access away from all who have it: the DbServer goes.
pub(in crate::controllers) async fn withdraw(object: &DbServer, context: &Context) -> Result<(), Problem> {
    let claimant = Claimant::of_server(object, context);
    let access = server::access(object)?;
    context.entitlements.take_out(claimant, Some((access, object.spec.mode)), context).await?;
    context.entitlements.forget(object);
    Ok(())
}

/// Whether there is a ConfigMap with documents of this DbServer: the operator's own namespace is watched.
fn was_rendered(object: &DbServer, context: &Context) -> bool {
    let reference = ObjectRef::<ConfigMap>::new(&rendered::name_of(&object.name_any()));
    let found = context.feeds.config_maps.store().get(&reference.within(&context.settings.namespace));
    found.is_some_and(|found| found.labels().get(OWNER_UID_LABEL) == object.uid().as_ref())
}
