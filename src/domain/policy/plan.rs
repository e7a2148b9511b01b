//! The plan: from what IAM has to what it shall have, as steps that can be compared and printed.

use std::collections::{BTreeMap, BTreeSet};

use super::pack::{Packed, close_gaps, pack};
use super::tags::{Tags, changes, tags_of_new};
use super::{Budget, ConnectArn, Place, PolicyHome, Resources};

/// Versions that a managed policy may have.
pub const VERSION_LIMIT: usize = 5;

/// One policy as IAM tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedPolicy {
    /// Whether it carries the tags of this cluster's operator.
    pub is_ours: bool,
    /// What its default version allows; none when that is no document of our form.
    pub resources: Option<Resources>,
    /// Versions beside the default one, oldest first.
    pub other_versions: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// The policies of a home as IAM tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedPolicies {
    /// By number.
    pub policies: BTreeMap<usize, ObservedPolicy>,
    /// Numbers of those that are attached to the principal. A policy in the principal itself always is.
    pub attached: BTreeSet<usize>,
    /// Characters of the principal's inline policies that are not of this home. Read for homes in the principal only.
    pub foreign_inline: usize,
}

impl ObservedPolicies {
    /// The number of a policy that is attached and not there. IAM deletes nothing that is attached, so one of its answers is old.
    #[must_use]
    pub fn unknown(&self) -> Option<usize> {
        self.attached.iter().copied().find(|number| !self.policies.contains_key(number))
    }
}

/// What a home shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What the policies shall allow.
    pub resources: Resources,
    /// Tags that they shall carry beside our own marks; none to leave those as they are. Inline policies have none.
    pub tags: Option<Tags>,
}

/// One change in IAM.
#[allow(missing_docs, reason = "the fields say which policy, and what it shall allow")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyStep {
    /// Create the policy, tagged as ours.
    Create { number: usize, resources: Resources, tags: Tags },
    /// Delete a version, to make room for a new one.
    DeleteVersion { number: usize, version: String },
    /// Make a new default version.
    Replace { number: usize, resources: Resources },
    /// Take tags away.
    Untag { number: usize, keys: BTreeSet<String> },
    /// Set tags.
    Tag { number: usize, tags: Tags },
    /// Attach the policy to the principal.
    Attach { number: usize },
    /// Detach the policy from the principal.
    Detach { number: usize },
    /// Delete the policy.
    Delete { number: usize },
    /// Write the policy into the principal.
    Put { number: usize, resources: Resources },
    /// Take the policy out of the principal.
    Remove { number: usize },
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in order; none when all is as it shall be.
    pub steps: Vec<PolicyStep>,
    /// What finds no room in the principal.
    pub left_over: Resources,
}

/// A policy of the name that we would use exists and carries no tag of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy {arn} exists and was not made by this operator")]
pub struct Foreign {
    /// ARN of that policy.
    pub arn: String,
}

/// The steps that make the policies allow exactly what is wanted, as far as there is room.
///
/// # Errors
/// [`Foreign`] when a policy of our name is not ours.
pub fn plan(home: &PolicyHome, wanted: &Wanted, observed: &ObservedPolicies, budget: Budget) -> Result<Plan, Foreign> {
    if let Some((&number, _)) = observed.policies.iter().find(|(_, policy)| !policy.is_ours) {
        return Err(Foreign { arn: home.id(number) });
    }
    let Packed { mut documents, left_over } = pack(&wanted.resources, &observed.documents(), budget);
    let steps = match home.place {
        Place::Path(_) => {
            close_gaps(&mut documents, &BTreeSet::new());
            managed(home, wanted.tags.as_ref(), &documents, observed)
        }
        Place::Inline => inline(&documents, observed),
    };
    Ok(Plan { steps, left_over })
}

/// The steps that take away what is not wanted, and give nobody anything. What is not ours is left alone: nothing of ours is in it.
#[must_use]
pub fn plan_withdrawal(
    home: &PolicyHome,
    wanted: &Resources,
    observed: &ObservedPolicies,
    budget: Budget,
) -> Vec<PolicyStep> {
    let mut ours = observed.clone();
    let foreign = ours.policies.iter().filter(|(_, it)| !it.is_ours).map(|(number, _)| *number).collect();
    ours.policies.retain(|_, policy| policy.is_ours);
    ours.attached.retain(|number| ours.policies.contains_key(number));
    let now = ours.documents();
    let kept = now.values().flatten().filter(|arn| wanted.contains(*arn)).cloned().collect();
    let mut documents = pack(&kept, &now, budget).documents;
    let mut steps = match home.place {
        Place::Path(_) => {
            // What is attached is found by that; where nothing is, only by its number.
            if ours.attached.is_empty() {
                close_gaps(&mut documents, &foreign);
            }
            managed(home, None, &documents, &ours)
        }
        Place::Inline => inline(&documents, &ours),
    };
    steps.retain(|step| {
        use PolicyStep::{Attach, Create};
        !matches!(step, Attach { .. } | Create { .. })
    });
    steps
}

/// What is to be allowed comes before what is to be forbidden, so that nothing is without access between two steps. What is to go goes from the
/// highest number down: a crash leaves no policy behind a gap.
fn managed(
    home: &PolicyHome,
    tags: Option<&Tags>,
    documents: &BTreeMap<usize, Resources>,
    observed: &ObservedPolicies,
) -> Vec<PolicyStep> {
    let (mut allow, mut forbid) = (Vec::new(), Vec::new());
    for (&number, resources) in documents {
        match observed.policies.get(&number) {
            None => {
                let tags = tags_of_new(home, tags.unwrap_or(&Tags::new()));
                allow.push(PolicyStep::Create { number, resources: resources.clone(), tags });
            }
            Some(policy) => {
                if policy.resources.as_ref() != Some(resources) {
                    let steps = if policy.only_loses(resources) { &mut forbid } else { &mut allow };
                    let surplus = (policy.other_versions.len() + 2).saturating_sub(VERSION_LIMIT);
                    for version in policy.other_versions.iter().take(surplus) {
                        steps.push(PolicyStep::DeleteVersion { number, version: version.clone() });
                    }
                    steps.push(PolicyStep::Replace { number, resources: resources.clone() });
                }
                let (set, unset) = tags.map(|tags| changes(home, tags, &policy.tags)).unwrap_or_default();
                // The record of what we set is among the tags that are set, so what it says is taken away first.
                if !unset.is_empty() {
                    forbid.push(PolicyStep::Untag { number, keys: unset });
                }
                if !set.is_empty() {
                    forbid.push(PolicyStep::Tag { number, tags: set });
                }
            }
        }
        if !observed.attached.contains(&number) {
            allow.push(PolicyStep::Attach { number });
        }
    }
    for (&number, policy) in observed.policies.iter().rev().filter(|(number, _)| !documents.contains_key(number)) {
        if observed.attached.contains(&number) {
            forbid.push(PolicyStep::Detach { number });
        }
        for version in &policy.other_versions {
            forbid.push(PolicyStep::DeleteVersion { number, version: version.clone() });
        }
        forbid.push(PolicyStep::Delete { number });
    }
    allow.append(&mut forbid);
    allow
}

/// Here what goes makes room for what comes; nothing moves between documents, so nothing is without access meanwhile.
fn inline(documents: &BTreeMap<usize, Resources>, observed: &ObservedPolicies) -> Vec<PolicyStep> {
    let gone = observed.policies.keys().filter(|number| !documents.contains_key(number));
    let mut forbid: Vec<PolicyStep> = gone.map(|&number| PolicyStep::Remove { number }).collect();
    let mut allow = Vec::new();
    for (&number, resources) in documents {
        let policy = observed.policies.get(&number);
        if policy.is_some_and(|policy| policy.resources.as_ref() == Some(resources)) {
            continue;
        }
        let steps = if policy.is_some_and(|policy| policy.only_loses(resources)) { &mut forbid } else { &mut allow };
        steps.push(PolicyStep::Put { number, resources: resources.clone() });
    }
    forbid.append(&mut allow);
    forbid
}

impl ObservedPolicy {
    fn only_loses(&self, wanted: &Resources) -> bool {
        self.resources.as_ref().is_some_and(|now| wanted.is_subset(now))
    }
}

impl ObservedPolicies {
    /// Number of the policy of ours by which the principal may connect to a resource.
    #[must_use]
    pub fn allowing(&self, resource: &ConnectArn) -> Option<usize> {
        let allows = |policy: &ObservedPolicy| policy.resources.as_ref().is_some_and(|it| it.contains(resource));
        self.policies
            .iter()
            .find(|(number, policy)| policy.is_ours && self.attached.contains(number) && allows(policy))
            .map(|(number, _)| *number)
    }

    /// All that policies of ours name, attached or not.
    pub fn named(&self) -> impl Iterator<Item = &ConnectArn> {
        self.policies.values().filter(|it| it.is_ours).filter_map(|it| it.resources.as_ref()).flatten()
    }

    /// Enters a step that was taken.
    pub fn enter(&mut self, step: &PolicyStep) {
        let written = |resources: &Resources| ObservedPolicy {
            is_ours: true,
            resources: Some(resources.clone()),
            ..ObservedPolicy::default()
        };
        match step {
            PolicyStep::Create { number, resources, tags } => {
                self.policies.insert(*number, ObservedPolicy { tags: tags.clone(), ..written(resources) });
            }
            PolicyStep::Put { number, resources } => {
                self.policies.insert(*number, written(resources));
                self.attached.insert(*number);
            }
            PolicyStep::Replace { number, resources } => {
                let policy = self.policies.entry(*number).or_default();
                policy.other_versions.push("the one before".into());
                policy.resources = Some(resources.clone());
            }
            PolicyStep::DeleteVersion { number, version } => {
                let policy = self.policies.entry(*number).or_default();
                policy.other_versions.retain(|it| it != version);
            }
            PolicyStep::Untag { number, keys } => {
                self.policies.entry(*number).or_default().tags.retain(|key, _| !keys.contains(key));
            }
            PolicyStep::Tag { number, tags } => {
                self.policies.entry(*number).or_default().tags.extend(tags.clone());
            }
            PolicyStep::Attach { number } => drop(self.attached.insert(*number)),
            PolicyStep::Detach { number } => drop(self.attached.remove(number)),
            PolicyStep::Delete { number } | PolicyStep::Remove { number } => {
                self.policies.remove(number);
                self.attached.remove(number);
            }
        }
    }

    /// What is in the documents. One that is not of our form holds nothing that is kept.
    fn documents(&self) -> BTreeMap<usize, Resources> {
        self.policies.iter().map(|(&number, policy)| (number, policy.resources.clone().unwrap_or_default())).collect()
    }
}
