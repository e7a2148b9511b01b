//! The rotation engine: keeps every Secret that was ordered alive, one write a rotation.
//!
//! Controllers decide *what* stands in a Secret and place an [`Order`]; the engine decides *when* it is written. It runs on its own clock and
//! queue: a watch that is dead, a controller that is busy or an object that cannot be reconciled does not stop it. The Secret itself is the
//! record, so a restart reads its annotations and signs nothing anew that is alive.
//!
//! | file | job | I/O |
//! |---|---|---|
//! | `order` | what is ordered, and how it goes | none |
//! | `book` | who is due, and what a turn writes | none |
//! | `credentials` | one set of credentials an identity, renewed in time | Kubernetes, STS |
//! | `known` | what is remembered of Secrets | none |
//! | `logins` | logins with what was published, beside the rotation | databases |
//! | `marks` | what stands on a Secret so that it is known for ours | none |
//! | `sight` | what is known of a Secret before it is written | Kubernetes |
//! | `write` | the one conditional write | Kubernetes |
//! | `writers` | how many write at the same time, and who need not wait | none |
//! | `engine` | the loop that brings them together | all |

mod book;
mod credentials;
mod engine;
mod known;
mod logins;
mod marks;
mod order;
#[cfg(test)]
mod sample;
mod sight;
mod write;
mod writers;

pub use credentials::CredentialCache;
pub use engine::{Engine, Parts};
pub use known::TokenSecret;
pub use logins::Logins;
pub use marks::Marks;
pub use order::{Identity, LoginFinding, ObjectName, Order, Owner, Problem, Progress, SecretRef, TokenKey, Verify};
pub use sight::Sight;
