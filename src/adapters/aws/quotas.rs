//! What IAM allows an account.

use async_trait::async_trait;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::SummaryKeyType;

use super::classify;
use super::clients::{Identities, Regional};
use super::iam::home_region;
use crate::domain::access::Access;
use crate::ports::{AccountQuotas, Fault, FaultKind, PolicyQuotas};

const READ: &str = "read the account's IAM quotas";

/// IAM's account summaries.
#[derive(Debug)]
pub struct IamQuotas {
    clients: Regional<Client>,
}

impl IamQuotas {
    pub(super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }
}

#[async_trait]
impl AccountQuotas for IamQuotas {
    async fn read(&self, access: &Access, partition: &str) -> Result<PolicyQuotas, Fault> {
        let client = self.clients.client(&access.in_region(home_region(partition)));
        let answer = client.get_account_summary().send().await.map_err(|error| classify::fault(READ, &error))?;
        let summary = answer.summary_map.unwrap_or_default();
        let number = |key: SummaryKeyType| {
            let number = summary.get(&key).and_then(|number| u32::try_from(*number).ok());
            number.ok_or_else(|| Fault::new(FaultKind::Unreadable, READ))
        };
        Ok(PolicyQuotas {
            policies_quota: number(SummaryKeyType::PoliciesQuota)?,
            policy_size_quota: number(SummaryKeyType::PolicySizeQuota)?,
        })
    }
}
