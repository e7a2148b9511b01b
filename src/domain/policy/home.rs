//! Where the policies of a principal are, and what they are called.

use std::fmt;

use aws_lc_rs::digest;

use crate::domain::arn::Principal;

/// What the API and the status call policies in the principal itself. A path begins with a slash, so it is none.
const INLINE: &str = "inline";

/// The path of managed policies, where nobody names another.
#[must_use]
pub fn default_path(cluster: &str) -> String {
    format!("/iamdb/{cluster}/")
}

/// Where policies are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Managed policies under an IAM path, with a slash at both ends, attached to the principal.
    Path(String),
    /// In the principal itself.
    Inline,
}

impl Place {
    /// Reads what [`fmt::Display`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == INLINE { Self::Inline } else { Self::Path(text.to_owned()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path(path) => path,
            Self::Inline => INLINE,
        })
    }
}

/// The policies of one principal in one place: what one writer keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyHome {
    /// The principal.
    pub principal: Principal,
    /// Where they are.
    pub place: Place,
    /// Id of the cluster, for names and tags.
    pub cluster: String,
}

impl PolicyHome {
    /// Name of the n-th policy, counted from 1. Names of managed policies are unique per account, whatever the path, and names are all that marks an
    /// inline policy: so everything that makes a home is in them.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        format!("{}{number}", self.name_prefix())
    }

    /// The number in the name of a policy of this home.
    #[must_use]
    pub fn number_of_name(&self, name: &str) -> Option<usize> {
        let number = name.strip_prefix(&self.name_prefix())?.parse().ok()?;
        (self.name(number) == name).then_some(number)
    }

    /// What the n-th policy is called where names must be unique: the ARN of a managed policy; an inline one has none and is named behind its
    /// principal.
    #[must_use]
    pub fn id(&self, number: usize) -> String {
        let arn = self.principal.arn();
        match &self.place {
            Place::Path(path) => {
                format!("arn:{}:iam::{}:policy{path}{}", arn.partition(), arn.account(), self.name(number))
            }
            Place::Inline => format!("{arn}/{}", self.name(number)),
        }
    }

    /// The number in the ARN of a policy of this home.
    #[must_use]
    pub fn number(&self, arn: &str) -> Option<usize> {
        let number = self.number_of_name(arn.rsplit('/').next()?)?;
        (self.id(number) == arn).then_some(number)
    }

    /// IAM path of the policies; the root for inline ones, which have none.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.place {
            Place::Path(path) => path,
            Place::Inline => "/",
        }
    }

    fn name_prefix(&self) -> String {
        let whole = format!("{}\n{}\n{}", self.cluster, self.principal, self.place);
        let hash = digest::digest(&digest::SHA256, whole.as_bytes());
        let cluster: String = self.cluster.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        format!("iamdb-{cluster}-{}-", hex::encode(&hash.as_ref()[..6]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(principal: &str, place: &str, cluster: &str) -> PolicyHome {
        PolicyHome { principal: principal.parse().unwrap(), place: Place::parse(place), cluster: cluster.into() }
    }

    const ROLE: &str = "arn:aws:iam::123456789012:role/team/shop-app";

    #[test]
    fn names_lead_back_to_numbers() {
        let home = home(ROLE, "/iamdb/c1/", "0a1b2c3d-4e5f");
        assert_eq!(home.number(&home.id(1)), Some(1));
        assert_eq!(home.number(&home.id(12)), Some(12));
        assert_eq!(home.number(&home.id(1).replace("-1", "-01")), None);
        assert_eq!(home.number(&home.id(1).replace("/c1/", "/c2/")), None, "another path");
        assert_eq!(home.number("arn:aws:iam::aws:policy/AdministratorAccess"), None);
        assert!(home.id(1).starts_with("arn:aws:iam::123456789012:policy/iamdb/c1/iamdb-0a1b2c3d-"));
    }

    #[test]
    fn an_inline_policy_is_named_behind_its_principal() {
        let home = home(ROLE, "inline", "c");
        assert_eq!(home.id(2), format!("{ROLE}/{}", home.name(2)));
        assert_eq!(home.number_of_name(&home.name(2)), Some(2));
        assert_eq!(home.number_of_name("somebody-elses"), None);
        assert_eq!(home.place.to_string(), "inline");
    }

    #[test]
    fn homes_that_differ_in_anything_share_no_name() {
        // Names are unique per account; the first eight characters of a cluster's id are not.
        let all = [
            home(ROLE, "/iamdb/a/", "production-a"),
            home(ROLE, "/iamdb/a/", "production-b"),
            home(ROLE, "/other/", "production-a"),
            home(ROLE, "inline", "production-a"),
            home("arn:aws:iam::123456789012:user/team/shop-app", "/iamdb/a/", "production-a"),
        ];
        let names: std::collections::BTreeSet<_> = all.iter().map(|home| home.name(1)).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
    }
}
