//! Who may connect as whom: the one writer of policies.
//!
//! A principal's policies name the accounts of all IamDbUsers that list it, so no IamDbUser can write them alone. Each enters here what it wants;
//! the policies of a principal are then brought to the union, one at a time. After a restart nothing is entered yet: until an IamDbUser has been
//! looked at, what a policy allows on its behalf stays.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;

use super::desired::{Desired, policy_home};
use crate::api::{AttachmentState, IamDbUser, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::domain::access::Access;
use crate::domain::arn::Principal;
use crate::domain::names::Username;
use crate::domain::policy::{
    ConnectArn, MANAGED_POLICY_LIMIT, ObservedPolicies, PolicyHome, PolicyStep, Resources, plan, plan_withdrawal,
};

/// What the IamDbUsers of this process want.
#[derive(Default)]
pub struct Entitlements {
    /// By uid of the IamDbUser. An entry without homes says: looked at, and nothing wanted.
    claims: Mutex<HashMap<String, Claim>>,
    /// One writer a home at a time.
    turns: Mutex<HashMap<PolicyHome, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Clone, Default)]
struct Claim {
    resource: Option<ConnectArn>,
    homes: HashSet<PolicyHome>,
}

/// What became of one principal's policies.
pub(super) struct Attachment {
    pub(super) principal: Principal,
    /// ARN of the policy that allows the account.
    pub(super) result: Result<String, Problem>,
}

impl Entitlements {
    /// Brings the policies of all principals that an IamDbUser lists, or listed before, to what everybody wants.
    pub(super) async fn converge(&self, object: &IamDbUser, desired: &Desired, context: &Context) -> Vec<Attachment> {
        let uid = object.uid().unwrap_or_default();
        let wanted: HashSet<PolicyHome> = desired.homes.iter().cloned().collect();
        let before = self.enter(&uid, Claim { resource: Some(desired.resource.clone()), homes: wanted.clone() });
        let former =
            before.homes.into_iter().chain(homes_in_status(object, context)).filter(|home| !wanted.contains(home));
        let former: HashSet<PolicyHome> = former.collect();
        let (mut attachments, access) = (Vec::new(), &desired.access);
        for home in desired.homes.iter().chain(&former) {
            let result = self.write(access, home, context).await;
            let result = result.map(|policies| policies.arn_of(home, &desired.resource));
            // A principal that is no longer listed matters only while taking it off fails.
            if wanted.contains(home) || result.is_err() {
                attachments.push(Attachment { principal: home.principal.clone(), result });
            }
        }
        attachments
    }

    /// Takes an IamDbUser out of all policies.
    pub(super) async fn withdraw(&self, object: &IamDbUser, context: &Context) -> Result<(), Problem> {
        let uid = object.uid().unwrap_or_default();
        let before = self.enter(&uid, Claim::default());
        let Some((_, server)) = server_of(object, context) else {
            return Ok(());
        };
        let access = server.access;
        // The status says it before anything is attached, so nothing else can be.
        let homes: HashSet<PolicyHome> = before.homes.into_iter().chain(homes_in_status(object, context)).collect();
        for home in &homes {
            match self.write(&access, home, context).await {
                Ok(_) => {}
                // What others cannot be given is told to them; it keeps nobody from going.
                Err(problem) if matches!(problem.reason, Reason::ForeignPolicy | Reason::PrincipalNotFound) => {
                    self.take_away(&access, home, context).await?;
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(())
    }

    /// Forgets an IamDbUser that is gone.
    pub(super) fn forget(&self, object: &IamDbUser) {
        self.claims().remove(&object.uid().unwrap_or_default());
    }

    /// Enters a claim and returns the one before it.
    fn enter(&self, uid: &str, claim: Claim) -> Claim {
        self.claims().insert(uid.to_owned(), claim).unwrap_or_default()
    }

    fn claims(&self) -> std::sync::MutexGuard<'_, HashMap<String, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self, home: &PolicyHome) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(home.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }

    async fn take_away(&self, access: &Access, home: &PolicyHome, context: &Context) -> Result<(), Problem> {
        let _turn = self.turn(home).await;
        let observed = context.policies.observe(access, home).await?;
        let wanted = self.wanted(home, &observed, context);
        for step in &plan_withdrawal(home, &wanted, &observed, MANAGED_POLICY_LIMIT) {
            context.policies.apply(access, home, step).await?;
        }
        Ok(())
    }

    async fn write(&self, access: &Access, home: &PolicyHome, context: &Context) -> Result<Written, Problem> {
        let _turn = self.turn(home).await;
        let observed = context.policies.observe(access, home).await?;
        let wanted = self.wanted(home, &observed, context);
        let steps = plan(home, &wanted, &observed, MANAGED_POLICY_LIMIT)?;
        let attaches = steps.iter().any(|step| matches!(step, PolicyStep::Attach { .. }));
        if attaches && !context.policies.exists(access, &home.principal).await? {
            let message = format!("IAM knows no principal {}", home.principal);
            return Err(Problem::standing(Reason::PrincipalNotFound, message));
        }
        for step in &steps {
            context.policies.apply(access, home, step).await?;
        }
        if !steps.is_empty() {
            tracing::info!(principal = %home.principal, accounts = wanted.len(), steps = steps.len(), "policies changed");
        }
        Ok(Written { observed, steps })
    }

    /// What everybody wants of a principal, and what a policy allows already for those who have not been asked yet.
    fn wanted(&self, home: &PolicyHome, observed: &ObservedPolicies, context: &Context) -> Resources {
        let claims = self.claims();
        let mut wanted: Resources = claims
            .values()
            .filter(|claim| claim.homes.contains(home))
            .filter_map(|claim| claim.resource.clone())
            .collect();
        let unasked: HashSet<ConnectArn> = context
            .feeds
            .users
            .store()
            .state_filter(|user| !claims.contains_key(&user.uid().unwrap_or_default()) && was_attached(user, home))
            .iter()
            .filter_map(|user| resource_of(user, context))
            .collect();
        let allowed = observed.policies.values().filter_map(|policy| policy.resources.as_ref()).flatten();
        wanted.extend(allowed.filter(|arn| unasked.contains(*arn)).cloned());
        wanted
    }
}

/// The policies of a home after a turn.
struct Written {
    observed: ObservedPolicies,
    steps: Vec<PolicyStep>,
}

impl Written {
    /// ARN of the policy that allows a resource.
    fn arn_of(&self, home: &PolicyHome, resource: &ConnectArn) -> String {
        let by_step = self.steps.iter().find_map(|step| match step {
            PolicyStep::Create { number, resources } | PolicyStep::Replace { number, resources } => {
                resources.contains(resource).then_some(*number)
            }
            PolicyStep::DeleteVersion { .. }
            | PolicyStep::Attach { .. }
            | PolicyStep::Detach { .. }
            | PolicyStep::Delete { .. } => None,
        });
        let holds = |resources: &Option<Resources>| resources.as_ref().is_some_and(|it| it.contains(resource));
        let found =
            || self.observed.policies.iter().find(|(_, policy)| holds(&policy.resources)).map(|(number, _)| *number);
        home.arn(by_step.or_else(found).unwrap_or(1))
    }
}

/// Whether the status says that this user's account was allowed to the principal: only then has it something there to keep.
fn was_attached(user: &IamDbUser, home: &PolicyHome) -> bool {
    let attachments = user.status.iter().flat_map(|status| &status.attachments);
    let principal = home.principal.arn().as_str();
    attachments.into_iter().any(|it| it.principal == principal && it.state == AttachmentState::Attached)
}

fn server_of(user: &IamDbUser, context: &Context) -> Option<(Arc<crate::api::DbServer>, Server)> {
    let object = server::find(context, &user.spec.server_ref.name).ok()?;
    let server = Server::of(&object)?;
    Some((object, server))
}

fn resource_of(user: &IamDbUser, context: &Context) -> Option<ConnectArn> {
    let (_, server) = server_of(user, context)?;
    super::desired::resource(user.spec.scope, &server, &Username::parse(&user.spec.username).ok()?).ok()
}

/// Homes that the status remembers: principals that were listed before, even by a process that is gone.
fn homes_in_status(user: &IamDbUser, context: &Context) -> Vec<PolicyHome> {
    let attachments = user.status.iter().flat_map(|status| &status.attachments);
    homes(user, attachments.map(|attachment| attachment.principal.as_str()), context)
}

fn homes<'a>(user: &IamDbUser, principals: impl Iterator<Item = &'a str>, context: &Context) -> Vec<PolicyHome> {
    let Ok(object) = server::find(context, &user.spec.server_ref.name) else {
        return Vec::new();
    };
    let cluster_id = &context.settings.cluster_id;
    principals
        .filter_map(|text| text.parse::<Principal>().ok())
        .map(|principal| policy_home(&principal, &object, cluster_id))
        .collect()
}
