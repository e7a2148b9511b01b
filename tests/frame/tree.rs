//! The tree: sizes, ignored tests, and versions that are written in several places.

use crate::{files, no_complaints, text};

/// A file that a person can read in one sitting and keep in mind: longer ones have two jobs. Inline tests are not counted,
/// so nobody saves on them.
const LONGEST: usize = 500;

fn product_lines(text: &str) -> usize {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}

fn ignored(path: &str, text: &str) -> Vec<String> {
    // Put together here, so that this file does not complain of itself.
    let marks = [concat!("#[", "ignore"), concat!(", ", "ignore)]"), concat!("#[cfg", "(any())]")];
    let lines = text.lines().enumerate();
    let complaint = |(n, _): (usize, &str)| {
        format!("{path}:{}: a test that does not run protects nothing: repair or remove it", n + 1)
    };
    lines.filter(|(_, line)| marks.iter().any(|mark| line.contains(mark))).map(complaint).collect()
}

/// The value of the first line that begins so, without quotes.
fn value_of(path: &str, begin: &str) -> String {
    let text = text(path);
    let line = text.lines().find_map(|line| line.strip_prefix(begin));
    line.unwrap_or_else(|| panic!("{path} has no line that begins with {begin:?}")).trim().trim_matches('"').to_owned()
}

#[test]
fn every_source_file_can_be_read_in_one_sitting() {
    let mut complaints = Vec::new();
    for path in files("src", ".rs") {
        let lines = product_lines(&text(&path));
        if lines >= LONGEST {
            complaints
                .push(format!("{path} has {lines} lines without its tests; {LONGEST} are too many: it has two jobs"));
        }
    }
    no_complaints(&complaints);
}

#[test]
fn no_test_is_ignored() {
    let mut complaints = Vec::new();
    for path in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        complaints.extend(ignored(&path, &text(&path)));
    }
    no_complaints(&complaints);
}

#[test]
fn the_chart_has_the_version_of_the_crate() {
    let version = value_of("Cargo.toml", "version = ");
    assert_eq!(value_of("charts/iamdb-operator/Chart.yaml", "version:"), version);
    assert_eq!(value_of("charts/iamdb-operator/Chart.yaml", "appVersion:"), version);
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let toolchain = value_of("rust-toolchain.toml", "channel = ");
    let minor = toolchain.rsplit_once('.').unwrap().0.to_owned();
    let from = value_of("Dockerfile", "FROM ");
    assert!(
        from.starts_with(&format!("rust:{minor}")),
        "Dockerfile builds with {from}, rust-toolchain.toml says {toolchain}"
    );
    assert_eq!(value_of("Cargo.toml", "rust-version = "), minor);
}

#[test]
fn an_ignored_test_is_noticed() {
    for mark in [concat!("#[", "ignore]"), concat!("#[", "ignore = \"later\"]"), concat!("#[cfg_attr(ci, ", "ignore)]")]
    {
        assert_eq!(ignored("x.rs", &format!("#[test]\n{mark}\nfn f() {{}}")).len(), 1, "{mark}");
    }
}

#[test]
fn tests_do_not_count_as_length() {
    assert_eq!(product_lines("one\ntwo\n\n#[cfg(test)]\nmod tests {\n}\n"), 3);
}
