//! The benchmark: the operator in the test world, beside a bare loop of the same writes, in one run.
//!
//! `make bench` takes all figures and writes docs/performance.md; `make bench-gate` takes a few at a small size and fails when one is worse than
//! it was. Requests are counted in the apiserver's audit log, time and memory are the kernel's: nothing is the operator's own word.
//!
//! | module | job |
//! |---|---|
//! | `audit` | what the apiserver was asked, and when it had answered |
//! | `process` | CPU time and memory of processes |
//! | `operator` | the process of an operator |
//! | `peer` | another operator, and what it is asked to do |
//! | `plane` | the apiserver as the bench sees it, and the meters of a run |
//! | `fleet` | the objects: one DbServer, users, tokens |
//! | `raw` | the bare loop |
//! | `accounts` | accounts on a real MySQL |
//! | `scenes` | what is measured, one function a figure |
//! | `latency` | how long a new token waits for its Secret |
//! | `schedule` | half an hour of rotations, each at its time |
//! | `crowd` | one namespace with very many tokens |
//! | `silence` | databases that do not answer |
//! | `figures` | the figures, as they are kept |
//! | `charts` | the figures as lines: docs/performance/*.svg |
//! | `report` | the JSON, and docs/performance.md from it |
//! | `beside` | a peer's figures beside ours, a section of it |
//! | `gate` | what may not become worse |

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_in_result, reason = "a benchmark that cannot go on ends")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "progress and the table are its output")]
#![allow(unreachable_pub, reason = "nothing here is for other crates; pub tells a module's face from its inside")]
#![allow(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]

mod accounts;
mod audit;
mod beside;
mod charts;
mod crowd;
mod figures;
mod fleet;
#[allow(dead_code, reason = "the integration tests spoil more than the benchmark does")]
#[path = "../it/forward.rs"]
mod forward;
mod gate;
mod latency;
mod operator;
mod peer;
mod plane;
mod process;
mod raw;
mod report;
mod scenes;
mod schedule;
mod silence;
#[allow(dead_code, reason = "the integration tests look at more of the world than the benchmark does")]
#[path = "../it/world.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measures the operator in the running test world.
#[derive(Debug, Parser)]
struct Options {
    /// Take few figures at a small size, and fail when one is worse than recorded; or record what was measured as what is to be held.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "hold")]
    gate: Option<gate::Gate>,
    /// Numbers of tokens, each a fleet of its own.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,30000")]
    objects: Vec<usize>,
    /// Of which of them the rotation by schedule is measured, too, which takes half an hour each; 0 for none.
    #[arg(long, value_delimiter = ',', default_value = "10000")]
    scheduled: Vec<usize>,
    /// Measure another operator, too: an executable as tests/bench/peers/README.md describes it.
    #[arg(long, env = "BENCH_PEER")]
    peer: Option<PathBuf>,
    /// How many objects the peer has.
    #[arg(long, default_value_t = 1_000)]
    peer_objects: usize,
    /// Measure this alone, and put it among the figures that are kept.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Measure nothing: write docs/performance.md from these figures.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Accounts on MySQL.
    Accounts,
    /// The fleets.
    Fleets,
    /// What others see of a crowded namespace, and of databases that do not answer.
    Neighbours,
    /// The other operator.
    Peer,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(path) = &options.from {
        report::again(path);
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(async {
        if let Some(gate) = options.gate {
            return gate::run(gate).await;
        }
        measure(&options).await.map_or_else(
            |problem| {
                eprintln!("bench: {problem}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        )
    })
}

async fn measure(options: &Options) -> Result<(), String> {
    // Neither that nothing is kept nor that a peer is not to be had is a surprise after an hour.
    if !matches!(options.only, None | Some(Part::Peer)) && !report::is_kept() {
        return Err(
            "--only puts figures among those that are kept, and there are none: run `make bench` first".to_owned()
        );
    }
    let peer = options.peer.as_deref().map(peer::Peer::prepare).transpose()?;
    match options.only {
        None => scenes::all(&options.objects, &options.scheduled, report::publish).await,
        Some(Part::Accounts) => {
            let accounts = scenes::accounts().await;
            report::amend(|figures| figures.accounts = Some(accounts));
        }
        Some(Part::Fleets) => {
            let keep = |memory_at_0, fleet| {
                report::amend(|figures| {
                    (figures.machine, figures.build) = (report::machine(), scenes::build().to_owned());
                    figures.memory_at_0 = memory_at_0;
                    figures.put(fleet);
                });
            };
            scenes::fleets(&options.objects, &options.scheduled, keep).await;
        }
        Some(Part::Neighbours) => {
            let neighbours = scenes::neighbours().await;
            report::amend(|figures| figures.neighbours = Some(neighbours));
        }
        Some(Part::Peer) if peer.is_none() => return Err("which peer? --peer tells".to_owned()),
        Some(Part::Peer) => {}
    }
    if let (Some(peer), None | Some(Part::Peer)) = (peer, options.only) {
        report::add(peer::measure(&peer, options.peer_objects).await?);
    }
    Ok(())
}
