//! Text that must never be seen: tokens, passwords, session keys.

use zeroize::Zeroizing;

/// A secret text. It has no `Display` and no `Serialize`, its `Debug` says nothing, and its memory, which is no more than the text, is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Takes hold of a text that is secret from here on.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into().into_boxed_str()))
    }

    /// The text itself. Every use of it is a place to look at when a leak is feared.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_output_does_not_show_the_text() {
        assert_eq!(format!("{:?}", Some(Secret::new("canary"))), "Some(<redacted>)");
    }
}
