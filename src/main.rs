//! `iamdb`: the operator and its tools.

use std::process::ExitCode;

use clap::Parser;

/// Gives back to the kernel what a burst took; glibc's keeps it (docs/decisions/0013).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // One TLS provider for everything: Kubernetes, AWS and the databases. An error says that it is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    iamdb::cli::Cli::parse().run()
}
