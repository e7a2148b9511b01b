//! The repository's rules, held by reading its own files. No network, no cluster, no world.

#[test]
fn the_frame_stands() {
    assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs").is_file());
}
