//! IAM's wildcards.

/// Whether `text` fits `pattern`, where `*` stands for any characters or none and `?` for exactly one. Nothing escapes
/// them.
///
/// It remembers only the last `*`, so the time is bounded by the product of the lengths, whatever the pattern.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                // Let the last star swallow one character more.
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let fits = [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("a*c", "ac"),
            ("a*c", "abbc"),
            ("a?c", "abc"),
            ("**", ""),
            ("*a*b*", "xaxbx"),
            ("ab*ab", "abab"),
            ("a*a*a", "aaaa"),
            ("?", "é"),
            ("*b", "aab"),
            ("??*", "ab"),
        ];
        for (pattern, text) in fits {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        let differs = [
            ("", "a"),
            ("a", ""),
            ("a", "A"),
            ("?", ""),
            ("a?c", "ac"),
            ("ab*ab", "ab"),
            ("*b", "ba"),
            ("a*", "ba"),
            ("a*b", "a"),
            ("??", "é"),
        ];
        for (pattern, text) in differs {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = format!("{}b", "a*".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(5_000)));
    }

    #[test]
    fn wildcards_in_the_text_are_plain_characters() {
        assert!(matches("a*", "a*"));
        assert!(!matches("abc", "a*"));
        assert!(!matches("abc", "a?c"));
    }
}
