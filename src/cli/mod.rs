//! The commands of `iamdb`.

mod crds;
mod run;

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
}

impl Cli {
    /// Runs the command that was asked for.
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Run(args) => args.run(),
            Command::Crds(args) => args.run(),
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

#[allow(clippy::print_stderr, reason = "a command tells why it failed")]
fn tell(message: &str) {
    eprintln!("iamdb: {message}");
}
