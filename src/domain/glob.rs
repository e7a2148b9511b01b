//! The globs of tenancy rules: `*` stands for any run of characters, everything else for itself. And the patterns of SQL.

/// Whether `text` matches `pattern` whole. `*` matches any run of characters, the empty one included.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    matches_where(&glob(pattern), text, |_| true)
}

/// As [`matches()`], but `*` never matches a `/`: a rule for `role/shop-*` must not admit `role/shop-x/admin`,
/// because IAM attaches by the *name* behind the last slash.
#[must_use]
pub fn matches_segment(pattern: &str, text: &str) -> bool {
    matches_where(&glob(pattern), text, |byte| byte != b'/')
}

/// Whether `text` matches a pattern of SQL whole: `%` is any run of characters, `_` any one, and a backslash takes that from them.
#[must_use]
pub fn like(pattern: &str, text: &str) -> bool {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'%' => Token::Run,
            b'_' => Token::One,
            b'\\' => Token::Byte(bytes.next().unwrap_or(b'\\')),
            byte => Token::Byte(byte),
        });
    }
    matches_where(&tokens, text, |_| true)
}

/// How many characters stand before the first wildcard of a pattern of SQL, which is what makes it specific; without one it is more so than any other.
#[must_use]
pub fn literal_length(pattern: &str) -> usize {
    let (mut length, mut bytes) = (0, pattern.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' | b'_' => return length,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
        length += 1;
    }
    usize::MAX
}

/// A piece of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Any run of characters.
    Run,
    /// Any one character.
    One,
    /// This one.
    Byte(u8),
}

fn glob(pattern: &str) -> Vec<Token> {
    pattern.bytes().map(|byte| if byte == b'*' { Token::Run } else { Token::Byte(byte) }).collect()
}

/// Greedy matching with one point to come back to: linear for one run, and never worse than pattern x text.
fn matches_where(pattern: &[Token], text: &str, run_takes: impl Fn(u8) -> bool) -> bool {
    let text = text.as_bytes();
    let (mut p, mut t) = (0, 0);
    let mut run: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), run) {
            (Some(Token::Run), _) => {
                run = Some((p, t));
                p += 1;
            }
            (Some(Token::One), _) => (p, t) = (p + 1, t + 1),
            (Some(Token::Byte(byte)), _) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            (_, Some((run_p, run_t))) if run_takes(text[run_t]) => {
                run = Some((run_p, run_t + 1));
                (p, t) = (run_p + 1, run_t + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|token| *token == Token::Run)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_matches_any_run_and_nothing_else_is_special() {
        assert!(matches("app_*", "app_orders"));
        assert!(matches("*", ""));
        assert!(matches("a*b*c", "a--b--b--c"));
        assert!(!matches("app_*", "appXorders"), "the underscore stands for itself");
        assert!(!matches("orders%", "orders_eu"), "the percent sign stands for itself");
        assert!(!matches("orders", "ORDERS"));
        assert!(!matches("a*b", "a"));
    }

    #[test]
    fn patterns_of_sql_have_two_wildcards_and_an_escape() {
        for (pattern, text) in
            [("mysq_", "mysql"), ("%", "mysql"), ("my%l", "mysql"), ("a\\_b", "a_b"), ("a\\\\b", "a\\b")]
        {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("orders\\_prod", "ordersXprod"), ("mysql_", "mysql"), ("*", "mysql")] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn in_a_segment_a_star_stops_at_the_slash() {
        let pattern = "arn:aws:iam::111122223333:role/shop-*";
        assert!(matches_segment(pattern, "arn:aws:iam::111122223333:role/shop-app"));
        assert!(!matches_segment(pattern, "arn:aws:iam::111122223333:role/shop-x/admin"));
        assert!(matches_segment("a/*/c", "a/b/c"));
        assert!(!matches_segment("*", "a/b"));
    }

    proptest! {
        #[test]
        fn a_pattern_without_stars_matches_only_itself(text in "[a-z/%_]{0,12}", other in "[a-z/%_]{0,12}") {
            prop_assert!(matches(&text, &text));
            prop_assert_eq!(matches(&text, &other), text == other);
        }

        #[test]
        fn replacing_a_run_by_a_star_still_matches(head in "[a-z]{0,6}", run in "[a-z]{0,6}", tail in "[a-z]{0,6}") {
            let pattern = format!("{head}*{tail}");
            let text = format!("{head}{run}{tail}");
            prop_assert!(matches(&pattern, &text));
        }
    }
}
