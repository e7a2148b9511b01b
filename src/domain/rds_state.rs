//! The states of RDS's resources, as far as they are known: a word of RDS's gets into a status only if it is on these lists.

/// Whether a resource serves, and how its state is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// RDS's word; or ours, for one that is not known.
    pub word: &'static str,
    /// Whether logins can be expected to work.
    pub serves: bool,
}

/// States in which a DB instance or cluster takes logins.
const SERVING: &[&str] = &[
    "available",
    "backing-up",
    "configuring-associated-roles",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "delete-precheck",
    "insufficient-capacity",
    "maintenance",
    "modifying",
    "renaming",
    "resetting-master-credentials",
    "storage-config-upgrade",
    "storage-full",
    "storage-initialization",
    "storage-optimization",
    "update-iam-db-auth",
];

/// States in which it does not.
const DOWN: &[&str] = &[
    "backtracking",
    "cloning-failed",
    "converting-to-vpc",
    "creating",
    "deleting",
    "failed",
    "failing-over",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-create",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "migrating",
    "migration-failed",
    "moving-to-vpc",
    "preparing-data-migration",
    "promoting",
    "rebooting",
    "restore-error",
    "starting",
    "stopped",
    "stopping",
    "upgrading",
];

/// The same for proxies.
const PROXY_SERVING: &[&str] = &["available", "modifying"];
const PROXY_DOWN: &[&str] = &[
    "creating",
    "deleting",
    "incompatible-network",
    "insufficient-resource-limits",
    "reactivating",
    "suspended",
    "suspending",
];

/// The state of a DB instance or cluster.
#[must_use]
pub fn of_server(text: &str) -> State {
    find(text, SERVING, DOWN)
}

/// The state of a proxy.
#[must_use]
pub fn of_proxy(text: &str) -> State {
    find(text, PROXY_SERVING, PROXY_DOWN)
}

/// What is not known may serve: a login will tell.
fn find(text: &str, serving: &[&'static str], down: &[&'static str]) -> State {
    let known = |list: &[&'static str]| list.iter().find(|word| **word == text).copied();
    match (known(serving), known(down)) {
        (Some(word), _) => State { word, serves: true },
        (None, Some(word)) => State { word, serves: false },
        (None, None) => State { word: "in a state that this version does not know", serves: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_by_a_word_of_the_list_only() {
        assert_eq!(of_server("stopped"), State { word: "stopped", serves: false });
        assert_eq!(of_server("backing-up"), State { word: "backing-up", serves: true });
        let strange = of_server("canary");
        assert!(strange.serves && !strange.word.contains("canary"));
        assert_eq!(of_proxy("suspended"), State { word: "suspended", serves: false });
        assert!(of_proxy("modifying").serves);
    }

    #[test]
    fn no_state_is_on_both_lists() {
        assert!(SERVING.iter().all(|word| !DOWN.contains(word)));
        assert!(PROXY_SERVING.iter().all(|word| !PROXY_DOWN.contains(word)));
    }
}
