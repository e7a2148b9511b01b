//! Signs a database token, to try the plugin in a server by hand.
//!
//! ```text
//! cargo run --example sign -- HOST:PORT USER ACCESS_KEY SECRET REGION DATE [PARAMETER=VALUE ...]
//! ```
//!
//! `DATE` is `20260101T000000Z`, as `date -u +%Y%m%dT%H%M%SZ` prints it. A parameter such as
//! `X-Amz-Security-Token=...` or `X-Amz-Expires=60` is added or replaced before signing.

use std::env;
use std::process::ExitCode;

#[path = "../tests/support/mod.rs"]
mod support;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, user, access_key, secret, region, date, parameters @ ..] = &arguments[..] else {
        eprintln!("usage: sign HOST:PORT USER ACCESS_KEY SECRET REGION DATE [PARAMETER=VALUE ...]");
        return ExitCode::FAILURE;
    };
    let mut signer = support::Signer::new(host, user, access_key, secret, region, date);
    for (name, value) in parameters.iter().filter_map(|parameter| parameter.split_once('=')) {
        signer = signer.with(name, value);
    }
    println!("{}", signer.sign());
    ExitCode::SUCCESS
}
