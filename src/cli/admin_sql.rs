//! `iamdb admin-sql`: the operator's own login in a database.

use clap::ValueEnum;

use crate::app;
use crate::domain::engine::Engine;
use crate::domain::names::{DatabaseName, RoleName, Username};
use crate::domain::privilege::Privilege;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run the output once as the master user, name the login in the DbServer (spec.admin.type Iam), and let the \
                        operator's role connect as it: iamdb policy --user NAME --resource-id ... \n\n\
                        Example: iamdb admin-sql --engine mysql --grant 'orders:SELECT,INSERT' --grant 'billing:SELECT'"
)]
pub(super) struct Args {
    /// Family of the server.
    #[arg(long, value_enum)]
    engine: EngineName,
    /// Name of the login.
    #[arg(long, default_value = "iamdb_operator")]
    username: String,
    /// A database and the privileges that the operator may hand out on it, as DATABASE:PRIVILEGE,PRIVILEGE. May be given several times.
    #[arg(long, required = true, value_parser = ceiling)]
    grant: Vec<(DatabaseName, Vec<Privilege>)>,
    /// A role that the operator may hand out. May be given several times. The login holds it too: servers let nobody pass on what he does not have.
    #[arg(long, value_parser = role)]
    role: Vec<RoleName>,
    /// The server has partial_revokes on, as Aurora MySQL has: schema names are literal there.
    #[arg(long)]
    partial_revokes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EngineName {
    /// RDS for MySQL, Aurora MySQL.
    Mysql,
    /// RDS for MariaDB.
    Mariadb,
}

impl Args {
    pub(super) fn run(self) -> Result<(), String> {
        let username =
            Username::parse(&self.username).map_err(|error| format!("--username {}: {error}", self.username))?;
        let engine = match self.engine {
            EngineName::Mysql => Engine::MySql,
            EngineName::Mariadb => Engine::MariaDb,
        };
        let text = app::operator_login_sql(
            engine,
            self.partial_revokes,
            username,
            self.grant,
            self.role.into_iter().collect(),
        );
        super::print(text.map_err(|error| error.to_string())?.trim_end())
    }
}

fn role(text: &str) -> Result<RoleName, String> {
    RoleName::parse(text).map_err(|error| format!("{text} {error}"))
}

fn ceiling(text: &str) -> Result<(DatabaseName, Vec<Privilege>), String> {
    let (database, privileges) = text.split_once(':').ok_or("must be DATABASE:PRIVILEGE,PRIVILEGE")?;
    let database = DatabaseName::parse(database).map_err(|error| format!("{database} {error}"))?;
    let parse = |words: &str| {
        Privilege::of_sql(words.trim())
            .ok_or_else(|| format!("{words} is outside the list of privileges that can be granted"))
    };
    Ok((database, privileges.split(',').map(parse).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_is_a_database_and_privileges_from_the_closed_list() {
        let (database, privileges) = ceiling("orders:SELECT,CREATE VIEW").unwrap();
        assert_eq!((database.as_str(), privileges), ("orders", vec![Privilege::Select, Privilege::CreateView]));
        for (text, named) in [("orders", "DATABASE:"), ("mysql:SELECT", "system schema"), ("orders:SUPER", "SUPER")] {
            let message = ceiling(text).unwrap_err();
            assert!(message.contains(named), "{text}: {message}");
        }
    }
}
