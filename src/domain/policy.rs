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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arn(user: &str) -> ConnectArn {
        ConnectArn::new(
            "aws",
            "us-east-1",
            "123456789012",
            "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            &Username::parse(user).unwrap(),
        )
    }

    fn arns(users: &[&str]) -> Resources {
        users.iter().map(|user| arn(user)).collect()
    }

    fn many(count: usize) -> Resources {
        (0..count).map(|index| arn(&format!("app_{index:05}"))).collect()
    }

    fn home() -> PolicyHome {
        PolicyHome {
            principal: "arn:aws:iam::123456789012:role/shop-app".parse().unwrap(),
            path: "/iamdb/c1/".into(),
            cluster: "0a1b2c3d-4e5f".into(),
        }
    }

    fn ours(resources: &Resources) -> ObservedPolicy {
        ObservedPolicy { is_ours: true, resources: Some(resources.clone()), other_versions: vec![] }
    }

    fn observed(policies: &[(usize, ObservedPolicy)], attached: &[usize]) -> ObservedPolicies {
        ObservedPolicies { policies: policies.iter().cloned().collect(), attached: attached.iter().copied().collect() }
    }

    #[test]
    fn the_document_of_one_user_is_the_one_of_the_aws_page() {
        assert_eq!(
            document(&arns(&["jane_doe"])),
            r#"{"Statement":[{"Action":"rds-db:connect","Effect":"Allow","Resource":["arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXYZ/jane_doe"]}],"Version":"2012-10-17"}"#
        );
    }

    #[test]
    fn a_withdrawal_takes_away_and_gives_nothing() {
        let foreign = ObservedPolicy { is_ours: false, resources: None, other_versions: vec![] };
        let seen = observed(&[(1, ours(&arns(&["a", "b"]))), (2, foreign.clone())], &[]);
        assert_eq!(
            plan_withdrawal(&home(), &arns(&["b", "new"]), &seen, MANAGED_POLICY_LIMIT),
            [PolicyStep::Replace { number: 1, resources: arns(&["b"]) }]
        );
        let seen = observed(&[(1, foreign)], &[1]);
        assert_eq!(plan_withdrawal(&home(), &arns(&["new"]), &seen, MANAGED_POLICY_LIMIT), []);
        let seen = observed(&[(1, ours(&arns(&["a"])))], &[1]);
        assert_eq!(
            plan_withdrawal(&home(), &Resources::new(), &seen, MANAGED_POLICY_LIMIT),
            [PolicyStep::Detach { number: 1 }, PolicyStep::Delete { number: 1 }]
        );
    }

    #[test]
    fn the_four_shapes_of_the_aws_page_can_be_written() {
        let id: ResourceId = "db-ABCDEFGHIJKL01234".parse().unwrap();
        let user = Username::parse("jane_doe").unwrap();
        let of =
            |server, user| ConnectArn::of_scope("aws", "us-east-2", "123456789012", server, user).as_str().to_owned();
        let start = "arn:aws:rds-db:us-east-2:123456789012:dbuser:";
        assert_eq!(of(Some(&id), Some(&user)), format!("{start}db-ABCDEFGHIJKL01234/jane_doe"));
        assert_eq!(of(Some(&id), None), format!("{start}db-ABCDEFGHIJKL01234/*"));
        assert_eq!(of(None, Some(&user)), format!("{start}*/jane_doe"));
        assert_eq!(of(None, None), format!("{start}*/*"));
        let two: Resources = ["jane_doe", "mary_roe"]
            .map(|name| ConnectArn::of_scope("aws", "us-east-2", "1", Some(&id), Some(&Username::parse(name).unwrap())))
            .into();
        assert_eq!(documents(&two, MANAGED_POLICY_LIMIT).len(), 1, "several users share a document");
    }

    #[test]
    fn resource_ids_are_not_identifiers() {
        for text in ["db-ABC123", "cluster-ABC", "prx-0a1b2c"] {
            assert!(text.parse::<ResourceId>().is_ok(), "{text}");
        }
        for text in ["orders", "db-", "db-a/b", "*", "db-*", ""] {
            assert_eq!(text.parse::<ResourceId>(), Err(NotAResourceId), "{text}");
        }
    }

    #[test]
    fn a_document_is_read_back_and_any_other_form_is_not_ours() {
        assert_eq!(parse(&document(&arns(&["a", "b"]))), Some(arns(&["a", "b"])));
        let by_hand = document(&arns(&["a"])).replace("\"Allow\"", "\"Allow\",\"Sid\":\"x\"");
        assert_eq!(parse(&by_hand), None);
        assert_eq!(parse("{}"), None);
        assert_eq!(parse("not json"), None);
    }

    #[test]
    fn the_first_user_creates_and_attaches_and_the_last_detaches_and_deletes() {
        let one = arns(&["a"]);
        assert_eq!(
            plan(&home(), &one, &ObservedPolicies::default(), MANAGED_POLICY_LIMIT).unwrap(),
            [PolicyStep::Create { number: 1, resources: one.clone() }, PolicyStep::Attach { number: 1 }]
        );
        assert_eq!(
            plan(&home(), &Resources::new(), &observed(&[(1, ours(&one))], &[1]), MANAGED_POLICY_LIMIT).unwrap(),
            [PolicyStep::Detach { number: 1 }, PolicyStep::Delete { number: 1 }]
        );
    }

    #[test]
    fn converged_policies_need_no_step() {
        let two = arns(&["a", "b"]);
        assert_eq!(plan(&home(), &two, &observed(&[(1, ours(&two))], &[1]), MANAGED_POLICY_LIMIT), Ok(vec![]));
        assert_eq!(plan(&home(), &Resources::new(), &ObservedPolicies::default(), MANAGED_POLICY_LIMIT), Ok(vec![]));
    }

    #[test]
    fn a_policy_created_but_not_attached_is_attached() {
        let one = arns(&["a"]);
        assert_eq!(
            plan(&home(), &one, &observed(&[(1, ours(&one))], &[]), MANAGED_POLICY_LIMIT).unwrap(),
            [PolicyStep::Attach { number: 1 }]
        );
    }

    #[test]
    fn a_document_changed_by_hand_is_written_again() {
        let by_hand = ObservedPolicy { resources: None, ..ours(&arns(&[])) };
        assert_eq!(
            plan(&home(), &arns(&["a"]), &observed(&[(1, by_hand)], &[1]), MANAGED_POLICY_LIMIT).unwrap(),
            [PolicyStep::Replace { number: 1, resources: arns(&["a"]) }]
        );
    }

    #[test]
    fn at_five_versions_the_oldest_other_goes_first() {
        let full =
            ObservedPolicy { other_versions: ["v1", "v2", "v3", "v4"].map(String::from).into(), ..ours(&arns(&["a"])) };
        assert_eq!(
            plan(&home(), &arns(&["a", "b"]), &observed(&[(1, full)], &[1]), MANAGED_POLICY_LIMIT).unwrap(),
            [
                PolicyStep::DeleteVersion { number: 1, version: "v1".into() },
                PolicyStep::Replace { number: 1, resources: arns(&["a", "b"]) }
            ]
        );
    }

    #[test]
    fn a_foreign_policy_of_our_name_is_refused() {
        let foreign = ObservedPolicy { is_ours: false, ..ours(&arns(&["a"])) };
        let refusal = plan(&home(), &arns(&["a"]), &observed(&[(1, foreign)], &[]), MANAGED_POLICY_LIMIT).unwrap_err();
        assert_eq!(refusal.arn, home().arn(1));
    }

    #[test]
    fn names_lead_back_to_numbers() {
        assert_eq!(home().number(&home().arn(1)), Some(1));
        assert_eq!(home().number(&home().arn(12)), Some(12));
        assert_eq!(home().number(&home().arn(1).replace("-1", "-01")), None);
        assert_eq!(home().number("arn:aws:iam::aws:policy/AdministratorAccess"), None);
        assert!(home().arn(1).starts_with("arn:aws:iam::123456789012:policy/iamdb/c1/iamdb-0a1b2c3d-"));
    }

    #[test]
    fn two_hundred_users_spill_into_further_documents_that_all_fit() {
        let packed = pack(&many(200), &BTreeMap::new(), MANAGED_POLICY_LIMIT);
        assert_eq!(packed.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(packed.values().all(|resources| document(resources).len() <= MANAGED_POLICY_LIMIT));
    }

    proptest! {
        #[test]
        fn packing_is_stable_and_complete(before in 0_usize..150, removed in prop::collection::btree_set(0_usize..150, 0..20), added in 0_usize..60) {
            let first = many(before);
            let packed = pack(&first, &BTreeMap::new(), MANAGED_POLICY_LIMIT);
            prop_assert_eq!(&pack(&first, &packed, MANAGED_POLICY_LIMIT), &packed, "nothing moves when nothing changed");
            let wanted: Resources = many(before + added).into_iter().enumerate().filter(|(index, _)| !removed.contains(index)).map(|(_, arn)| arn).collect();
            let again = pack(&wanted, &packed, MANAGED_POLICY_LIMIT);
            let all: Resources = again.values().flatten().cloned().collect();
            prop_assert_eq!(&all, &wanted);
            prop_assert_eq!(again.values().map(BTreeSet::len).sum::<usize>(), wanted.len(), "each in one document only");
            for (number, resources) in &again {
                prop_assert!(document(resources).len() <= MANAGED_POLICY_LIMIT);
                for arn in resources {
                    if let Some((was, _)) = packed.iter().find(|(_, resources)| resources.contains(arn)) {
                        prop_assert_eq!(was, number, "what was placed stays");
                    }
                }
            }
        }
    }
}
