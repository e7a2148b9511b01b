//! Digests of what goes into something: to see that it changed.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// A digest of a list of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of these texts. Each goes in with its length: no two lists run together to the same bytes.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut hash = Context::new(&SHA256);
        for text in texts {
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        let mut digest = [0; 16];
        digest.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(digest)
    }

    /// The digest that a text tells. Another version may tell its own in another way: that is none of ours, and stands for itself.
    pub fn read(text: &str) -> Self {
        let mut digest = [0; 16];
        hex::decode_to_slice(text, &mut digest).map_or_else(|_| Self::of([text]), |()| Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written_and_has_not_changed_since_former_versions() {
        let digest = Digest::of(["a", "b"]);
        assert_eq!(digest.to_string(), "3c9d591045bc8876f9d0399bbfb05c6a");
        assert_eq!(Digest::read(&digest.to_string()), digest);
    }

    #[test]
    fn what_another_version_tells_is_another_digest() {
        assert_eq!(Digest::read("of tomorrow"), Digest::read("of tomorrow"));
        assert_ne!(Digest::read("of tomorrow"), Digest::read("3c9d591045bc8876f9d0399bbfb05c6a"));
    }

    #[test]
    fn no_two_lists_have_one_digest() {
        assert_ne!(Digest::of(["ab", "c"]), Digest::of(["a", "bc"]));
        assert_ne!(Digest::of(["ab"]), Digest::of(["ab", ""]));
    }
}
