//! AWS behind the [`ports`](crate::ports).
//!
//! | module | job |
//! |---|---|
//! | `clients` | one HTTPS pool and one identity for all; a client for each Region and account |
//! | `role` | the operator as a role of another account |
//! | `rds` | DB instances, clusters, proxies, blue/green deployments |
//! | `secrets` | administrators' logins in Secrets Manager |
//! | `sts` | sessions of roles |
//! | `iam` | policies and what they are attached to |
//! | `quotas` | what IAM allows an account |
//! | `own` | the operator's own credentials |
//! | `classify` | what an error of the SDK means |

mod classify;
mod clients;
mod iam;
mod own;
mod quotas;
mod rds;
mod role;
mod secrets;
mod sts;

pub use clients::Aws;
pub use iam::IamPolicies;
pub use own::OwnCredentials;
pub use quotas::IamQuotas;
pub use rds::{Rds, RdsDeployments, RdsProxies};
pub use secrets::SecretsManager;
pub use sts::StsSessions;
