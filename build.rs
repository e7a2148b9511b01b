//! What the linker is told of a release.

#![allow(clippy::disallowed_methods, reason = "cargo tells a build script of its target by the environment alone")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|it| it == value);
    // The addresses that are filled in when the program starts are listed in 15 kB instead of 1.3 MB, all of which is read then and stays in memory. glibc
    // understands that from 2.36, the one of Debian 12.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
