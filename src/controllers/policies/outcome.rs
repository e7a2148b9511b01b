//! What is there of a home after a round, and what that means for each who asks. Pure.

use std::collections::BTreeSet;

use crate::api::Reason;
use crate::controllers::problem::Problem;
use crate::domain::policy::{ConnectArn, ObservedPolicies, PolicyHome, Resources, inline_quota};

/// A home after a round.
pub(super) struct Outcome {
    pub(super) home: PolicyHome,
    /// Whether IAM told what is there, and did not contradict itself.
    pub(super) is_seen: bool,
    /// What is there: as it was told, and after each step that was taken.
    pub(super) policies: ObservedPolicies,
    /// What was wanted of it, by all.
    pub(super) wanted: Resources,
    /// What found no room in the principal.
    pub(super) left_over: Resources,
    /// The first thing that went wrong.
    pub(super) fault: Option<Problem>,
}

impl Outcome {
    pub(super) fn of(home: &PolicyHome) -> Self {
        Self {
            home: home.clone(),
            is_seen: false,
            policies: ObservedPolicies::default(),
            wanted: Resources::new(),
            left_over: Resources::new(),
            fault: None,
        }
    }

    /// What the policies are called that allow these resources; else why one of them is not allowed, or why more is.
    pub(super) fn grants(&self, resources: &Resources) -> Result<Vec<String>, Problem> {
        let mut numbers = BTreeSet::new();
        for resource in resources {
            let number = self.policies.allowing(resource).ok_or_else(|| self.why_not(resource))?;
            numbers.insert(number);
        }
        match &self.fault {
            Some(problem) if !self.besides(resources).is_empty() => Err(problem.clone()),
            _ => Ok(numbers.into_iter().map(|number| self.home.id(number)).collect()),
        }
    }

    /// Whether nothing is there any more of this account that nobody wants, attached or not; else why.
    pub(super) fn is_rid(&self, account: &str) -> Result<(), Problem> {
        match &self.fault {
            Some(problem) if !self.is_seen || self.is_left(account) => Err(problem.clone()),
            _ => Ok(()),
        }
    }

    /// What differs, of what concerns one object: others' accounts are none of its namespace's business.
    pub(super) fn drift(&self, resources: &Resources) -> Vec<String> {
        let principal = &self.home.principal;
        let missing = resources.iter().filter(|arn| self.policies.allowing(arn).is_none());
        let missing = missing.map(|arn| format!("{principal} may not connect to {}", arn.as_str()));
        let besides = self.besides(resources).into_iter();
        missing.chain(besides.map(|arn| format!("{principal} may connect to {} besides", arn.as_str()))).collect()
    }

    /// What is allowed as the same users, and nobody wants: a user of that name on another server may be somebody else's.
    fn besides(&self, resources: &Resources) -> BTreeSet<&ConnectArn> {
        let users: BTreeSet<&str> = resources.iter().map(ConnectArn::user).collect();
        let is_surplus =
            |arn: &&ConnectArn| users.contains(arn.user()) && !resources.contains(*arn) && !self.wanted.contains(*arn);
        self.policies.named().filter(is_surplus).filter(|arn| self.policies.allowing(arn).is_some()).collect()
    }

    /// What a document of ours that somebody edited allows is not known, so it counts as all.
    fn is_left(&self, account: &str) -> bool {
        let is_surplus = |arn: &ConnectArn| arn.user() == account && !self.wanted.contains(arn);
        let mut ours = self.policies.policies.values().filter(|policy| policy.is_ours);
        ours.any(|policy| policy.resources.as_ref().is_none_or(|it| it.iter().any(is_surplus)))
    }

    fn why_not(&self, resource: &ConnectArn) -> Problem {
        if self.left_over.contains(resource) {
            let principal = &self.home.principal;
            let message = format!(
                "the inline policies of {principal} may have {} characters together, and others' have {}: no room for {}",
                inline_quota(principal.kind()),
                self.policies.foreign_inline,
                resource.as_str()
            );
            return Problem::standing(Reason::QuotaExceeded, message);
        }
        self.fault.clone().unwrap_or_else(|| {
            let message = format!("{} may not connect to {}", self.home.principal, resource.as_str());
            Problem::standing(Reason::Drifted, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::{ObservedPolicy, Place};

    fn resources(names: &[&str]) -> Resources {
        let arn = |name: &&str| ConnectArn::parse(&format!("arn:aws:rds-db:us-east-1:123456789012:dbuser:{name}"));
        names.iter().map(|name| arn(name).unwrap()).collect()
    }

    fn policy(allowed: &[&str]) -> ObservedPolicy {
        ObservedPolicy { is_ours: true, resources: Some(resources(allowed)), ..ObservedPolicy::default() }
    }

    /// A home where all of this is wanted, and all of that is allowed by a policy that is attached.
    fn outcome(wanted: &[&str], allowed: &[&str]) -> Outcome {
        let principal = "arn:aws:iam::123456789012:role/app".parse().unwrap();
        let home = PolicyHome { principal, place: Place::Inline, cluster: "c".into() };
        let mut outcome = Outcome { is_seen: true, wanted: resources(wanted), ..Outcome::of(&home) };
        outcome.policies.policies.insert(1, policy(allowed));
        outcome.policies.attached.insert(1);
        outcome
    }

    fn refused() -> Problem {
        Problem::passing(Reason::AccessDenied, "delete policy version: AccessDenied")
    }

    #[test]
    fn what_another_server_wants_for_the_same_name_is_no_drift() {
        let all = ["db-A/app", "db-B/app", "db-OLD/app", "db-A/other"];
        let outcome = outcome(&["db-A/app", "db-B/app"], &all);
        let told = outcome.drift(&resources(&["db-A/app"]));
        assert!(told.len() == 1 && told[0].contains("db-OLD/app besides"), "{told:?}");
    }

    #[test]
    fn a_right_that_cannot_be_taken_away_is_told_to_who_has_it() {
        let mut outcome = outcome(&["db-A/app", "db-A/other"], &["db-A/app", "db-OLD/app", "db-A/other"]);
        outcome.fault = Some(refused());
        assert_eq!(outcome.grants(&resources(&["db-A/app"])), Err(refused()));
        assert!(outcome.grants(&resources(&["db-A/other"])).is_ok(), "it has no more than it shall");
        outcome.policies.policies.insert(2, policy(&["db-A/app"]));
        outcome.policies.attached = [2].into();
        assert!(outcome.grants(&resources(&["db-A/app"])).is_ok(), "a policy that is not attached lets nobody in");
    }

    #[test]
    fn what_fails_beside_it_keeps_nobody_from_leaving() {
        let with_fault = |wanted: &[&str], allowed: &[&str]| {
            let outcome = outcome(wanted, allowed);
            Outcome { fault: Some(refused()), ..outcome }
        };
        assert_eq!(with_fault(&["db-A/other"], &["db-A/other"]).is_rid("app"), Ok(()), "a tag was refused");
        assert_eq!(with_fault(&["db-B/app"], &["db-B/app"]).is_rid("app"), Ok(()), "another server's");
        assert_eq!(with_fault(&["db-A/other"], &["db-A/other", "db-A/app"]).is_rid("app"), Err(refused()));
        assert_eq!(with_fault(&[], &["db-A/*"]).is_rid("*"), Err(refused()));
        let mut detached = with_fault(&[], &["db-A/app"]);
        detached.policies.attached.clear();
        assert_eq!(detached.is_rid("app"), Err(refused()), "it may be attached elsewhere");
        let mut edited = with_fault(&["db-A/other"], &[]);
        edited.policies.policies.entry(1).or_default().resources = None;
        assert_eq!(edited.is_rid("app"), Err(refused()), "nobody knows what it allows");
        let unseen = Outcome { is_seen: false, ..with_fault(&[], &[]) };
        assert_eq!(unseen.is_rid("app"), Err(refused()), "absence is concluded from a read alone");
    }
}
