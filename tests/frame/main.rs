//! The repository's rules, held by reading its own files. Needs no network, no cluster and no test world.
//!
//! | module | rule |
//! |---|---|
//! | `layers` | who may import whom, and where SQL text stands |
//! | `tree` | sizes, ignored tests, versions that are written in several places |
//! | `examples` | every example, in `examples/` and in the README, is one of our kinds and loses nothing when it is read |
//! | `chart` | the chart's rights and CRDs are those that are tested |
//! | `image` | the Dockerfile and `make image` hold the same |
//! | `docs` | commands, links and reasons that the documentation names exist |
//!
//! A rule that searches is a function from text to complaints, with a test that it complains and a test that the tree gives no cause.
//! A rule that compares two files is one assertion.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this is test code; the lints exempt only test functions"
)]

mod chart;
mod docs;
mod examples;
mod image;
mod layers;
mod source;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder whose names end so, as paths from the root, sorted. What is built or hidden is left out.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    assert!(!found.is_empty(), "no *{ending} below {folder}: the rule would hold nothing");
    found.sort();
    found
}

/// Fails with all complaints, one a line.
fn no_complaints(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}
