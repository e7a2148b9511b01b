//! Databases behind [`Databases`](crate::ports::Databases): MySQL and MariaDB over sqlx.
//!
//! | module | job |
//! |---|---|
//! | `databases` | dials, verifies, logs in; one session a server at a time |
//! | `session` | runs statements under a deadline: observe, apply, close |
//! | `probe` | logs in only to prove that a token can |
//! | `catalogue` | what the rows of an answer mean |
//! | `sql` | every statement there is; the only module with SQL text |
//! | `admin_sql` | the statements that give the operator a login of its own |
//! | `classify` | what an error means, by the phase that it came from |

mod admin_sql;
mod catalogue;
mod classify;
mod databases;
mod probe;
mod session;
mod sql;

pub use admin_sql::{AdminRights, UnquotableName, admin_sql};
pub use databases::{Deadlines, MySqlDatabases};
