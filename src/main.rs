//! `iamdb`: the operator and its tools.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // One TLS provider for everything: Kubernetes, AWS and the databases. An error says that it is set already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    iamdb::cli::Cli::parse().run()
}
