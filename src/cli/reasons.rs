//! `iamdb reasons`: the page that explains every reason, from the one list of them.

use crate::api::Reason;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    #[allow(clippy::unused_self, reason = "every command is run so")]
    pub(super) fn run(self) -> Result<(), String> {
        super::print(page().trim_end())
    }
}

fn page() -> String {
    let row = |reason: &Reason| format!("| `{reason}` | {} | {} |", reason.meaning().trim(), reason.what_to_do());
    let rows: Vec<String> = Reason::ALL.iter().map(row).collect();
    format!("{HEAD}\n| reason | what it means | what to do |\n|---|---|---|\n{}\n", rows.join("\n"))
}

const HEAD: &str = "# Reasons\n\n\
    Made by `make reasons` from `src/api/reason.rs`. The same word stands in a condition, in the Event and in the metrics; the message beside it \
    names the\nfield, host or principal. [conditions.md](conditions.md) says which conditions there are.\n\n\
    What is broken outside is tried again within 30 seconds. What only a change of an object can mend waits for that change. What somebody has\n\
    to decide is looked at again at each resync (5 minutes).\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_that_of_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reasons.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == page(), "docs/reasons.md is out of date: run `make reasons`");
    }
}
