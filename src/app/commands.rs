//! What commands other than `run` ask of the adapters.

use std::collections::BTreeSet;

use super::WallClock;
use crate::adapters::aws::Aws;
use crate::adapters::mysql::{AdminRights, UnquotableName, admin_sql};
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::Engine;
use crate::domain::names::{DatabaseName, RoleName, Username};
use crate::domain::privilege::Privilege;
use crate::domain::token::{self, Connect, Token};
use crate::ports::{Clock as _, Fault, OwnIdentity as _};

/// The SQL that gives the operator a login with no more rights than it uses.
///
/// # Errors
/// When a name cannot be quoted; parsed names always can.
pub fn operator_login_sql(
    engine: Engine,
    partial_revokes: bool,
    username: Username,
    ceiling: Vec<(DatabaseName, Vec<Privilege>)>,
    roles: BTreeSet<RoleName>,
) -> Result<String, UnquotableName> {
    admin_sql(&AdminRights { engine, partial_revokes, username, ceiling, roles })
}

/// A token to sign with the AWS credentials of whoever runs the program.
#[derive(Clone, Debug)]
pub struct Signing {
    /// Host name of the endpoint.
    pub hostname: String,
    /// Its port.
    pub port: u16,
    /// The account.
    pub username: String,
    /// Region of the database; by default the one of the AWS configuration.
    pub region: Option<String>,
    /// Profile of the AWS configuration.
    pub profile: Option<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum CannotSign {
    /// No database would take it.
    #[error(
        "{0} is not an endpoint of RDS: a token must be signed for the name that RDS gave, whatever name is dialled"
    )]
    NoEndpoint(String),
    /// Neither the command line nor the AWS configuration names a Region.
    #[error("no Region: give --region, the Region of the database")]
    NoRegion,
    /// There are no credentials.
    #[error(transparent)]
    NoCredentials(#[from] Fault),
}

/// Signs a token.
///
/// # Errors
/// [`CannotSign`] says why there is none.
pub async fn sign(signing: Signing) -> Result<Token, CannotSign> {
    let endpoint = Endpoint::new(&signing.hostname, signing.port);
    let endpoint = endpoint.map_err(|_| CannotSign::NoEndpoint(signing.hostname))?;
    let aws = Aws::load(signing.profile).await;
    let region = signing.region.or_else(|| aws.region()).ok_or(CannotSign::NoRegion)?;
    let credentials = aws.own_identity().credentials().await?;
    let connect = Connect { region, endpoint, username: signing.username };
    Ok(token::sign(&credentials, &connect, WallClock.now()))
}
