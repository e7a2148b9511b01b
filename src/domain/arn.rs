//! Amazon Resource Names, as far as accounts, principals and policies need them.

use std::fmt;

/// A parsed ARN: `arn:partition:service:region:account:resource`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn {
    text: String,
    /// Where the account begins and ends, and where the resource begins.
    partition: (usize, usize),
    account: (usize, usize),
    resource: usize,
}

/// The text is not an ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ARN")]
pub struct NotAnArn;

impl Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`, ...
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.text[self.partition.0..self.partition.1]
    }

    /// The account, 12 digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.text[self.account.0..self.account.1]
    }

    /// All that follows the account.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.text[self.resource..]
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Arn {
    type Err = NotAnArn;

    fn from_str(text: &str) -> Result<Self, NotAnArn> {
        let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at).take(5).collect();
        let &[first, second, third, fourth, fifth] = colons.as_slice() else {
            return Err(NotAnArn);
        };
        let arn = Self {
            text: text.to_owned(),
            partition: (first + 1, second),
            account: (fourth + 1, fifth),
            resource: fifth + 1,
        };
        let account_is_one = arn.account().len() == 12 && arn.account().bytes().all(|b| b.is_ascii_digit());
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        if &text[..first] == "arn"
            && arn.partition().starts_with("aws")
            && third > second + 1
            && account_is_one
            && !arn.resource().is_empty()
            && printable
        {
            Ok(arn)
        } else {
            Err(NotAnArn)
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An IAM role, user or group that a policy can be attached to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    arn: Arn,
    kind: PrincipalKind,
}

/// The kinds of principals that policies attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// An IAM role.
    Role,
    /// An IAM user.
    User,
    /// An IAM group.
    Group,
}

/// The ARN is not of a role, user or group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of an IAM role, user or group")]
pub struct NotAPrincipal;

impl Principal {
    /// The ARN.
    #[must_use]
    pub const fn arn(&self) -> &Arn {
        &self.arn
    }

    /// Role, user or group.
    #[must_use]
    pub const fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// The name behind the last slash: what IAM's calls take.
    #[must_use]
    pub fn name(&self) -> &str {
        self.arn.resource().rsplit('/').next().unwrap_or_default()
    }

    /// Whether AWS reserves the path, so that nobody else can attach to it (service-linked and SSO roles).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let resource = self.arn.resource();
        resource.starts_with("role/aws-service-role/") || resource.starts_with("role/aws-reserved/")
    }
}

impl std::str::FromStr for Principal {
    type Err = NotAPrincipal;

    fn from_str(text: &str) -> Result<Self, NotAPrincipal> {
        let arn: Arn = text.parse().map_err(|_| NotAPrincipal)?;
        let kind = match arn.resource().split_once('/') {
            Some(("role", _)) => PrincipalKind::Role,
            Some(("user", _)) => PrincipalKind::User,
            Some(("group", _)) => PrincipalKind::Group,
            _ => return Err(NotAPrincipal),
        };
        let principal = Self { arn, kind };
        let is_iam = text.split(':').nth(2) == Some("iam") && text.split(':').nth(3) == Some("");
        if is_iam && !principal.name().is_empty() { Ok(principal) } else { Err(NotAPrincipal) }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.arn.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart() {
        let arn: Arn = "arn:aws-cn:rds:cn-north-1:123456789012:db:orders".parse().unwrap();
        assert_eq!(arn.partition(), "aws-cn");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.resource(), "db:orders");
    }

    #[test]
    fn what_is_not_an_arn_is_refused() {
        for text in [
            "",
            "arn",
            "arn:aws:iam::12:role/x",
            "arn:aws:iam::123456789012:",
            "urn:aws:iam::123456789012:role/x",
            "arn:gcp:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::12345678901a:role/x",
        ] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }

    #[test]
    fn principals_are_roles_users_and_groups() {
        let role: Principal = "arn:aws:iam::123456789012:role/team/shop-app".parse().unwrap();
        assert_eq!((role.kind(), role.name()), (PrincipalKind::Role, "shop-app"));
        let user: Principal = "arn:aws:iam::123456789012:user/jane".parse().unwrap();
        assert_eq!((user.kind(), user.name()), (PrincipalKind::User, "jane"));
        for text in [
            "arn:aws:iam::123456789012:policy/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:role/x",
            "arn:aws:iam::123456789012:root",
        ] {
            assert!(text.parse::<Principal>().is_err(), "{text}");
        }
    }

    #[test]
    fn reserved_roles_are_known() {
        let reserved = |text: &str| text.parse::<Principal>().unwrap().is_reserved();
        assert!(reserved("arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"));
        assert!(reserved("arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_x"));
        assert!(!reserved("arn:aws:iam::123456789012:role/app"));
    }
}
