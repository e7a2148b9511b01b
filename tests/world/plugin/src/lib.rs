//! Stand-in for `AWSAuthenticationPlugin`, the server plugin behind IAM database authentication on RDS and Aurora.
//!
//! One shared object that MySQL 8.0 and 9 and MariaDB 10.11 and 11 load under the real plugin's name. At each login it
//! checks what AWS would check and says in a log why it refused. It is part of the test world only, and shares no code
//! with the product: a mistake in the product's token or policy code must not be repeated here.
//!
//! ```text
//! INSTALL PLUGIN AWSAuthenticationPlugin SONAME 'AWSAuthenticationPlugin.so';
//! ```
//!
//! | variable in the server's environment | meaning |
//! |---|---|
//! | `WORLD_AUTH_CONFIG` | the configuration, read anew at every login |
//! | `WORLD_AUTH_LOG` | one JSON line a login; standard error (the server's error log) when absent |
//!
//! # Map
//!
//! | file | job | unsafe | I/O |
//! |---|---|---|---|
//! | `abi` | layouts shared by both servers | | |
//! | `abi/mariadb.rs`, `abi/mysql.rs` | each server's descriptors and exported symbols | yes | |
//! | `exchange.rs` | speaks to the client through the server; no panic gets past it | yes | socket |
//! | `socket.rs` | is the connection TLS, and at which address did it arrive | yes | socket |
//! | `login.rs` | reads clock and configuration, decides, logs | | files |
//! | `journal.rs` | the log line | | files |
//! | [`config`] | the configuration file | | |
//! | [`verdict`] | the closed list of reasons | | |
//! | [`verify`] | **the checks, in order**; pure | | |
//! | [`presigned`] | a token's shape: a presigned URL without its scheme | | |
//! | [`sigv4`] | the signature of a presigned URL | | |
//! | [`policy`] | does a principal's policy allow `rds-db:connect` on an ARN | | |
//! | [`wildcard`], [`percent`], [`calendar`] | `*` and `?`, percent-encoding, dates | | |
//!
//! # What it does not do
//!
//! It evaluates no condition key and no policy variable. A statement with one is undecided: an `Allow` then does not
//! count and a `Deny` does. It knows no service control policies and no permission boundaries: the configuration holds
//! the effective statements.

mod abi;
pub mod calendar;
pub mod config;
mod exchange;
mod journal;
mod login;
pub mod percent;
pub mod policy;
pub mod presigned;
pub mod sigv4;
mod socket;
pub mod verdict;
pub mod verify;
pub mod wildcard;
