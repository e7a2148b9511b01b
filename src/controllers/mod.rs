//! The controllers: one folder a kind. They decide *what*; the rotation engine decides *when*.
//!
//! Each reconciles the same way: resolve (reads) -> desired (pure) -> observe (reads) -> plan (pure, data) -> apply (writes) -> status
//! (one place, only when it changed). An empty plan makes no call that writes.

mod bundles;
mod conditions;
mod context;
mod db_auth_token;
mod db_server;
mod iam_db_user;
mod looks;
mod not_ready;
mod policies;
mod problem;
mod refusals;
mod report;
mod run;
mod server;
mod trust;
mod wakes;

pub use bundles::Bundles;
pub use context::{Context, Feeds, Settings};
pub use iam_db_user::{Desks, Turnstile};
pub use looks::Looks;
pub use policies::Entitlements;
pub use refusals::Refusals;
pub use run::run_all;
