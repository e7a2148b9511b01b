//! What an IamDbUser tells.

use kube::api::Api;

use super::account::{Converged, Maker};
use super::desired::Desired;
use super::entitlements::Attachment;
use crate::api::{
    AccountState, AccountStatus, AttachmentState, AttachmentStatus, ConditionType, Conditions, IamDbUser,
    IamDbUserStatus, PolicyStatus, Reason,
};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::report::{self, Verdict};
use crate::domain::names::HostPattern;
use crate::k8s::status::CallError;

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
        let mut attachments = remembered(object);
        for home in desired.written_homes() {
            let principal = home.principal.to_string();
            if !attachments.iter().any(|it| it.principal == principal) {
                attachments.push(AttachmentStatus { principal, state: AttachmentState::Pending });
            }
        }
        attachments.sort_by(|left, right| left.principal.cmp(&right.principal));
        let made = Made { accounts: accounts(desired, AccountState::Pending), attachments, ..Made::default() };
        Self { parts, made: Some(made) }
    }

    /// What became of the account and the policies.
    pub(super) fn of(
        desired: &Desired,
        object: &IamDbUser,
        account: &Converged,
        attachments: Option<Vec<Attachment>>,
    ) -> Self {
        let username = &desired.user.username;
        let open = |what: &str| Verdict::Waiting(Reason::Resolving, format!("waits for {what}"));
        let state = if account.account.is_ok() { AccountState::Ready } else { AccountState::Pending };
        let account_verdict = Verdict::of(&account.account, |maker| match maker {
            Maker::Operator => {
                let hosts: Vec<_> = desired.user.hosts.iter().map(HostPattern::as_str).collect();
                let locked = if desired.user.is_locked { "; it is locked" } else { "" };
                format!("{username} at {} logs in with IAM tokens over TLS only{locked}", hosts.join(", "))
            }
            Maker::Other => "somebody else makes the account (spec.management)".to_owned(),
        });
        let grants_verdict = account.grants.as_ref().map_or_else(
            || open("the account"),
            |grants| {
                Verdict::of(grants, |maker| match maker {
                    Maker::Operator => {
                        format!("{} grants, {} roles", desired.user.grants.len(), desired.user.roles.len())
                    }
                    Maker::Other => "somebody else grants privileges (spec.management)".to_owned(),
                })
            },
        );
        let policy_verdict = match &attachments {
            Some(all) => policies_verdict(all),
            None if !desired.management.policy && account.account.is_ok() => {
                Verdict::Good("somebody else writes the policy (spec.management)".to_owned())
            }
            None => open("the account"),
        };
        // Where IAM was not looked at, what the status remembers may still be attached.
        let kept = if attachments.is_none() { remembered(object) } else { Vec::new() };
        let attachments = attachments.unwrap_or_default();
        let mut policies: Vec<_> =
            attachments.iter().filter_map(|it| it.result.clone().ok()).map(|arn| PolicyStatus { arn }).collect();
        policies.sort_by(|left, right| left.arn.cmp(&right.arn));
        let made = Made {
            accounts: accounts(desired, state),
            drift: account
                .drift
                .iter()
                .map(|line| line.chars().take(DRIFT_LENGTH).collect())
                .take(DRIFT_LINES)
                .collect(),
            policies,
            attachments: attachments_status(desired, &attachments, kept),
        };
        let parts = [
            (ConditionType::AccountReady, account_verdict),
            (ConditionType::GrantsReady, grants_verdict),
            (ConditionType::PolicyReady, policy_verdict),
        ];
        Self { parts, made: Some(made) }
    }

    /// The first problem.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.parts.iter().find_map(|(_, verdict)| match verdict {
            Verdict::Bad(problem) => Some(problem),
            Verdict::Good(_) | Verdict::Notice(..) | Verdict::Waiting(..) => None,
        })
    }
}

fn accounts(desired: &Desired, state: AccountState) -> Vec<AccountStatus> {
    desired.user.hosts.iter().map(|host| AccountStatus { host: host.to_string(), state }).collect()
}

/// Every principal that is wanted, attached or not, and every former one that could not be taken off.
fn attachments_status(
    desired: &Desired,
    attachments: &[Attachment],
    kept: Vec<AttachmentStatus>,
) -> Vec<AttachmentStatus> {
    let wanted = desired.written_homes().map(|home| home.principal.to_string());
    let tried = attachments.iter().map(|it| it.principal.to_string());
    let mut principals: Vec<String> = wanted.chain(tried).collect();
    principals.sort();
    principals.dedup();
    let is_attached =
        |principal: &str| attachments.iter().any(|it| it.result.is_ok() && it.principal.arn().as_str() == principal);
    let state = |principal: &str| {
        if is_attached(principal) { AttachmentState::Attached } else { AttachmentState::Pending }
    };
    principals.retain(|principal| !kept.iter().any(|it| &it.principal == principal));
    let told = principals.into_iter().map(|principal| AttachmentStatus { state: state(&principal), principal });
    let mut all: Vec<AttachmentStatus> = told.chain(kept).collect();
    all.sort_by(|left, right| left.principal.cmp(&right.principal));
    all
}

/// The principals of the status: a name leaves it only when the policy is known to be off that principal.
fn remembered(object: &IamDbUser) -> Vec<AttachmentStatus> {
    object.status.iter().flat_map(|status| status.attachments.clone()).collect()
}

fn policies_verdict(attachments: &[Attachment]) -> Verdict {
    match attachments.iter().find_map(|it| it.result.as_ref().err()) {
        Some(problem) => Verdict::Bad(problem.clone()),
        None => Verdict::Good(format!("{} principals may connect", attachments.len())),
    }
}

/// Writes down what is about to be made, unless the status says it already.
pub(super) async fn write_intent(
    api: &Api<IamDbUser>,
    object: &IamDbUser,
    desired: &Desired,
    context: &Context,
) -> Result<(), CallError> {
    let remembered = object.status.iter().flat_map(|status| &status.attachments);
    let remembered: Vec<&str> = remembered.map(|attachment| attachment.principal.as_str()).collect();
    let is_known = |principal: &str| remembered.contains(&principal);
    if object.status.is_some() && desired.written_homes().all(|home| is_known(home.principal.arn().as_str())) {
        return Ok(());
    }
    write(api, object, &Findings::intent(desired, object), context).await
}

/// Writes it if it changed.
pub(super) async fn write(
    api: &Api<IamDbUser>,
    object: &IamDbUser,
    findings: &Findings,
    context: &Context,
) -> Result<(), CallError> {
    let none = Conditions::new();
    let before = object.status.as_ref().map_or(&none, |status| &status.conditions);
    let generation = object.metadata.generation;
    let told = report::findings(&findings.parts, "the account can be used");
    let conditions = report::conditions(context, before, &told, generation);
    let kept = object.status.clone().unwrap_or_default();
    let status = match &findings.made {
        Some(made) => IamDbUserStatus {
            observed_generation: generation,
            accounts: made.accounts.clone(),
            drift: made.drift.clone(),
            policies: made.policies.clone(),
            attachments: made.attachments.clone(),
            conditions,
        },
        None => IamDbUserStatus { observed_generation: generation, conditions, ..kept },
    };
    report::write(context, api, object, (object.status.as_ref(), before), (&status, &status.conditions)).await
}
