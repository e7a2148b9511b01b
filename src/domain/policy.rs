//! Policies: which accounts a principal may connect as, packed into as few IAM documents as fit.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use serde_json::json;

use super::arn::{Arn, Principal};
use super::names::Username;

/// Characters that a managed policy may have, white space not counted.
pub const MANAGED_POLICY_LIMIT: usize = 6_144;

/// Versions that a managed policy may have.
pub const VERSION_LIMIT: usize = 5;

/// ARN of an account in a database, as `rds-db:connect` policies name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectArn(String);

impl ConnectArn {
    /// The ARN of `username` on the server with this resource id.
    #[must_use]
    pub fn new(partition: &str, region: &str, account: &str, resource_id: &str, username: &Username) -> Self {
        Self(format!("arn:{partition}:rds-db:{region}:{account}:dbuser:{resource_id}/{username}"))
    }

    /// The ARN of one or every account on one or every server of an account *and Region*: the four shapes that AWS documents. Every account on
    /// every server includes those of other engines.
    #[must_use]
    pub fn of_scope(
        partition: &str,
        region: &str,
        account: &str,
        server: Option<&ResourceId>,
        user: Option<&Username>,
    ) -> Self {
        let server = server.map_or("*", ResourceId::as_str);
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

/// Where the policies of a principal live and what they are called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyHome {
    /// The principal.
    pub principal: Principal,
    /// IAM path, with a slash at both ends.
    pub path: String,
    /// Id of the cluster, for names and tags.
    pub cluster: String,
}

impl PolicyHome {
    /// Name of the n-th policy, counted from 1. Names are unique per account, whatever the path, so the cluster is in them.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        format!("{}{number}", self.name_prefix())
    }

    /// ARN of the n-th policy.
    #[must_use]
    pub fn arn(&self, number: usize) -> String {
        let arn = self.principal.arn();
        format!("arn:{}:iam::{}:policy{}{}", arn.partition(), arn.account(), self.path, self.name(number))
    }

    /// The number in the ARN of a policy of this home.
    #[must_use]
    pub fn number(&self, arn: &str) -> Option<usize> {
        let first = self.arn(1);
        let number = arn.strip_prefix(first.strip_suffix('1')?)?.parse().ok()?;
        (self.arn(number) == arn).then_some(number)
    }

    fn name_prefix(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.principal.arn().as_str().as_bytes());
        let cluster: String = self.cluster.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        format!("iamdb-{cluster}-{}-", hex::encode(&hash.as_ref()[..6]))
    }
}

/// One policy as IAM tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPolicy {
    /// Whether it carries the tags of this cluster's operator.
    pub is_ours: bool,
    /// What its default version allows; none when that is no document of our form.
    pub resources: Option<Resources>,
    /// Versions beside the default one, oldest first.
    pub other_versions: Vec<String>,
}

/// The policies of a principal as IAM tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedPolicies {
    /// By number.
    pub policies: BTreeMap<usize, ObservedPolicy>,
    /// Numbers of those that are attached to the principal.
    pub attached: BTreeSet<usize>,
}

/// One change in IAM.
#[allow(missing_docs, reason = "the fields say which policy, and what it shall allow")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyStep {
    /// Create the policy, tagged as ours.
    Create { number: usize, resources: Resources },
    /// Delete a version, to make room for a new one.
    DeleteVersion { number: usize, version: String },
    /// Make a new default version.
    Replace { number: usize, resources: Resources },
    /// Attach the policy to the principal.
    Attach { number: usize },
    /// Detach the policy from the principal.
    Detach { number: usize },
    /// Delete the policy.
    Delete { number: usize },
}

/// A policy of the name that we would use exists and carries no tag of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy {arn} exists and was not made by this operator")]
pub struct Foreign {
    /// ARN of that policy.
    pub arn: String,
}

/// The steps that make the policies allow exactly `wanted`; none when they do. What is to be allowed comes before what is to be forbidden.
///
/// # Errors
/// [`Foreign`] when a policy of our name is not ours.
pub fn plan(
    home: &PolicyHome,
    wanted: &Resources,
    observed: &ObservedPolicies,
    limit: usize,
) -> Result<Vec<PolicyStep>, Foreign> {
    if let Some((&number, _)) = observed.policies.iter().find(|(_, policy)| !policy.is_ours) {
        return Err(Foreign { arn: home.arn(number) });
    }
    let now: BTreeMap<usize, Resources> = observed
        .policies
        .iter()
        .map(|(&number, policy)| (number, policy.resources.clone().unwrap_or_default()))
        .collect();
    let packed = pack(wanted, &now, limit);
    let (mut allow, mut forbid) = (Vec::new(), Vec::new());
    for (&number, resources) in &packed {
        match observed.policies.get(&number) {
            None => allow.push(PolicyStep::Create { number, resources: resources.clone() }),
            Some(policy) if policy.resources.as_ref() == Some(resources) => {}
            Some(policy) => {
                let surplus = (policy.other_versions.len() + 2).saturating_sub(VERSION_LIMIT);
                let only_takes_away = policy.resources.as_ref().is_some_and(|now| resources.is_subset(now));
                let steps = if only_takes_away { &mut forbid } else { &mut allow };
                for version in policy.other_versions.iter().take(surplus) {
                    steps.push(PolicyStep::DeleteVersion { number, version: version.clone() });
                }
                steps.push(PolicyStep::Replace { number, resources: resources.clone() });
            }
        }
        if !observed.attached.contains(&number) {
            allow.push(PolicyStep::Attach { number });
        }
    }
    for (&number, policy) in observed.policies.iter().filter(|(number, _)| !packed.contains_key(number)) {
        if observed.attached.contains(&number) {
            forbid.push(PolicyStep::Detach { number });
        }
        for version in &policy.other_versions {
            forbid.push(PolicyStep::DeleteVersion { number, version: version.clone() });
        }
        forbid.push(PolicyStep::Delete { number });
    }
    allow.append(&mut forbid);
    Ok(allow)
}

/// As few documents as hold `wanted`, as a principal without any policy gets them.
#[must_use]
pub fn documents(wanted: &Resources, limit: usize) -> Vec<String> {
    pack(wanted, &BTreeMap::new(), limit).values().map(document).collect()
}

/// The steps that take away what is not wanted, and give nobody anything. What is not ours is left alone: nothing of ours is in it.
#[must_use]
pub fn plan_withdrawal(
    home: &PolicyHome,
    wanted: &Resources,
    observed: &ObservedPolicies,
    limit: usize,
) -> Vec<PolicyStep> {
    let mut ours = observed.clone();
    ours.policies.retain(|_, policy| policy.is_ours);
    ours.attached.retain(|number| ours.policies.contains_key(number));
    let held: Resources =
        ours.policies.values().filter_map(|policy| policy.resources.as_ref()).flatten().cloned().collect();
    let kept = wanted.intersection(&held).cloned().collect();
    let mut steps = plan(home, &kept, &ours, limit).unwrap_or_default(); // nothing foreign is left in it
    steps.retain(|step| !matches!(step, PolicyStep::Attach { .. }));
    steps
}

/// Spreads `wanted` over numbered documents. What is in a document stays there, so that nothing churns; what is new goes into the first with room.
fn pack(wanted: &Resources, now: &BTreeMap<usize, Resources>, limit: usize) -> BTreeMap<usize, Resources> {
    let mut packed: BTreeMap<usize, Resources> = BTreeMap::new();
    let mut placed = Resources::new();
    for (&number, resources) in now {
        let kept: Resources =
            resources.iter().filter(|arn| wanted.contains(*arn) && !placed.contains(*arn)).cloned().collect();
        placed.extend(kept.iter().cloned());
        if !kept.is_empty() {
            packed.insert(number, kept);
        }
    }
    for arn in wanted.difference(&placed) {
        let fits = |resources: &Resources| {
            let mut more = resources.clone();
            more.insert(arn.clone());
            document(&more).len() <= limit
        };
        // One more than there are is always free.
        let number = (1..=packed.len()).find(|number| packed.get(number).is_none_or(fits)).unwrap_or(packed.len() + 1);
        packed.entry(number).or_default().insert(arn.clone());
    }
    packed
}

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

#[cfg(test)]
mod tests;
