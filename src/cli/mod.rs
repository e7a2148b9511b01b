//! The commands of `iamdb`.

mod admin_sql;
mod aws_policy;
mod crds;
mod policy;
mod reasons;
mod run;
mod token;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// RDS IAM database authentication for Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "iamdb", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(run::Args),
    /// Print the CustomResourceDefinitions, or write them to a folder.
    Crds(crds::Args),
    /// Print the rds-db:connect policy that lets a principal connect as given accounts. Asks nobody: works offline.
    Policy(policy::Args),
    /// Print a token to connect with, like `aws rds generate-db-auth-token`, signed with the AWS credentials of whoever calls.
    Token(token::Args),
    /// Print the IAM policy that the operator itself needs, and no more.
    AwsPolicy(aws_policy::Args),
    /// Print the SQL that gives the operator a database login of its own, with no more rights than it uses.
    AdminSql(admin_sql::Args),
    /// Print the page that explains every reason.
    #[command(hide = true)]
    Reasons(reasons::Args),
}

impl Cli {
    /// Runs the command that was asked for.
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Run(args) => args.run(),
            Command::Crds(args) => args.run(),
            Command::Policy(args) => args.run(),
            Command::Token(args) => args.run(),
            Command::AwsPolicy(args) => args.run(),
            Command::AdminSql(args) => args.run(),
            Command::Reasons(args) => args.run(),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                tell(&message);
                ExitCode::FAILURE
            }
        }
    }
}

/// An error and what it came from, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Prints what a command was asked for.
fn print(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("cannot print: {error}"))
}

#[allow(clippy::print_stderr, reason = "a command tells why it failed")]
fn tell(message: &str) {
    eprintln!("iamdb: {message}");
}
