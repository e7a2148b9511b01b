//! Tags of managed policies: the operator's own marks, the tags that the DbServer asks for, and those of others, which are left alone.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;

use super::PolicyHome;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Says whose a policy is: the id of the cluster.
const CLUSTER: &str = "iamdb.dev/cluster";
const PRINCIPAL: &str = "iamdb.dev/principal";
/// Says which of the other tags were set by the operator: a digest of each key, since all keys would not fit into one value.
const KEYS: &str = "iamdb.dev/tags";

/// Characters that a tag's value may have.
const VALUE_LIMIT: usize = 256;

/// Hexadecimal digits of a key's digest: with a space between them, the 32 keys that the API allows fit into one value.
const DIGITS: usize = 7;

/// Whether a policy with these tags is of this cluster's operator.
#[must_use]
pub fn is_ours(tags: &Tags, cluster: &str) -> bool {
    tags.get(CLUSTER).is_some_and(|value| value == cluster)
}

/// The tags of a new policy: our marks, and what is asked for besides.
#[must_use]
pub fn tags_of_new(home: &PolicyHome, wanted: &Tags) -> Tags {
    changes(home, wanted, &Tags::new()).0
}

/// What is to be set and what is to be taken away. A tag that somebody else set stays as it is, even where its key is asked for.
pub(super) fn changes(home: &PolicyHome, wanted: &Tags, observed: &Tags) -> (Tags, BTreeSet<String>) {
    let set_before: BTreeSet<&str> = observed.get(KEYS).map(|keys| keys.split(' ').collect()).unwrap_or_default();
    let is_by_us = |key: &str| set_before.contains(digest_of(key).as_str());
    let is_asked = |key: &str| wanted.contains_key(key) && !is_mark(key);
    let asked: Tags = wanted
        .iter()
        .filter(|(key, _)| is_asked(key) && (!observed.contains_key(*key) || is_by_us(key)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut all = marks(home);
    if !asked.is_empty() || observed.contains_key(KEYS) {
        all.insert(KEYS.into(), asked.keys().map(|key| digest_of(key)).collect::<Vec<_>>().join(" "));
    }
    all.extend(asked);
    let unset = observed.keys().filter(|key| is_by_us(key) && !is_asked(key) && !is_mark(key)).cloned().collect();
    all.retain(|key, value| observed.get(key) != Some(value));
    (all, unset)
}

fn marks(home: &PolicyHome) -> Tags {
    [(MANAGED_BY, "iamdb-operator"), (CLUSTER, &home.cluster), (PRINCIPAL, &value(home.principal.arn().as_str()))]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn is_mark(key: &str) -> bool {
    key == MANAGED_BY || key.starts_with("iamdb.dev/")
}

/// Text that may be a tag's value: a path of a principal may be longer, and a name may have a comma.
fn value(text: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || "_.:/=+-@ ".contains(c);
    text.chars().map(|c| if allowed(c) { c } else { '_' }).take(VALUE_LIMIT).collect()
}

fn digest_of(key: &str) -> String {
    let mut text = hex::encode(&digest::digest(&digest::SHA256, key.as_bytes()).as_ref()[..4]);
    text.truncate(DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::home;
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The tags after the changes.
    fn after(wanted: &Tags, observed: &Tags) -> Tags {
        let (set, unset) = changes(&home(), wanted, observed);
        let mut now: Tags = observed.clone().into_iter().filter(|(key, _)| !unset.contains(key)).collect();
        now.extend(set);
        now
    }

    #[test]
    fn a_new_policy_carries_our_marks_and_what_is_asked_for() {
        let new = tags_of_new(&home(), &tags(&[("team", "shop"), ("iamdb.dev/cluster", "mine"), (MANAGED_BY, "me")]));
        assert!(is_ours(&new, &home().cluster), "no tag that is asked for overrides a mark");
        assert_eq!(new[MANAGED_BY], "iamdb-operator");
        assert_eq!(new["team"], "shop");
        assert_eq!(new[PRINCIPAL], home().principal.to_string());
        assert_eq!(tags_of_new(&home(), &Tags::new()).len(), 3, "no word of tags where none are asked for");
    }

    #[test]
    fn what_is_no_longer_asked_for_goes_and_foreign_tags_stay() {
        let first = after(&tags(&[("team", "shop"), ("cost", "1")]), &Tags::new());
        let mut now = first;
        now.insert("theirs".into(), "x".into());
        let now = after(&tags(&[("team", "web")]), &now);
        assert_eq!(
            (now.get("team"), now.get("cost"), now.get("theirs")),
            (Some(&"web".into()), None, Some(&"x".into()))
        );
    }

    #[test]
    fn a_foreign_tag_of_the_same_key_is_neither_overwritten_nor_taken_away() {
        let mut now = tags_of_new(&home(), &Tags::new());
        now.insert("team".into(), "theirs".into());
        let now = after(&tags(&[("team", "ours")]), &now);
        assert_eq!(now["team"], "theirs");
        assert_eq!(after(&Tags::new(), &now)["team"], "theirs");
    }

    #[test]
    fn a_mark_that_was_taken_away_or_changed_is_set_again() {
        let mut now = tags_of_new(&home(), &Tags::new());
        now.remove(PRINCIPAL);
        now.insert(MANAGED_BY.into(), "terraform".into());
        assert_eq!(after(&Tags::new(), &now), tags_of_new(&home(), &Tags::new()));
    }

    #[test]
    fn the_marks_of_any_principal_and_of_all_keys_are_values_that_iam_takes() {
        let keys: Tags = (0..32).map(|n| (format!("key {n}"), String::new())).collect();
        let home = PolicyHome {
            principal: format!("arn:aws:iam::123456789012:role/{}a,b", "path/".repeat(90)).parse().unwrap(),
            ..home()
        };
        for value in tags_of_new(&home, &keys).values() {
            assert!(value.len() <= VALUE_LIMIT && !value.contains(','), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_second_look_finds_nothing_to_do(
            first in prop::collection::btree_map("[a-d]", "[xy]", 0..4),
            foreign in prop::collection::btree_map("[a-f]", "[xyz]", 0..4),
            second in prop::collection::btree_map("[a-d]", "[xy]", 0..4),
        ) {
            let mut now = after(&first, &foreign);
            for (key, value) in &foreign {
                prop_assert_eq!(&now[key], value, "a foreign tag changed");
            }
            for wanted in [&second, &first] {
                now = after(wanted, &now);
                prop_assert_eq!(changes(&home(), wanted, &now), (Tags::new(), BTreeSet::new()));
                for (key, value) in &foreign {
                    prop_assert_eq!(&now[key], value, "a foreign tag changed");
                }
                for (key, value) in wanted.iter().filter(|(key, _)| !foreign.contains_key(*key)) {
                    prop_assert_eq!(&now[key], value);
                }
            }
        }
    }
}
