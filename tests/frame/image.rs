//! The image: the Dockerfile and `make image` hold the same, because both run the same scripts and neither adds anything.

use std::collections::BTreeSet;

use crate::text;

/// The last stage of the Dockerfile, without comments.
fn last_stage(dockerfile: &str) -> Vec<String> {
    let (_, stage) = dockerfile.rsplit_once("\nFROM ").expect("stages");
    let lines = stage.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// What a folder of the root file system is called as a layer.
fn layers(pack: &str) -> Vec<String> {
    let line = pack.lines().find_map(|line| line.strip_prefix("LAYERS = ")).expect("image/pack names its layers");
    serde_json::from_str(line).expect("a list")
}

#[test]
fn the_dockerfile_adds_nothing_to_what_the_scripts_lay_out() {
    let dockerfile = text("Dockerfile");
    let stage = last_stage(&dockerfile);
    assert_eq!(stage[0], "scratch", "the image begins empty");
    let copied: Vec<_> = stage.iter().filter(|line| line.starts_with("COPY ") || line.starts_with("ADD ")).collect();
    let wanted: Vec<_> =
        layers(&text("image/pack")).iter().map(|layer| format!("COPY --from=build /rootfs/{layer}/ /")).collect();
    assert_eq!(copied, wanted.iter().collect::<Vec<_>>());
    assert!(!stage.iter().any(|line| line.starts_with("RUN ")), "the last stage runs nothing");
}

#[test]
fn the_dockerfile_builds_from_what_the_build_reads() {
    let (dockerfile, ignored) = (text("Dockerfile"), text(".dockerignore"));
    let words = dockerfile.lines().take_while(|line| !line.starts_with("FROM scratch"));
    let words = words.filter_map(|line| line.strip_prefix("COPY ")).flat_map(|paths| {
        let (from, _) = paths.rsplit_once(' ').expect("from and to");
        from.split(' ')
    });
    let copied: BTreeSet<_> = words.collect();
    let sent: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!(copied, sent, "what is copied, and what .dockerignore lets through");
    for read in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "build.rs", "src", "image"] {
        assert!(copied.contains(read), "the build reads {read}");
    }
}

#[test]
fn both_ways_to_the_image_run_the_same_scripts() {
    let (dockerfile, makefile) = (text("Dockerfile"), text("Makefile"));
    let make_image = makefile.split("\n\n").find(|rule| rule.contains("\nimage: ")).expect("the target `image`");
    for script in ["image/build ", "image/rootfs "] {
        assert!(dockerfile.contains(script), "the Dockerfile does not run {script}");
        assert!(make_image.contains(script), "`make image` does not run {script}");
    }
}

#[test]
fn the_image_does_not_run_as_root() {
    let stage = last_stage(&text("Dockerfile"));
    let user = stage.iter().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    let deployment = text("charts/iamdb-operator/templates/deployment.yaml");
    let (user, group) = user.split_once(':').expect("user and group");
    assert!(
        deployment.contains(&format!("runAsUser: {user}\n")) && deployment.contains(&format!("runAsGroup: {group}\n"))
    );
    assert_ne!((user, group), ("0", "0"));
}
