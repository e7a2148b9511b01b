//! `iamdb policy`: the `rds-db:connect` documents, in the very text that the operator writes.

use clap::ArgGroup;

use crate::domain::names::Username;
use crate::domain::policy::{ConnectArn, MANAGED_POLICY_LIMIT, ResourceId, Resources, documents};

#[derive(Debug, clap::Args)]
#[command(
    group(ArgGroup::new("users").required(true).args(["user", "any_user"])),
    group(ArgGroup::new("servers").required(true).args(["resource_id", "any_server"])),
    after_help = "Several --user and --resource-id give every pair of them. What does not fit into one document (6,144 characters) \
                  goes into further ones, one a line."
)]
pub(super) struct Args {
    /// An account, case included. May be given several times.
    #[arg(long)]
    user: Vec<String>,
    /// Every account, the master user's name excepted: it logs in with its password.
    #[arg(long)]
    any_user: bool,
    /// A server's resource id (DbiResourceId, DbClusterResourceId or prx-...), not its identifier. May be given several times.
    #[arg(long)]
    resource_id: Vec<ResourceId>,
    /// Every server of the account and Region, of every engine.
    #[arg(long)]
    any_server: bool,
    /// Region of the database.
    #[arg(long)]
    region: String,
    /// Account that owns the database.
    #[arg(long)]
    account: String,
    /// Partition: aws, aws-cn or aws-us-gov.
    #[arg(long, default_value = "aws")]
    partition: String,
}

impl Args {
    pub(super) fn run(self) -> Result<(), String> {
        for document in self.documents()? {
            super::print(&document)?;
        }
        Ok(())
    }

    fn documents(&self) -> Result<Vec<String>, String> {
        if self.account.len() != 12 || !self.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err("--account must be 12 digits".into());
        }
        let parse = |text: &String| Username::parse(text).map_err(|error| format!("--user {text}: {error}"));
        let users: Vec<Username> = self.user.iter().map(parse).collect::<Result<_, _>>()?;
        let users: Vec<Option<&Username>> = if self.any_user { vec![None] } else { users.iter().map(Some).collect() };
        let ids = self.resource_id.iter().map(|id| Some(id.as_str()));
        let servers: Vec<Option<&str>> = if self.any_server { vec![None] } else { ids.collect() };
        let arn = |server, user| ConnectArn::of_scope(&self.partition, &self.region, &self.account, server, user);
        let resources: Resources =
            servers.iter().flat_map(|server| users.iter().map(move |user| arn(*server, *user))).collect();
        Ok(documents(&resources, MANAGED_POLICY_LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn documents(args: &[&str]) -> Result<Vec<String>, String> {
        let fixed = ["policy", "--region", "us-east-1", "--account", "123456789012"];
        let command = Command::try_parse_from(fixed.iter().chain(args)).map_err(|error| error.to_string())?;
        command.args.documents()
    }

    #[test]
    fn the_document_is_the_one_that_the_operator_writes() {
        assert_eq!(
            documents(&["--user", "app", "--resource-id", "db-ABC"]).unwrap(),
            [
                r#"{"Statement":[{"Action":"rds-db:connect","Effect":"Allow","Resource":["arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABC/app"]}],"Version":"2012-10-17"}"#
            ]
        );
    }

    #[test]
    fn every_pair_of_users_and_servers_is_allowed() {
        let all = documents(&["--user", "a", "--user", "b", "--resource-id", "db-A", "--resource-id", "db-B"]).unwrap();
        assert_eq!(all[0].matches("dbuser:").count(), 4);
        assert!(documents(&["--any-user", "--any-server"]).unwrap()[0].contains("dbuser:*/*"));
        assert!(documents(&["--user", "a", "--any-server"]).unwrap()[0].contains("dbuser:*/a"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (args, named) in [
            (&["--user", "a"][..], "--resource-id"),
            (&["--resource-id", "db-A"], "--user"),
            (&["--user", "a", "--any-user", "--any-server"], "--any-user"),
            (&["--user", "a'b", "--any-server"], "--user a'b"),
            (&["--user", "a", "--resource-id", "orders"], "not the identifier"),
        ] {
            let message = documents(args).unwrap_err();
            assert!(message.contains(named), "{args:?}: {message}");
        }
    }
}
