//! Names that come from users: parsed once, correct ever after.

use std::fmt;

/// Whether a text is one label of a DNS name, as namespaces are called too: 1 to 63 small letters, digits and `-` within.
pub(super) fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Name of an IAM account in the database. Case is kept and matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

/// Why a text is no username.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUsername {
    /// Empty, too long, or with a character outside letters, digits, `_`, `.` and `-`.
    #[error("must be 1 to 32 letters, digits, _, . or -, and begin with a letter, digit or _")]
    Malformed,
    /// One of the names that the operator never touches.
    #[error("is reserved by the server, by RDS or by the operator")]
    Protected,
}

impl Username {
    /// Parses a name and refuses those that no tenant may have.
    ///
    /// # Errors
    /// [`NotAUsername`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NotAUsername> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let well_formed = (1..=32).contains(&text.len()) && text.bytes().all(ok) && !text.starts_with(['.', '-']);
        if !well_formed {
            return Err(NotAUsername::Malformed);
        }
        if is_protected(text) {
            return Err(NotAUsername::Protected);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a role in the database, as a tenant may ask for it: none of RDS's own, nor of the server's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleName(String);

impl RoleName {
    /// Parses a name; what no account of a tenant may be called is no role of a tenant either.
    ///
    /// # Errors
    /// [`NotAUsername`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NotAUsername> {
        Username::parse(text).map(|Username(name)| Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether no IamDbUser may ever have this name, whatever the case it is written in. The master user and the operator's own
/// login come on top of this list; they are known only when the server is.
#[must_use]
pub fn is_protected(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "" | "root" | "event_scheduler" | "public")
        || ["mysql.", "mariadb.", "rds", "aws_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Host pattern of an account, as the server stores it: lower case, netmasks kept as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPattern(String);

/// The text is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 lower-case letters, digits or . : / _ % -")]
pub struct NotAHostPattern;

impl HostPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When the text is empty, too long, or has another character.
    pub fn parse(text: &str) -> Result<Self, NotAHostPattern> {
        let ok = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b':' | b'/' | b'_' | b'%' | b'-')
        };
        if (1..=255).contains(&text.len()) && text.bytes().all(ok) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAHostPattern)
        }
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name on which accounts of MariaDB carry a grant that marks them. There is no such database.
pub const MARK_SCHEMA: &str = "iamdb_operator_mark";

/// Schemas of the server's, of RDS's and of the operator's own, in lower case.
pub const SYSTEM_SCHEMAS: [&str; 8] =
    ["mysql", "information_schema", "performance_schema", "sys", "innodb", "tmp", "iamdb_operator", MARK_SCHEMA];

/// Literal name of a database that grants may be on: never a system schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseName(String);

/// Why a text is no database that grants may be on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADatabase {
    /// Empty, too long, or with a character outside letters, digits, `_`, `$` and `-`.
    #[error("must be 1 to 64 letters, digits, _, $ or -")]
    Malformed,
    /// A schema of the server's own, or the operator's.
    #[error("is a system schema")]
    System,
}

impl DatabaseName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NotADatabase`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NotADatabase> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-');
        if !(1..=64).contains(&text.len()) || !text.bytes().all(ok) {
            return Err(NotADatabase::Malformed);
        }
        // Folded before the comparison: a server that folds names stores `MySQL` as `mysql`.
        if SYSTEM_SCHEMAS.contains(&text.to_ascii_lowercase().as_str()) {
            return Err(NotADatabase::System);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Literal name of a table, view or stored routine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName(String);

/// The text is no name of a table or routine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, _, $ or -")]
pub struct NotAnObject;

impl ObjectName {
    /// Parses a name.
    ///
    /// # Errors
    /// When the text is empty, too long, or has another character.
    pub fn parse(text: &str) -> Result<Self, NotAnObject> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(ok) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnObject)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usernames_keep_their_case() {
        assert_eq!(Username::parse("App_Orders.v2-x").unwrap().as_str(), "App_Orders.v2-x");
        assert_ne!(Username::parse("app").unwrap(), Username::parse("App").unwrap());
    }

    #[test]
    fn malformed_usernames_are_refused() {
        for text in ["", "a'b", "a b", "a`b", "-a", ".a", "ü", "a\0b", "a%", &"x".repeat(33)] {
            assert_eq!(Username::parse(text), Err(NotAUsername::Malformed), "{text:?}");
        }
        assert!(Username::parse(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn reserved_usernames_are_refused_in_any_case() {
        for text in [
            "root",
            "Root",
            "rdsadmin",
            "RDSproxyadmin",
            "mysql.sys",
            "MariaDB.sys",
            "AWS_LAMBDA",
            "event_scheduler",
            "PUBLIC",
        ] {
            assert_eq!(Username::parse(text), Err(NotAUsername::Protected), "{text}");
        }
    }

    #[test]
    fn host_patterns_are_lower_case() {
        for text in ["%", "10.1.%", "10.1.16.0/255.255.240.0", "10.1.0.0/16", "app-1.internal", "::1"] {
            assert!(HostPattern::parse(text).is_ok(), "{text}");
        }
        for text in ["", "App.internal", "a b", "'", "a\\b", "@"] {
            assert_eq!(HostPattern::parse(text), Err(NotAHostPattern), "{text}");
        }
    }

    #[test]
    fn system_schemas_are_refused_in_any_case() {
        for text in [
            "mysql",
            "MySQL",
            "sys",
            "information_schema",
            "performance_schema",
            "IamDB_Operator",
            MARK_SCHEMA,
            "innodb",
            "tmp",
        ] {
            assert_eq!(DatabaseName::parse(text), Err(NotADatabase::System), "{text}");
        }
        for text in ["", "a.b", "a`b", "*", "%", "a\\_b", "ü"] {
            assert_eq!(DatabaseName::parse(text), Err(NotADatabase::Malformed), "{text}");
        }
        assert!(DatabaseName::parse("orders_prod").is_ok());
    }

    proptest! {
        #[test]
        fn no_parsed_name_can_end_a_quotation(text in any::<String>()) {
            let dangerous = |name: &str| name.contains(['\'', '"', '`', '\\', '\0', ' ', ';']);
            if let Ok(name) = Username::parse(&text) { prop_assert!(!dangerous(name.as_str())); }
            if let Ok(host) = HostPattern::parse(&text) { prop_assert!(!dangerous(host.as_str())); }
            if let Ok(database) = DatabaseName::parse(&text) { prop_assert!(!dangerous(database.as_str())); }
            if let Ok(object) = ObjectName::parse(&text) { prop_assert!(!dangerous(object.as_str())); }
        }
    }
}
