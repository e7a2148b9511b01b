//! What may not become worse: a small fleet, beside the bare loop in the same run.
//!
//! Requests are counted and have to be right. CPU time is told in that of the bare loop's writes beside it, over all rounds together, so that another
//! machine, or one that is busy with something else, moves both. Memory is what an operator that was just started holds: what the kernel
//! counts of it is bytes, on every machine. What is recorded is the middle of several attempts, and the best of as many
//! is held to it. It is of the build that `make bench-gate` makes, which is not optimized.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::figures::{Burst, Loop, median};
use crate::plane::Plane;
use crate::raw::{ROTATED, Raw};
use crate::scenes;

const TOKENS: usize = 500;

/// Rounds of the bare loop and of everything due, one after the other.
const ROUNDS: usize = 4;

/// What else a machine does makes CPU time more and never less, and how an allocator fills its pages is chance: what is too large is measured again, at
/// most so often.
const ATTEMPTS: usize = 3;

/// The most writes for a rotation, Events and status included.
const WRITES: f64 = 1.02;

/// The most reads for a rotation.
const READS: f64 = 0.02;

/// The most writes for a token that is new: its Secret, its status, an Event; a few may be told of in between.
const NEW_WRITES: f64 = 3.1;

/// A share may be this much of what is recorded.
const WORSE: f64 = 1.10;

/// The recorded shares.
const RECORDED: &str = include_str!("recorded.json");

/// What may be at most so much more than it was.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Recorded {
    #[serde(flatten)]
    shares: Shares,
    /// MiB that the operator holds for itself and the fleet, its binary aside, after a restart.
    memory: f64,
}

/// What a rotation takes, in what the bare loop takes for a write.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Shares {
    operator_cpu: f64,
    apiserver_cpu: f64,
}

impl Shares {
    fn of(loops: &[Loop], bursts: &[Burst]) -> Self {
        let bare = |by: fn(&Loop) -> f64| loops.iter().map(by).sum::<f64>();
        let rotating = |by: fn(&Burst) -> f64| bursts.iter().map(by).sum::<f64>();
        Self {
            operator_cpu: rotating(|it| it.operator_ms) / bare(|it| it.client_ms),
            apiserver_cpu: rotating(|it| it.apiserver_ms) / bare(|it| it.apiserver_ms),
        }
    }

    /// What `choose` makes of each share of several attempts.
    fn each(attempts: &[Self], choose: fn(&[f64]) -> f64) -> Self {
        let of = |by: fn(&Self) -> f64| choose(&attempts.iter().map(by).collect::<Vec<_>>());
        Self { operator_cpu: of(|it| it.operator_cpu), apiserver_cpu: of(|it| it.apiserver_cpu) }
    }

    fn hold(self, recorded: Self) -> bool {
        self.operator_cpu <= recorded.operator_cpu * WORSE && self.apiserver_cpu <= recorded.apiserver_cpu * WORSE
    }
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
    let recorded: Recorded = serde_json::from_str(RECORDED).expect("recorded.json");
    let (fleet, operator, cold) = scenes::cold_start(&plane, TOKENS).await;
    let (mut raw, _) = Raw::create(&plane, &fleet.a_secret().await, ROTATED, TOKENS, 32).await;
    let (mut attempts, mut writes, mut reads) = (Vec::new(), 0.0_f64, 0.0_f64);
    for attempt in 1..=ATTEMPTS {
        let (mut loops, mut bursts) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            loops.push(scenes::bare_loop(&mut raw, 32).await);
            bursts.push(scenes::everything_due(&plane, &fleet, TOKENS, &operator, round % 2 == 0).await);
        }
        writes = bursts.iter().map(|it| it.writes).fold(writes, f64::max);
        reads = bursts.iter().map(|it| it.reads).fold(reads, f64::max);
        let shares = Shares::of(&loops, &bursts);
        println!("    attempt {attempt} of {ATTEMPTS}: {shares:.3?}");
        attempts.push(shares);
        if gate == Gate::Hold && Shares::each(&attempts, least).hold(recorded.shares) {
            break;
        }
    }
    let (mut operator, mut memory) = (operator, Vec::new());
    for _ in 0..ATTEMPTS {
        operator.kill();
        (operator, _) = scenes::warm_restart(&plane, &plane.ours, TOKENS).await;
        memory.push(operator.process().memory().own);
        if gate == Gate::Hold && least(&memory) <= recorded.memory * WORSE {
            break;
        }
    }
    raw.remove().await;
    fleet.remove().await;
    if gate == Gate::Record {
        let record = Recorded { shares: Shares::each(&attempts, middle), memory: middle(&memory) };
        let text = serde_json::to_string_pretty(&record).expect("JSON") + "\n";
        std::fs::write(plane.world.root().join("tests/bench/recorded.json"), text).expect("recorded.json");
        return ExitCode::SUCCESS;
    }
    let (Shares { operator_cpu, apiserver_cpu }, memory) = (Shares::each(&attempts, least), least(&memory));
    let checks = [
        ("writes for a rotation", writes, WRITES),
        ("reads for a rotation", reads, READS),
        ("writes for a new token", cold.writes, NEW_WRITES),
        ("operator's CPU for a rotation, in bare writes", operator_cpu, recorded.shares.operator_cpu * WORSE),
        ("apiserver's CPU for a rotation, in bare writes", apiserver_cpu, recorded.shares.apiserver_cpu * WORSE),
        ("operator's memory with the fleet, in MiB", memory, recorded.memory * WORSE),
    ];
    let mut passed = true;
    for (what, value, limit) in checks {
        let holds = value <= limit;
        passed &= holds;
        println!("{} {what}: {value:.3}, at most {limit:.3}", if holds { "ok    " } else { "WORSE " });
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn least(many: &[f64]) -> f64 {
    many.iter().copied().fold(f64::INFINITY, f64::min)
}

fn middle(many: &[f64]) -> f64 {
    median(many, |it| *it)
}
