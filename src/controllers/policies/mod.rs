//! `rds-db:connect` policies: the one writer of them, for whoever wants them: IamDbUsers, and DbServers with `spec.policy.fullAccess`.
//!
//! | file | what it is | I/O |
//! |---|---|---|
//! | `wants` | what an object wants of IAM | none |
//! | `claims` | what all objects want, by home | none |
//! | `rounds` | one writer a home at a time, whose one write serves all who wait | IAM |
//! | `outcome` | what is there after it, and what that means for who asks | none |
//! | `entitlements` | brings an object's homes to what it wants, and takes it out of them | |
//! | `rendered` | the same documents in a ConfigMap, where somebody else attaches them | Kubernetes |
//! | `full_access` | what a DbServer itself wants | |
//! | `told` | what became of it, as the status says it | none |

mod claims;
mod entitlements;
mod full_access;
mod outcome;
mod rendered;
mod rounds;
mod told;
mod wants;

pub use entitlements::Entitlements;
pub(super) use full_access::{FullAccess, grant as grant_full_access, withdraw as withdraw_full_access};
pub(super) use told::{drift, intended, policies, remaining, state, unattached, verdict};
pub(super) use wants::{Wants, of_user};

use std::collections::BTreeSet;

use crate::domain::policy::PolicyHome;

use super::problem::Problem;

/// What became of what an object wants.
#[derive(Default)]
pub(super) struct Granted {
    attachments: Vec<Attachment>,
    /// Name of the ConfigMap with the documents, where they are rendered.
    rendered: Option<Result<String, Problem>>,
}

/// What became of the homes whose principals an object lists no longer.
#[derive(Default)]
pub(super) struct Parted {
    /// Those in which nothing of the object is left.
    pub(super) gone: BTreeSet<PolicyHome>,
    /// Those in which something is left, and why.
    pub(super) refused: Vec<(PolicyHome, Problem)>,
}

/// What became of one home.
struct Attachment {
    home: PolicyHome,
    /// What the policies are called that allow what is wanted.
    result: Result<Vec<String>, Problem>,
    /// What differs from what is wanted, where nothing is changed.
    drift: Vec<String>,
}

impl Attachment {
    /// What is left as it is, where it was.
    const fn left(home: PolicyHome) -> Self {
        Self { home, result: Ok(Vec::new()), drift: Vec::new() }
    }
}
