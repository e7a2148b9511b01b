//! Managed policies and what they are attached to, and policies in principals themselves.

mod apply;
mod inline;
mod observe;

use async_trait::async_trait;
use aws_sdk_iam::Client;

use super::clients::{Identities, Regional};
use crate::domain::access::Access;
use crate::domain::arn::Principal;
use crate::domain::policy::{ObservedPolicies, Place, PolicyHome, PolicyStep};
use crate::ports::{Fault, Policies};

/// IAM of every partition.
#[derive(Debug)]
pub struct IamPolicies {
    clients: Regional<Client>,
}

impl IamPolicies {
    pub(super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }

    fn client(&self, access: &Access, principal: &Principal) -> Client {
        self.clients.client(&access.in_region(home_region(principal.arn().partition())))
    }
}

/// IAM has one endpoint a partition; this is the Region that its calls are signed for.
pub(super) fn home_region(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        _ => "us-east-1",
    }
}

#[async_trait]
impl Policies for IamPolicies {
    async fn observe(&self, access: &Access, home: &PolicyHome) -> Result<ObservedPolicies, Fault> {
        let client = self.client(access, &home.principal);
        match home.place {
            Place::Path(_) => observe::policies(&client, home).await,
            Place::Inline => inline::policies(&client, home).await,
        }
    }

    async fn exists(&self, access: &Access, principal: &Principal) -> Result<bool, Fault> {
        observe::exists(&self.client(access, principal), principal).await
    }

    async fn apply(&self, access: &Access, home: &PolicyHome, step: &PolicyStep) -> Result<(), Fault> {
        apply::step(&self.client(access, &home.principal), home, step).await
    }
}
