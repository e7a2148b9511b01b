//! Where the operator acts: in all namespaces, or in named ones alone.

use std::collections::BTreeSet;

use super::names::is_dns_label;

/// Where the operator acts. Nothing of another namespace is watched, read or written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// In all namespaces, those to come included.
    #[default]
    Everywhere,
    /// In these alone.
    Only(BTreeSet<String>),
}

impl Reach {
    /// These namespaces; all of them, where none is named.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        if names.is_empty() { Self::Everywhere } else { Self::Only(names) }
    }

    /// Whether a namespace is one of them.
    #[must_use]
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Only(names) => names.contains(namespace),
        }
    }
}

/// The name of a namespace. An empty one is none: else a list that somebody forgot to fill would open everything.
///
/// # Errors
/// When no namespace can have that name.
pub fn namespace(text: &str) -> Result<String, NotANamespace> {
    if is_dns_label(text) { Ok(text.to_owned()) } else { Err(NotANamespace) }
}

/// A text that no namespace can have as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no namespace can be called that: 1 to 63 small letters, digits and - within")]
pub struct NotANamespace;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_names_it_acts_everywhere_and_else_nowhere_but_there() {
        assert!(Reach::of([]).holds("shop"));
        let reach = Reach::of(["shop".to_owned(), "web".to_owned()]);
        assert!(reach.holds("shop") && reach.holds("web"));
        assert!(!reach.holds("shop2") && !reach.holds(""));
    }

    #[test]
    fn what_can_be_no_namespace_is_refused() {
        assert_eq!(namespace("team-a1"), Ok("team-a1".to_owned()));
        for text in ["", "-a", "a-", "A", "a_b", "a.b", "*", &"x".repeat(64)] {
            assert_eq!(namespace(text), Err(NotANamespace), "{text}");
        }
    }
}
