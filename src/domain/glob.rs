//! The globs of tenancy rules: `*` stands for any run of characters, everything else for itself.

/// Whether `text` matches `pattern` whole. `*` matches any run of characters, the empty one included.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    matches_where(pattern, text, |_| true)
}

/// As [`matches()`], but `*` never matches a `/`: a rule for `role/shop-*` must not admit `role/shop-x/admin`,
/// because IAM attaches by the *name* behind the last slash.
#[must_use]
pub fn matches_segment(pattern: &str, text: &str) -> bool {
    matches_where(pattern, text, |byte| byte != b'/')
}

/// Greedy matching with one point to come back to: linear for one star, and never worse than pattern x text.
fn matches_where(pattern: &str, text: &str, star_takes: impl Fn(u8) -> bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star.filter(|&(_, star_t)| star_takes(text[star_t])) {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
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
