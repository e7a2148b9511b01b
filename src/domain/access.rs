//! The way into the AWS account of a database.

use super::arn::Principal;

/// Region and account of a database, and through whom the operator gets at them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// Region of the database.
    pub region: String,
    /// Role of the database's account that the operator assumes; none where that account is its own.
    pub role: Option<AccountRole>,
}

impl Access {
    /// The operator's own account.
    #[must_use]
    pub fn own(region: &str) -> Self {
        Self { region: region.to_owned(), role: None }
    }

    /// The same account in another Region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), role: self.role.clone() }
    }
}

/// A role by which the operator acts in another account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountRole {
    /// The role.
    pub role: Principal,
    /// What its trust policy asks for, beside the operator's own name.
    pub external_id: Option<String>,
}
