//! Stand-in for `AWSAuthenticationPlugin`, the server plugin behind IAM database authentication on RDS and Aurora.
//!
//! One shared object that MySQL 8.0 and 9 and MariaDB 10.11 and 11 load under the real plugin's name. At each login it
//! checks what AWS would check and says in a log why it refused. It is part of the test world only, and shares no code
//! with the product: a mistake in the product's token or policy code must not be repeated here.
//!
//! `cargo build --release` makes `libworld_auth_plugin.so`. In the server's `plugin_dir` it is called
//! `AWSAuthenticationPlugin.so`, and it can come and go while the server runs:
//!
//! ```text
//! INSTALL PLUGIN AWSAuthenticationPlugin SONAME 'AWSAuthenticationPlugin.so';
//! UNINSTALL PLUGIN AWSAuthenticationPlugin;
//! ```
//!
//! | variable in the server's environment | meaning |
//! |---|---|
//! | `WORLD_AUTH_CONFIG` | the configuration, read anew at every login |
//! | `WORLD_AUTH_LOG` | one JSON line a login; standard error (the server's error log) when absent |
//!
//! The log has `time`, `endpoint`, `user`, `principal`, `accepted` and `reason`; `endpoint` and `principal` are `null`
//! as long as they are not known. It never holds a token, a key or a signature.
//!
//! # Map
//!
//! | file | job | unsafe | I/O |
//! |---|---|---|---|
//! | `abi/mod.rs` | layouts that both servers share | | |
//! | `abi/mariadb.rs`, `abi/mysql.rs` | each server's descriptors and exported symbols | yes | |
//! | `exchange.rs` | speaks to the client through the server; no panic gets past it | yes | socket |
//! | `socket.rs` | is the connection TLS, and at which address did it arrive | yes | socket |
//! | `login.rs` | reads clock and configuration, has the login judged and logged | | files |
//! | `journal.rs` | the log line | | files |
//! | [`config`] | the configuration file | | |
//! | [`verdict`] | the closed list of reasons | | |
//! | [`verify`] | **the checks, in their order** | | |
//! | `presigned.rs` | a token's shape: a presigned URL without its scheme | | |
//! | `sigv4.rs` | the signature of a presigned URL | | |
//! | `policy.rs` | does a principal's policy allow `rds-db:connect` on a database user | | |
//! | `wildcard.rs`, `percent.rs`, `calendar.rs` | `*` and `?`, percent-encoding, dates | | |
//! | `tests/support` | a signer of tokens that shares nothing with the files above; `examples/sign.rs` is its command | | |
//!
//! # What it does not do
//!
//! It evaluates no condition key and no policy variable. A statement with one is undecided: an `Allow` then does not
//! count and a `Deny` does. It knows no service control policies and no permission boundaries: the configuration holds
//! the effective statements.

mod abi;
mod calendar;
pub mod config;
mod exchange;
mod journal;
mod login;
mod percent;
mod policy;
mod presigned;
mod sigv4;
mod socket;
pub mod verdict;
pub mod verify;
mod wildcard;
