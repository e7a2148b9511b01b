//! What may not become worse: a small fleet, beside the bare loop in the same run.
//!
//! Requests are counted and have to be right, in the middle one of three attempts if not in the first. CPU time is told in that of the bare loop's writes beside it, over all rounds together, so that another
//! machine, or one that is busy with something else, moves both. Memory is what an operator that was just started holds: what the kernel
//! counts of it is bytes, on every machine. What is recorded is the middle of several attempts, and the best of as many
//! is held to it. It is of the build that `make bench-gate` makes, which is not optimized.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::figures::{Burst, Loop, median};
use crate::plane::Plane;
use crate::raw::{ROTATED, Raw};
use crate::report::BUSY;
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

/// And CPU time so much more: caches differ from machine to machine, and clocks tick in hundredths of a second.
const NOISE: f64 = 1.15;

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

    /// The most that they may be, where this is recorded.
    fn most(self) -> Self {
        let most = WORSE * NOISE;
        Self { operator_cpu: self.operator_cpu * most, apiserver_cpu: self.apiserver_cpu * most }
    }

    fn hold(self, most: Self) -> bool {
        self.operator_cpu <= most.operator_cpu && self.apiserver_cpu <= most.apiserver_cpu
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
    let (mut attempts, mut writes, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for attempt in 1..=ATTEMPTS {
        let (mut loops, mut bursts) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            loops.push(scenes::bare_loop(&mut raw, 32).await);
            bursts.push(scenes::everything_due(&plane, &fleet, TOKENS, &operator, round % 2 == 0).await);
        }
        // A write whose answer does not come for ten seconds is sent again: the apiserver's pause, and not in each attempt.
        writes.push(bursts.iter().map(|it| it.writes).fold(0.0, f64::max));
        reads.push(bursts.iter().map(|it| it.reads).fold(0.0, f64::max));
        let (shares, foreign) = (Shares::of(&loops, &bursts), foreign(&loops, &bursts));
        println!("    attempt {attempt} of {ATTEMPTS}: {shares:.3?}, foreign load {foreign:.2} cores");
        if foreign > BUSY {
            continue; // caches and clocks are shared: what it took says nothing
        }
        attempts.push(shares);
        let are_exact = middle(&writes) <= WRITES && middle(&reads) <= READS;
        if gate == Gate::Hold && are_exact && Shares::each(&attempts, least).hold(recorded.shares.most()) {
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
        assert!(!attempts.is_empty(), "the machine was not this run's alone");
        let record = Recorded { shares: Shares::each(&attempts, middle), memory: middle(&memory) };
        let text = serde_json::to_string_pretty(&record).expect("JSON") + "\n";
        std::fs::write(plane.world.root().join("tests/bench/recorded.json"), text).expect("recorded.json");
        return ExitCode::SUCCESS;
    }
    let mut checks = vec![
        ("writes for a rotation", middle(&writes), WRITES),
        ("reads for a rotation", middle(&reads), READS),
        ("writes for a new token", cold.writes, NEW_WRITES),
        ("operator's memory with the fleet, in MiB", least(&memory), recorded.memory * WORSE),
    ];
    if attempts.is_empty() {
        println!("left   CPU: the machine was not this run's alone");
    } else {
        let (best, recorded) = (Shares::each(&attempts, least), recorded.shares.most());
        checks.push(("operator's CPU for a rotation, in bare writes", best.operator_cpu, recorded.operator_cpu));
        checks.push(("apiserver's CPU for a rotation, in bare writes", best.apiserver_cpu, recorded.apiserver_cpu));
    }
    told(&checks)
}

/// Tells of each what it is and what it may be at most, and whether all hold.
fn told(checks: &[(&str, f64, f64)]) -> ExitCode {
    for (what, value, limit) in checks {
        println!("{} {what}: {value:.3}, at most {limit:.3}", if value <= limit { "ok    " } else { "WORSE " });
    }
    if checks.iter().all(|(_, value, limit)| value <= limit) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The most that others had meanwhile.
fn foreign(loops: &[Loop], bursts: &[Burst]) -> f64 {
    let loops = loops.iter().map(|it| it.foreign_cores);
    loops.chain(bursts.iter().map(|it| it.foreign_cores)).fold(0.0, f64::max)
}

fn least(many: &[f64]) -> f64 {
    many.iter().copied().fold(f64::INFINITY, f64::min)
}

fn middle(many: &[f64]) -> f64 {
    median(many, |it| *it)
}
