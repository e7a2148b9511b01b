//! Marks of ownership: how the operator knows its own accounts again, after a crash, a restore or a re-creation.

use serde::{Deserialize, Serialize};

/// Who owns an account. Written into the database together with the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Id of the cluster that the operator runs in.
    pub cluster: String,
    /// Resource id of the server: a restored snapshot carries the marks of the server it was taken from.
    pub server: String,
    /// Namespace of the IamDbUser.
    pub namespace: String,
    /// Name of the IamDbUser.
    pub name: String,
    /// Uid of the IamDbUser.
    pub uid: String,
}

/// What a mark means to the object that meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The mark is this object's.
    Mine,
    /// The mark is of an object of the same name that is gone: re-created by GitOps, restored, or retained on purpose.
    MineAgain,
    /// Another object, cluster or server owns it.
    Other(OtherOwner),
}

/// Who else owns an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherOwner {
    /// Another object of this cluster, `namespace/name`.
    Object(String),
    /// An operator in another cluster, by its id.
    Cluster(String),
    /// The mark speaks of another server, by its resource id.
    Server(String),
}

impl std::fmt::Display for OtherOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object(name) => write!(f, "IamDbUser {name}"),
            Self::Cluster(id) => write!(f, "the operator of cluster {id}"),
            Self::Server(id) => write!(f, "a mark made on server {id}"),
        }
    }
}

impl Owner {
    /// Reads a mark against the object `self` speaks of. `is_alive` tells whether an IamDbUser of a uid still exists.
    #[must_use]
    pub fn claim(&self, mark: &Self, is_alive: impl Fn(&str) -> bool) -> Claim {
        if mark.cluster != self.cluster {
            Claim::Other(OtherOwner::Cluster(mark.cluster.clone()))
        } else if mark.server != self.server {
            Claim::Other(OtherOwner::Server(mark.server.clone()))
        } else if mark.uid == self.uid {
            Claim::Mine
        } else if (&mark.namespace, &mark.name) == (&self.namespace, &self.name) && !is_alive(&mark.uid) {
            Claim::MineAgain
        } else {
            Claim::Other(OtherOwner::Object(format!("{}/{}", mark.namespace, mark.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            cluster: "c1".into(),
            server: "db-1".into(),
            namespace: "shop".into(),
            name: "orders".into(),
            uid: "u1".into(),
        }
    }

    #[test]
    fn an_object_knows_its_own_mark() {
        assert_eq!(owner().claim(&owner(), |_| true), Claim::Mine);
    }

    #[test]
    fn a_mark_of_a_dead_namesake_is_taken_over() {
        let mark = Owner { uid: "u0".into(), ..owner() };
        assert_eq!(owner().claim(&mark, |_| false), Claim::MineAgain);
        assert_eq!(owner().claim(&mark, |uid| uid == "u0"), Claim::Other(OtherOwner::Object("shop/orders".into())));
    }

    #[test]
    fn other_objects_clusters_and_servers_keep_what_is_theirs() {
        let other = |mark: Owner| owner().claim(&mark, |_| false);
        assert_eq!(
            other(Owner { name: "x".into(), uid: "u2".into(), ..owner() }),
            Claim::Other(OtherOwner::Object("shop/x".into()))
        );
        assert_eq!(other(Owner { cluster: "c2".into(), ..owner() }), Claim::Other(OtherOwner::Cluster("c2".into())));
        assert_eq!(other(Owner { server: "db-2".into(), ..owner() }), Claim::Other(OtherOwner::Server("db-2".into())));
    }
}
