//! A role, and all that is said when it is asked for.

use super::arn::Principal;

/// A role that is assumed for a namespace. What stands here beside the role is set by the operator and never by a spec, and is part of every cache
/// key: the role's trust policy decides by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Assume {
    /// The role.
    pub role: Principal,
    /// `<cluster id>/<namespace>`: the role's trust policy says which namespace may have it.
    pub external_id: String,
    /// Session tags; none unless they are switched on, because a trust policy without `sts:TagSession` refuses them.
    pub tags: Vec<(String, String)>,
}

impl Assume {
    /// The role as a namespace of this cluster gets it.
    #[must_use]
    pub fn new(role: Principal, cluster_id: &str, namespace: &str, is_tagged: bool) -> Self {
        let tags = [("iamdb-cluster", cluster_id), ("iamdb-namespace", namespace)];
        let tags = tags.into_iter().filter(|_| is_tagged).map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self { role, external_id: format!("{cluster_id}/{namespace}"), tags: tags.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_always_asked_for_by_cluster_and_namespace_and_tagged_only_where_that_is_switched_on() {
        let role: Principal = "arn:aws:iam::123456789012:role/app".parse().unwrap();
        let plain = Assume::new(role.clone(), "c1", "shop", false);
        assert_eq!((plain.external_id.as_str(), plain.tags.len()), ("c1/shop", 0));
        let tagged = Assume::new(role, "c1", "shop", true);
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(tagged.tags, [tag("iamdb-cluster", "c1"), tag("iamdb-namespace", "shop")]);
    }
}
