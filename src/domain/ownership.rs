//! Marks of ownership: how the operator knows its own accounts again, after a crash, a restore or a re-creation.

use serde::{Deserialize, Serialize};

/// Who owns an account. Written into the database together with the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Whether the account was there before and was adopted: it is dropped only where the object itself says so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub adopted: bool,
}

impl Owner {
    /// Reads a mark; none where it is no mark of this operator's. Whoever can set attributes could write anything there, and what a mark says is told
    /// to people.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mark: Self = serde_json::from_str(text).ok()?;
        let is_word = |word: &str| {
            (1..=253).contains(&word.len())
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let words = [&mark.cluster, &mark.server, &mark.namespace, &mark.name, &mark.uid];
        let is_one = words.into_iter().all(|word| is_word(word));
        is_one.then_some(mark)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The object that meets marks, and how it knows the server's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claimant {
    /// The mark that it would leave.
    pub owner: Owner,
    /// Further resource ids of this very server: it had them until lately, or gets them at any moment.
    pub further_servers: Vec<String>,
    /// Whether this server was restored from another one of this cluster, whose marks are to be taken over.
    pub accepts_restored: bool,
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

impl Claimant {
    /// Reads a mark. `is_alive` tells whether the IamDbUser that a mark names may still exist.
    #[must_use]
    pub fn claim(&self, mark: &Owner, is_alive: impl Fn(&Owner) -> bool) -> Claim {
        let owner = &self.owner;
        if mark.cluster != owner.cluster {
            return Claim::Other(OtherOwner::Cluster(mark.cluster.clone()));
        }
        let is_current = mark.server == owner.server;
        if mark.uid == owner.uid {
            // An object never leaves its server, so another id is one that the server had, however long ago.
            return if is_current { Claim::Mine } else { Claim::MineAgain };
        }
        if !is_current && !self.further_servers.contains(&mark.server) {
            // The object that the mark names lives on the other server. Here its account is an inheritance.
            return if self.accepts_restored && mark.namespace == owner.namespace {
                Claim::MineAgain
            } else {
                Claim::Other(OtherOwner::Server(mark.server.clone()))
            };
        }
        if (&mark.namespace, &mark.name) == (&owner.namespace, &owner.name) && !is_alive(mark) {
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
            adopted: false,
        }
    }

    fn claimant() -> Claimant {
        Claimant { owner: owner(), further_servers: vec!["db-0".into()], accepts_restored: false }
    }

    #[test]
    fn a_mark_is_words_and_nothing_else() {
        let text = serde_json::to_string(&owner()).unwrap();
        assert_eq!(Owner::read(&text), Some(owner()));
        for strange in ["", "two words", "<b>", "x".repeat(254).as_str()] {
            let mark = serde_json::to_string(&Owner { name: strange.into(), ..owner() }).unwrap();
            assert_eq!(Owner::read(&mark), None, "{strange}");
        }
    }

    #[test]
    fn a_restored_server_is_taken_over_by_objects_of_the_same_namespace_alone() {
        let claimant = Claimant { accepts_restored: true, ..claimant() };
        let mark = Owner { server: "db-other".into(), uid: "u9".into(), ..owner() };
        assert_eq!(claimant.claim(&mark, |_| true), Claim::MineAgain);
        let elsewhere = Owner { namespace: "other".into(), ..mark };
        assert_eq!(claimant.claim(&elsewhere, |_| false), Claim::Other(OtherOwner::Server("db-other".into())));
    }

    #[test]
    fn an_object_knows_its_own_mark() {
        assert_eq!(claimant().claim(&owner(), |_| true), Claim::Mine);
    }

    #[test]
    fn a_mark_of_a_dead_namesake_is_taken_over() {
        let mark = Owner { uid: "u0".into(), ..owner() };
        assert_eq!(claimant().claim(&mark, |_| false), Claim::MineAgain);
        assert_eq!(
            claimant().claim(&mark, |mark| mark.uid == "u0"),
            Claim::Other(OtherOwner::Object("shop/orders".into()))
        );
    }

    #[test]
    fn other_objects_clusters_and_servers_keep_what_is_theirs() {
        let other = |mark: Owner| claimant().claim(&mark, |_| false);
        assert_eq!(
            other(Owner { name: "x".into(), uid: "u2".into(), ..owner() }),
            Claim::Other(OtherOwner::Object("shop/x".into()))
        );
        assert_eq!(other(Owner { cluster: "c2".into(), ..owner() }), Claim::Other(OtherOwner::Cluster("c2".into())));
        let elsewhere = Owner { server: "db-2".into(), uid: "u2".into(), ..owner() };
        assert_eq!(other(elsewhere), Claim::Other(OtherOwner::Server("db-2".into())));
    }

    #[test]
    fn marks_of_a_former_or_coming_id_of_the_server_are_its_own() {
        let moved = Owner { server: "db-0".into(), ..owner() };
        assert_eq!(claimant().claim(&moved, |_| true), Claim::MineAgain);
        let others = Owner { uid: "u2".into(), name: "x".into(), ..moved };
        assert_eq!(claimant().claim(&others, |_| false), Claim::Other(OtherOwner::Object("shop/x".into())));
    }

    #[test]
    fn an_object_knows_its_own_mark_under_an_id_that_is_long_forgotten() {
        let frozen = Owner { server: "db-long-ago".into(), ..owner() };
        assert_eq!(claimant().claim(&frozen, |_| true), Claim::MineAgain);
    }

    #[test]
    fn a_restored_server_takes_over_the_marks_of_its_cluster_alone() {
        let restored = Claimant { accepts_restored: true, ..claimant() };
        let mark = Owner { server: "db-2".into(), name: "x".into(), uid: "u2".into(), ..owner() };
        assert_eq!(restored.claim(&mark, |_| true), Claim::MineAgain);
        let elsewhere = Owner { cluster: "c2".into(), ..mark };
        assert_eq!(restored.claim(&elsewhere, |_| false), Claim::Other(OtherOwner::Cluster("c2".into())));
        let neighbour = Owner { name: "x".into(), uid: "u2".into(), ..owner() };
        assert!(matches!(restored.claim(&neighbour, |_| true), Claim::Other(OtherOwner::Object(_))));
    }

    #[test]
    fn a_mark_tells_of_an_adoption_and_says_nothing_otherwise() {
        let plain = serde_json::to_string(&owner()).unwrap();
        assert!(!plain.contains("adopted"), "{plain}");
        assert_eq!(serde_json::from_str::<Owner>(&plain).unwrap(), owner());
        let adopted = Owner { adopted: true, ..owner() };
        assert_eq!(serde_json::from_str::<Owner>(&serde_json::to_string(&adopted).unwrap()).unwrap(), adopted);
    }
}
