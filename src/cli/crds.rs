//! `iamdb crds`: the CustomResourceDefinitions, from the types that the operator reads them with.

use std::fs;
use std::path::PathBuf;

use crate::api;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder to write one file a kind into, instead of printing.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), String> {
        for (name, text) in files()? {
            match &self.dir {
                Some(dir) => {
                    let path = dir.join(name);
                    fs::create_dir_all(dir)
                        .and_then(|()| fs::write(&path, text))
                        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
                }
                None => super::print(&format!("---\n{}", text.trim_end()))?,
            }
        }
        Ok(())
    }
}

/// File name and text of each definition.
fn files() -> Result<Vec<(String, String)>, String> {
    let to_file =
        |definition: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
            let name = format!("{}.yaml", definition.metadata.name.clone().unwrap_or_default());
            let text = serde_saphyr::to_string(&definition).map_err(|error| format!("cannot write YAML: {error}"))?;
            Ok((name, text))
        };
    api::definitions().into_iter().map(to_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_definitions_are_those_of_the_types() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crds");
        let files = files().unwrap();
        assert_eq!(files.len(), 3);
        for (name, text) in files {
            let committed = fs::read_to_string(dir.join(&name)).unwrap_or_default();
            assert!(committed == text, "crds/{name} is out of date: run `make crds`");
        }
    }
}
