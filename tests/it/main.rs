//! The integration tests: the operator in the test world, judged by its effects outside.
//!
//! `make it` starts the world and runs them. A test asks the apiserver, the databases, AWS and the logs that those keep, never the operator's
//! own word alone. Each has a namespace, a DbServer, a role and user names of its own, so that most run side by side; those that stop the
//! operator, break a server or count what everybody writes run alone ([`world::World::alone`]).

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends")]
#![allow(unreachable_pub, reason = "nothing here is for other crates; pub tells a module's face from its inside")]

mod forward;
mod operator;
mod tenant;
mod world;

mod accounts;
mod admins;
mod admission;
mod crash;
mod grants;
mod lifecycle;
