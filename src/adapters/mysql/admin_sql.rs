//! The statements that give the operator a login of its own with no more rights than it uses. A person runs them once, as the master user.

use std::collections::BTreeSet;

use super::sql::{self, Statement, Unquotable};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::{DatabaseName, RoleName, Username};
use crate::domain::privilege::Privilege;

/// What the login shall be able to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRights {
    /// Family of the server.
    pub engine: Engine,
    /// Whether `partial_revokes` is on, as it is on Aurora: then schema names in a GRANT are literal.
    pub partial_revokes: bool,
    /// Name of the login.
    pub username: Username,
    /// Databases on which it hands out privileges, and which.
    pub ceiling: Vec<(DatabaseName, Vec<Privilege>)>,
    /// Roles that it hands out.
    pub roles: BTreeSet<RoleName>,
}

/// The statements, in the order in which they are to be run, each ended by a semicolon.
///
/// # Errors
/// When a name cannot be quoted; parsed names always can.
pub fn admin_sql(rights: &AdminRights) -> Result<String, UnquotableName> {
    let facts = ServerFacts {
        engine: rights.engine,
        partial_revokes: rights.partial_revokes,
        folds_names: false,
        read_only: false,
        plugin_active: true,
    };
    let ceiling = rights
        .ceiling
        .iter()
        .map(|(database, privileges)| (facts.schema_pattern(database.as_str()), privileges.iter().copied().collect()));
    let statements = sql::admin_login(rights.engine, &rights.username, ceiling, &rights.roles)
        .map_err(|Unquotable| UnquotableName)?;
    let line = |statement: Statement| format!("{};\n", statement.text);
    Ok(statements.into_iter().map(line).collect())
}

/// A name cannot be written as a string in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name cannot be quoted")]
pub struct UnquotableName;

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(engine: Engine) -> AdminRights {
        AdminRights {
            engine,
            partial_revokes: false,
            username: Username::parse("iamdb_operator").unwrap(),
            ceiling: vec![(DatabaseName::parse("orders_prod").unwrap(), vec![Privilege::Select, Privilege::Insert])],
            roles: BTreeSet::new(),
        }
    }

    #[test]
    fn on_mysql_the_login_makes_users_reads_the_catalogue_and_hands_out_the_ceiling() {
        assert_eq!(
            admin_sql(&rights(Engine::MySql)).unwrap(),
            "CREATE USER 'iamdb_operator'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;\n\
             GRANT CREATE USER, PROCESS ON *.* TO 'iamdb_operator'@'%';\n\
             GRANT SELECT ON `mysql`.* TO 'iamdb_operator'@'%';\n\
             GRANT EXECUTE ON PROCEDURE `mysql`.`rds_kill` TO 'iamdb_operator'@'%';\n\
             GRANT SELECT, INSERT ON `orders\\_prod`.* TO 'iamdb_operator'@'%' WITH GRANT OPTION;\n"
        );
    }

    #[test]
    fn on_mariadb_it_also_keeps_its_own_table() {
        let text = admin_sql(&rights(Engine::MariaDb)).unwrap();
        assert!(
            text.contains(
                "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `iamdb\\_operator`.* TO 'iamdb_operator'@'%';\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_role_is_passed_on_by_whom_it_is_active_for() {
        let roles = [RoleName::parse("reader").unwrap()].into();
        let text = |engine| admin_sql(&AdminRights { roles: BTreeSet::clone(&roles), ..rights(engine) }).unwrap();
        assert!(text(Engine::MySql).ends_with(
            "GRANT 'reader'@'%' TO 'iamdb_operator'@'%' WITH ADMIN OPTION;\n\
             SET DEFAULT ROLE 'reader'@'%' TO 'iamdb_operator'@'%';\n"
        ));
        assert!(text(Engine::MariaDb).ends_with("GRANT 'reader' TO 'iamdb_operator'@'%' WITH ADMIN OPTION;\n"));
    }

    #[test]
    fn where_schema_names_are_literal_they_are_not_escaped() {
        let literal = AdminRights { partial_revokes: true, ..rights(Engine::MySql) };
        assert!(admin_sql(&literal).unwrap().contains("ON `orders_prod`.* "));
    }
}
