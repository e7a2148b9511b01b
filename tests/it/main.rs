//! The integration tests: the operator in the test world, judged by its effects outside.
//!
//! `make it` starts the world and runs them. A test asks the apiserver, the databases, AWS and the logs that those keep, never the operator's
//! own word alone. Each has a namespace, a DbServer, a role and user names of its own, so that most run side by side; those that stop the
//! operator, break a server or count what everybody writes run alone ([`world::World::alone`]).

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_in_result, reason = "a test that cannot go on ends")]
#![allow(unreachable_pub, reason = "nothing here is for other crates; pub tells a module's face from its inside")]

/// Each test twice: on MySQL and on MariaDB.
macro_rules! on_both {
    ($($name:ident,)+) => {
        mod on_mysql { $(#[tokio::test] async fn $name() { super::$name(super::Database::Orders).await; })+ }
        mod on_mariadb { $(#[tokio::test] async fn $name() { super::$name(super::Database::Billing).await; })+ }
    };
}

mod aws;
mod effects;
mod fields;
mod forward;
mod narrowed;
mod operator;
mod replica;
mod tenant;
mod world;

// Tests begin in the order of their names: the one that takes minutes goes first, and all others beside it.
#[path = "rotation.rs"]
mod a_rotation;
mod accounts;
mod admins;
mod admission;
mod bundles;
mod claims;
mod clients;
mod clusters;
mod consumers;
mod crash;
mod crash_iam;
mod deletion;
mod drift;
mod endings;
mod folding;
mod grants;
mod identities;
mod injection;
mod leadership;
mod leaks;
mod lifecycle;
mod logins;
mod modes;
mod neighbours;
mod oracle;
mod policies;
mod policy_drift;
mod policy_forms;
mod policy_scale;
mod quiet;
mod restart;
mod roles;
mod scale;
mod servers;
mod shapes;
mod simulated;
mod sources;
mod switchover;
mod takeover;
mod tenancy;
mod token_faults;
mod tokens;
mod versions;
// And last the one that looks back at what all others made the operator ask for.
#[path = "rights.rs"]
mod z_rights;
