//! What may not become worse: a small fleet, beside the bare loop in the same run.
//!
//! Requests are counted and have to be right. CPU time is told in that of the bare loop's writes beside it, over all rounds together, so that another
//! machine, or one that is busy with something else, moves both. Memory is what an operator that was just started holds for its fleet: what the kernel
//! counts of it is bytes, on every machine. What is recorded is of the build that `make bench-gate` makes, which is not optimized.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::figures::{Burst, Loop};
use crate::plane::Plane;
use crate::raw::Raw;
use crate::scenes;

const TOKENS: usize = 500;

/// Rounds of the bare loop and of everything due, one after the other.
const ROUNDS: usize = 4;

/// The most writes for a rotation, Events and status included.
const WRITES: f64 = 1.02;

/// The most reads for a rotation.
const READS: f64 = 0.02;

/// The most writes for a token that is new: its Secret, its status, an Event; a few may be told of in between.
const NEW_WRITES: f64 = 3.1;

/// A share may be this much of what is recorded.
const WORSE: f64 = 1.10;

/// And this much more, because CPU time varies with what else a machine does: caches are shared, and clocks tick in hundredths of a second.
const NOISE: f64 = 1.15;

/// The recorded shares.
const RECORDED: &str = include_str!("recorded.json");

/// The operator's share for a rotation in what the bare loop takes for a write.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Shares {
    /// CPU time of the operator in that of the bare loop.
    operator_cpu: f64,
    /// CPU time of the apiserver for a rotation in that for a bare write.
    apiserver_cpu: f64,
    /// MiB that the operator holds for the fleet, after a restart.
    memory: f64,
}

/// What is done with what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Gate {
    /// It is compared.
    Hold,
    /// It is written down.
    Record,
}

/// Measures a small fleet.
pub async fn run(gate: Gate) -> ExitCode {
    let plane = Plane::take().await;
    let without = scenes::empty(&plane).await;
    let (fleet, operator, cold) = scenes::cold_start(&plane, TOKENS).await;
    let (mut raw, _) = Raw::create(&plane, &fleet.a_secret().await, TOKENS, 32).await;
    let (mut loops, mut bursts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        loops.push(scenes::bare_loop(&mut raw, 32).await);
        bursts.push(scenes::everything_due(&plane, &fleet, TOKENS, &operator, round % 2 == 0).await);
    }
    let (operator, _) = scenes::warm_restart(&plane, TOKENS, operator).await;
    let bare = |by: fn(&Loop) -> f64| loops.iter().map(by).sum::<f64>();
    let rotating = |by: fn(&Burst) -> f64| bursts.iter().map(by).sum::<f64>();
    let measured = Shares {
        operator_cpu: rotating(|it| it.operator_ms) / bare(|it| it.client_ms),
        apiserver_cpu: rotating(|it| it.apiserver_ms) / bare(|it| it.apiserver_ms),
        memory: operator.process().memory().own - without.own,
    };
    let most = |by: fn(&Burst) -> f64| bursts.iter().map(by).fold(0.0, f64::max);
    let (writes, reads) = (most(|it| it.writes), most(|it| it.reads));
    raw.remove().await;
    fleet.remove().await;
    let record = gate == Gate::Record;
    if record {
        let text = serde_json::to_string_pretty(&measured).expect("JSON") + "\n";
        std::fs::write(plane.world.root().join("tests/bench/recorded.json"), text).expect("recorded.json");
    }
    let recorded: Shares = if record { measured } else { serde_json::from_str(RECORDED).expect("recorded.json") };
    let bound = WORSE * NOISE;
    let checks = [
        ("writes for a rotation", writes, WRITES),
        ("reads for a rotation", reads, READS),
        ("writes for a new token", cold.writes, NEW_WRITES),
        ("operator's CPU for a rotation, in bare writes", measured.operator_cpu, recorded.operator_cpu * bound),
        ("apiserver's CPU for a rotation, in bare writes", measured.apiserver_cpu, recorded.apiserver_cpu * bound),
        ("operator's memory for the fleet, in MiB", measured.memory, recorded.memory * bound),
    ];
    let mut passed = true;
    for (what, value, limit) in checks {
        let holds = value <= limit;
        passed &= holds;
        println!("{} {what}: {value:.3}, at most {limit:.3}", if holds { "ok    " } else { "WORSE " });
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
