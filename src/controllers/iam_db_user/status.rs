//! What an IamDbUser tells.

use kube::api::Api;

use super::Policies;
use super::account::{Converged, Maker};
use super::desired::Desired;
use crate::api::{
    AccountState, AccountStatus, AttachmentStatus, ConditionType, Conditions, IamDbUser, IamDbUserStatus, PolicyStatus,
    Reason, sentence,
};
use crate::controllers::context::Context;
use crate::controllers::policies::{self, Granted};
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::names::HostPattern;
use crate::k8s::call::CallError;
use crate::k8s::status;

/// What the API allows of drift.
const DRIFT_LINES: usize = 64;
const DRIFT_LENGTH: usize = 512;

/// What was found and done.
pub(super) struct Findings {
    parts: [(ConditionType, Verdict); 3],
    /// Accounts, policies and attachments; none to leave what the status says.
    made: Option<Made>,
}

#[derive(Default)]
struct Made {
    accounts: Vec<AccountStatus>,
    drift: Vec<String>,
    policies: Vec<PolicyStatus>,
    attachments: Vec<AttachmentStatus>,
}

impl Findings {
    /// Nothing could be looked at.
    pub(super) fn unresolved(problem: Problem) -> Self {
        let open = || Verdict::Waiting(problem.reason, "not looked at yet".into());
        let parts = [
            (ConditionType::GrantsReady, open()),
            (ConditionType::PolicyReady, open()),
            (ConditionType::AccountReady, Verdict::Bad(problem)),
        ];
        Self { parts, made: None }
    }

    /// What is about to be made: written before it is, so that whoever comes after a crash knows what to look for.
    pub(super) fn intent(desired: &Desired, object: &IamDbUser) -> Self {
        let open = || Verdict::Waiting(Reason::Resolving, "in work".into());
        let parts = [
            (ConditionType::AccountReady, open()),
            (ConditionType::GrantsReady, open()),
            (ConditionType::PolicyReady, open()),
        ];
        let made = Made {
            accounts: accounts(desired, AccountState::Pending),
            attachments: intended(desired, object),
            policies: written(object),
            ..Made::default()
        };
        Self { parts, made: Some(made) }
    }

    /// What became of the account and the policies.
    pub(super) fn of(desired: &Desired, object: &IamDbUser, account: &Converged, policies: &Policies) -> Self {
        let username = &desired.user.username;
        let state = if account.account.is_ok() { AccountState::Ready } else { AccountState::Pending };
        let account_verdict = Verdict::of(&account.account, |maker| match maker {
            Maker::Operator => {
                let hosts: Vec<_> = desired.user.hosts.iter().map(HostPattern::as_str).collect();
                let locked = if desired.user.is_locked { "; it is locked" } else { "" };
                format!("{username} at {} logs in with IAM tokens over TLS only{locked}", hosts.join(", "))
            }
            Maker::Other => sentence::ACCOUNT_OF_OTHERS.to_owned(),
        });
        let grants_verdict = account.grants.as_ref().map_or_else(waits_for_account, |grants| {
            Verdict::of(grants, |maker| match maker {
                Maker::Operator => {
                    format!("{} grants, {} roles", desired.user.grants.len(), desired.user.roles.len())
                }
                Maker::Other => sentence::GRANTS_OF_OTHERS.to_owned(),
            })
        });
        let (policy_verdict, attachments) = of_policies(policies, desired, object, account.account.is_ok());
        let granted = if let Policies::Brought(granted) = policies { Some(granted) } else { None };
        let made = Made {
            accounts: accounts(desired, state),
            policies: granted.map_or_else(|| written(object), policies::policies),
            drift: drift(&account.drift, granted),
            attachments,
        };
        let parts = [
            (ConditionType::AccountReady, account_verdict),
            (ConditionType::GrantsReady, grants_verdict),
            (ConditionType::PolicyReady, policy_verdict),
        ];
        Self { parts, made: Some(made) }
    }

    /// The same after the object was taken out of all policies.
    pub(super) fn without_policies(self, object: &IamDbUser) -> Self {
        let IamDbUserStatus { accounts, drift, policies, .. } = object.status.clone().unwrap_or_default();
        let policies = policies::unattached(policies);
        Self { made: Some(Made { accounts, drift, policies, attachments: Vec::new() }), ..self }
    }

    /// What is wrong.
    pub(super) fn problem(&self) -> Option<Problem> {
        Problem::of_several(self.parts.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Bad(problem) => Some(problem),
            Verdict::Good(_) | Verdict::Notice(..) | Verdict::Waiting(..) => None,
        }))
    }
}

/// What is said of what comes after the account.
fn waits_for_account() -> Verdict {
    Verdict::Waiting(Reason::Resolving, "waits for the account".to_owned())
}

/// What the status says of the policies. Where IAM was not looked at, what it remembers may still be attached.
fn of_policies(
    policies: &Policies,
    desired: &Desired,
    object: &IamDbUser,
    has_account: bool,
) -> (Verdict, Vec<AttachmentStatus>) {
    let remembered = || intended(desired, object);
    match policies {
        Policies::Brought(granted) => (policies::verdict(granted), policies::state(granted)),
        Policies::Parted(parted) => {
            let problem = Problem::of_several(parted.refused.iter().map(|(_, problem)| problem));
            (problem.map_or_else(waits_for_account, Verdict::Bad), policies::remaining(remembered(), parted))
        }
        Policies::Open if !desired.management.policy && has_account => {
            (Verdict::Good(sentence::POLICY_OF_OTHERS.to_owned()), remembered())
        }
        Policies::Open => (waits_for_account(), remembered()),
    }
}

/// The accounts that the operator makes: whoever has one here speaks for it.
fn accounts(desired: &Desired, state: AccountState) -> Vec<AccountStatus> {
    let hosts = desired.user.hosts.iter().filter(|_| desired.management.account);
    hosts.map(|host| AccountStatus { host: host.to_string(), state }).collect()
}

/// The policies of the status: they leave it only with the next look at all of them.
fn written(object: &IamDbUser) -> Vec<PolicyStatus> {
    object.status.as_ref().map(|status| status.policies.clone()).unwrap_or_default()
}

/// What differs and is left as it is, of the accounts and of the policies.
fn drift(of_accounts: &[String], granted: Option<&Granted>) -> Vec<String> {
    let of_policies = granted.map(policies::drift).unwrap_or_default();
    let shortened = |line: &String| line.chars().take(DRIFT_LENGTH).collect();
    of_accounts.iter().chain(&of_policies).map(shortened).take(DRIFT_LINES).collect()
}

/// What the status remembers of policies, and what is about to be attached: nothing, if somebody else writes them.
fn intended(desired: &Desired, object: &IamDbUser) -> Vec<AttachmentStatus> {
    let remembered = object.status.as_ref().map(|status| status.attachments.as_slice()).unwrap_or_default();
    if desired.management.policy { policies::intended(remembered, &desired.policy) } else { remembered.to_vec() }
}

/// Writes down what is about to be made, unless the status says it already. That is no news: an Event tells how it ended.
pub(super) async fn write_intent(
    api: &Api<IamDbUser>,
    object: &IamDbUser,
    desired: &Desired,
    context: &Context,
) -> Result<(), CallError> {
    let is_known = |status: &IamDbUserStatus| status.attachments == intended(desired, object);
    if object.status.as_ref().is_some_and(is_known) {
        return Ok(());
    }
    let intent = told(object, &Findings::intent(desired, object), context);
    status::write(api, object, object.status.as_ref(), &intent).await.map(drop)
}

/// Writes it if it changed.
pub(super) async fn write(
    api: &Api<IamDbUser>,
    object: &IamDbUser,
    findings: &Findings,
    context: &Context,
) -> Result<(), CallError> {
    let (before, none) = (object.status.as_ref(), Conditions::new());
    let conditions = before.map_or(&none, |status| &status.conditions);
    let after = told(object, findings, context);
    report::write(context, api, object, (before, conditions), (&after, &after.conditions)).await
}

/// The status that tells what was found.
fn told(object: &IamDbUser, findings: &Findings, context: &Context) -> IamDbUserStatus {
    let (generation, kept) = (object.metadata.generation, object.status.clone().unwrap_or_default());
    let parts = report::findings(&findings.parts, sentence::ACCOUNT_USABLE);
    let conditions = report::conditions(context, &kept.conditions, &parts, generation);
    match &findings.made {
        Some(made) => IamDbUserStatus {
            observed_generation: generation,
            accounts: made.accounts.clone(),
            drift: made.drift.clone(),
            policies: made.policies.clone(),
            attachments: made.attachments.clone(),
            conditions,
        },
        None => IamDbUserStatus { observed_generation: generation, conditions, ..kept },
    }
}
