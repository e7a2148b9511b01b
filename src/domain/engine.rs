//! What kind of server it is, and the settings of it that decide how a statement must be written.

/// The server families that IAM database authentication exists for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// RDS for MySQL.
    MySql,
    /// RDS for MariaDB.
    MariaDb,
}

impl Engine {
    /// The engine of RDS's `Engine` field, or none when it is not of this family.
    #[must_use]
    pub fn of_rds(engine: &str) -> Option<Self> {
        match engine {
            "mysql" | "aurora-mysql" => Some(Self::MySql),
            "mariadb" => Some(Self::MariaDb),
            _ => None,
        }
    }

    /// The scheme of a connection URI: what the drivers of both families take.
    #[must_use]
    pub const fn uri_scheme(self) -> &'static str {
        "mysql"
    }

    /// The provider in a service binding.
    #[must_use]
    pub const fn provider(self) -> &'static str {
        match self {
            Self::MySql => "rds-mysql",
            Self::MariaDb => "rds-mariadb",
        }
    }
}

/// What a server says of itself on a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent settings of a server, each a yes or no")]
pub struct ServerFacts {
    /// The family that the version text tells.
    pub engine: Engine,
    /// Whether `partial_revokes` is on: then a schema name in a GRANT is literal, and an escaped one grants nothing.
    pub partial_revokes: bool,
    /// Whether the server folds database names to lower case.
    pub folds_names: bool,
    /// Whether the server takes no writes: a replica, or a writer that has just failed over.
    pub read_only: bool,
    /// Whether `AWSAuthenticationPlugin` is loaded and active.
    pub plugin_active: bool,
}

impl ServerFacts {
    /// The name as the server stores it.
    #[must_use]
    pub fn fold(&self, database: &str) -> String {
        if self.folds_names { database.to_ascii_lowercase() } else { database.to_owned() }
    }

    /// The pattern that a schema-level GRANT must name, so that it opens this database and no other. Without
    /// `partial_revokes` (and always on MariaDB) `_` and `%` are wildcards there, and a backslash takes that from them.
    #[must_use]
    pub fn schema_pattern(&self, database: &str) -> String {
        let literal = self.fold(database);
        if self.partial_revokes { literal } else { literal.replace('_', "\\_").replace('%', "\\%") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(partial_revokes: bool, folds_names: bool) -> ServerFacts {
        ServerFacts { engine: Engine::MySql, partial_revokes, folds_names, read_only: false, plugin_active: true }
    }

    #[test]
    fn a_schema_name_is_escaped_exactly_when_it_would_be_a_pattern() {
        assert_eq!(facts(false, false).schema_pattern("orders_prod"), "orders\\_prod");
        assert_eq!(facts(true, false).schema_pattern("orders_prod"), "orders_prod");
        assert_eq!(facts(false, false).schema_pattern("orders-prod"), "orders-prod");
    }

    #[test]
    fn names_are_folded_where_the_server_folds_them() {
        assert_eq!(facts(true, true).schema_pattern("Orders"), "orders");
        assert_eq!(facts(true, false).schema_pattern("Orders"), "Orders");
    }
}
