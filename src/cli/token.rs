//! `iamdb token`: what `aws rds generate-db-auth-token` does, by the signer of the operator.

use crate::app::{self, Signing};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Host name of the database's endpoint, as RDS names it: a token for any other name is refused by every database.
    #[arg(long)]
    hostname: String,
    /// Port of the endpoint.
    #[arg(long)]
    port: u16,
    /// The account to connect as, case included.
    #[arg(long)]
    username: String,
    /// Region of the database [default: the one of the AWS configuration].
    #[arg(long)]
    region: Option<String>,
    /// Profile of the AWS configuration to sign with.
    #[arg(long)]
    profile: Option<String>,
    /// Print on a second line until when the token can be relied on, RFC 3339: it dies with the credentials that signed it.
    #[arg(long)]
    expires_at: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let Self { hostname, port, username, region, profile, expires_at } = self;
        let signing = Signing { hostname, port, username, region, profile };
        let token = runtime.block_on(app::sign(signing)).map_err(|error| super::chain(&error))?;
        super::print(token.text.expose())?;
        if expires_at { super::print(&token.usable_until.to_string()) } else { Ok(()) }
    }
}
