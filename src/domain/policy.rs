//! Policies: which accounts a principal may connect as, packed into as few IAM documents as fit.

mod home;
mod pack;
mod plan;
mod tags;

use std::collections::BTreeSet;

use serde_json::json;

use super::arn::Arn;
use super::names::Username;

pub use home::{Place, PolicyHome, default_path};
pub use pack::{Budget, MANAGED_POLICY_LIMIT, documents, inline_quota};
pub use plan::{
    Foreign, ObservedPolicies, ObservedPolicy, Plan, PolicyStep, VERSION_LIMIT, Wanted, plan, plan_withdrawal,
};
pub use tags::{Tags, is_ours, tags_of_new};

/// ARN of an account in a database, as `rds-db:connect` policies name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectArn(String);

impl ConnectArn {
    /// The ARN of `username` on the server with this resource id.
    #[must_use]
    pub fn new(partition: &str, region: &str, account: &str, resource_id: &str, username: &Username) -> Self {
        Self::of_scope(partition, region, account, Some(resource_id), Some(username))
    }

    /// The ARN of one or every account on one server, by its resource id, or on every server of an account *and Region*: the four shapes that AWS documents. Every account on
    /// every server includes those of other engines.
    #[must_use]
    pub fn of_scope(
        partition: &str,
        region: &str,
        account: &str,
        server: Option<&str>,
        user: Option<&Username>,
    ) -> Self {
        let server = server.unwrap_or("*");
        let user = user.map_or("*", Username::as_str);
        Self(format!("arn:{partition}:rds-db:{region}:{account}:dbuser:{server}/{user}"))
    }

    /// Reads an ARN out of a document of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let arn: Arn = text.parse().ok()?;
        let (resource_id, user) = arn.resource().strip_prefix("dbuser:")?.split_once('/')?;
        (!resource_id.is_empty() && !user.is_empty() && !text.contains(['"', '\\'])).then(|| Self(text.to_owned()))
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The server's resource id; `*` for every one.
    #[must_use]
    pub fn server(&self) -> &str {
        let place = self.0.rsplit(':').next().unwrap_or_default();
        place.split('/').next().unwrap_or_default()
    }

    /// The account in the database; `*` for every one.
    #[must_use]
    pub fn user(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// What policies call a server: `db-` for a DB instance, `cluster-` for a DB cluster, `prx-` for a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(String);

/// The text is no resource id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource id begins with db-, cluster- or prx-, followed by letters and digits (it is not the identifier)")]
pub struct NotAResourceId;

impl ResourceId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ResourceId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<Self, NotAResourceId> {
        let tail = ["db-", "cluster-", "prx-"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let is_one = |tail: &str| (1..=64).contains(&tail.len()) && tail.bytes().all(|b| b.is_ascii_alphanumeric());
        if tail.is_some_and(is_one) { Ok(Self(text.to_owned())) } else { Err(NotAResourceId) }
    }
}

/// ARNs that one document allows.
pub type Resources = BTreeSet<ConnectArn>;

/// The document that allows these resources: no white space, so that its length is what IAM counts.
#[must_use]
pub fn document(resources: &Resources) -> String {
    let resources: Vec<&str> = resources.iter().map(ConnectArn::as_str).collect();
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "rds-db:connect", "Resource": resources}],
    })
    .to_string()
}

/// Reads a document of our form; none when it is of any other form.
#[must_use]
pub fn parse(text: &str) -> Option<Resources> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let resources: Option<Resources> =
        value["Statement"][0]["Resource"].as_array()?.iter().map(|arn| ConnectArn::parse(arn.as_str()?)).collect();
    // Only what we would write ourselves counts as ours; a statement added by hand makes it another document.
    resources.filter(|resources| serde_json::from_str::<serde_json::Value>(&document(resources)).ok() == Some(value))
}

/// Characters of a document as IAM counts them.
#[must_use]
pub fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests;
