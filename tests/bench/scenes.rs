//! What is measured, one function a figure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::Request;
use crate::figures::{Accounts, Burst, Figures, FleetFigures, Loop, Memory, Neighbours, Warm};
use crate::fleet::{Fleet, Shape};
use crate::operator::{Operator, Program};
use crate::plane::{Meter, Plane};
use crate::raw::{ROTATED, Raw, Way};
use crate::{crowd, latency, schedule, silence};

/// The bare loop writes at most so many Secrets a round.
pub const RAW: usize = 4_000;

/// Rounds of everything due, and of the bare loop beside them.
pub const ROUNDS: usize = 3;

/// Of a fleet that is larger than this there is one round, since it takes minutes.
const LARGE: usize = 10_000;

/// A rest of the operator's that says it has nothing more to do.
pub const REST: Duration = Duration::from_secs(2);

/// The same, of one that was just started.
pub const STARTED: Duration = Duration::from_secs(5);

/// A whole run. What is measured is kept piece by piece: the next one may fail after an hour.
pub async fn all(sizes: &[usize], scheduled: &[usize], keep: fn(&Figures)) {
    let plane = Plane::take().await;
    let memory_at_0 = empty(&plane, &plane.ours, REST).await;
    let (machine, build) = (crate::report::machine(), build());
    let mut figures = Figures {
        machine,
        build: build.to_owned(),
        memory_at_0,
        fleets: Vec::new(),
        accounts: None,
        neighbours: None,
        peers: crate::report::peers(),
    };
    figures.accounts = Some(crate::accounts::measure(&plane).await);
    keep(&figures);
    figures.neighbours = Some(neighbours_of(&plane).await);
    keep(&figures);
    for &tokens in sizes {
        figures.fleets.push(fleet(&plane, tokens, scheduled.contains(&tokens)).await);
        keep(&figures);
    }
}

/// The accounts on MySQL alone.
pub async fn accounts() -> Accounts {
    crate::accounts::measure(&Plane::take().await).await
}

/// The fleets alone, and what the operator holds without any.
pub async fn fleets(sizes: &[usize], scheduled: &[usize], keep: fn(Memory, FleetFigures)) {
    let plane = Plane::take().await;
    let memory_at_0 = empty(&plane, &plane.ours, REST).await;
    for &tokens in sizes {
        keep(memory_at_0, fleet(&plane, tokens, scheduled.contains(&tokens)).await);
    }
}

/// What others of the operator's see of one with very many tokens, and of databases that do not answer.
pub async fn neighbours() -> Neighbours {
    neighbours_of(&Plane::take().await).await
}

async fn neighbours_of(plane: &Plane) -> Neighbours {
    Neighbours { crowd: crowd::measure(plane).await, silence: silence::measure(plane).await }
}

pub const fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

async fn fleet(plane: &Plane, tokens: usize, with_schedule: bool) -> FleetFigures {
    let (fleet, operator, cold) = cold_start(plane, tokens).await;
    let secret = fleet.a_secret().await;
    let bytes = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map_or(0, |value| value.0.len());
    let (mut raw, raw_create) = Raw::create(plane, &secret, ROTATED, tokens.min(RAW), 32).await;
    let mut raw_replace = Vec::new();
    let mut due = Vec::new();
    let rounds = if tokens > LARGE { 1 } else { ROUNDS };
    for round in 0..rounds {
        for concurrency in [1, 8, 32, 64] {
            // One at a time is no limit, only slow: once is enough.
            if concurrency > 1 || round == 0 {
                raw_replace.push(bare_loop(&mut raw, concurrency).await);
            }
        }
        due.push(everything_due(plane, &fleet, tokens, &operator, round % 2 == 0).await);
    }
    let raw_ways = ways(&mut raw, rounds).await;
    raw.remove().await;
    let memory_after_work = operator.process().memory();
    operator.kill();
    let (operator, warm) = warm_restart(plane, &plane.ours, tokens).await;
    let memory = operator.process().memory();
    let (first_latency, latency) = latency::first_and_later(plane, &fleet, &operator).await;
    let schedule = if with_schedule { Some(schedule::measure(plane, &fleet, &operator).await) } else { None };
    let figures = FleetFigures {
        tokens,
        identities: fleet.namespaces(),
        token_bytes: bytes("password"),
        secret_bytes: serde_json::to_vec(&secret).map_or(0, |text| text.len()),
        raw_create,
        raw_replace,
        raw_ways,
        cold,
        due,
        warm,
        first_latency,
        latency,
        schedule,
        memory,
        memory_after_work,
    };
    println!("    memory {memory:.1?} MiB, after work {memory_after_work:.1?}; removing the fleet");
    fleet.remove().await;
    figures
}

/// The bare loop in every way, each as often, and no way always first.
async fn ways(raw: &mut Raw<'_>, rounds: usize) -> Vec<(Way, Loop)> {
    let mut order = [Way::Put, Way::MergePatch, Way::JsonPatch, Way::Apply];
    let mut measured = Vec::new();
    for _ in 0..rounds {
        for way in order {
            let it = raw.write(32, way).await;
            println!(
                "    bare {way:?}: {:.0}/s, CPU ms {:.3} client {:.3} apiserver",
                it.rate, it.client_ms, it.apiserver_ms
            );
            measured.push((way, it));
        }
        order.rotate_left(1);
    }
    measured
}

/// Memory of an operator that has nothing to do.
pub async fn empty(plane: &Plane, program: &Program, rest: Duration) -> Memory {
    let operator = program.start();
    let mut meter = plane.meter_of(program, Some(&operator));
    meter.until_quiet(rest, Duration::from_secs(60)).await;
    let memory = operator.process().memory();
    println!("    memory without objects: {memory:.1?} MiB");
    memory
}

/// All tokens are there, no Secret is, and the operator starts.
pub async fn cold_start(plane: &Plane, tokens: usize) -> (Fleet<'_>, Operator, Burst) {
    println!("==> {tokens} tokens");
    let operator = plane.operator();
    let mut meter = plane.meter(Some(&operator));
    let fleet = Fleet::prepare(plane, Shape::wide(tokens)).await;
    fleet.until_users_are_known().await;
    meter.until_quiet(REST, Duration::from_secs(600)).await;
    operator.kill();
    fleet.make_tokens().await;
    let (operator, _, burst) = start(plane, &plane.ours, tokens).await;
    (fleet, operator, burst)
}

/// An operator starts, and makes so many Secrets.
pub async fn start<'p>(plane: &'p Plane, program: &Program, secrets: usize) -> (Operator, Meter<'p>, Burst) {
    let mut meter = plane.meter_of(program, None);
    let operator = program.start();
    meter.watch(&operator);
    let burst = burst(&mut meter, secrets, Request::is_secret_made, &operator).await;
    say_burst("cold start", &burst);
    (operator, meter, burst)
}

/// The CA bundle changes, and every Secret has to be written with another one.
pub async fn everything_due(
    plane: &Plane,
    fleet: &Fleet<'_>,
    tokens: usize,
    operator: &Operator,
    turned: bool,
) -> Burst {
    let mut meter = plane.meter(Some(operator));
    operator.process().forget_peak();
    fleet.order_ca(turned).await;
    let burst = burst(&mut meter, tokens, Request::is_secret_written, operator).await;
    say_burst("everything due", &burst);
    burst
}

/// Until so many Secrets were written in such a way, and nothing is left to do.
async fn burst(meter: &mut Meter<'_>, secrets: usize, is_it: fn(&Request) -> bool, operator: &Operator) -> Burst {
    // The slowest operator that was seen writes ten a second.
    let patience = Duration::from_secs(1_200) + Duration::from_millis(200) * u32::try_from(secrets).expect("a count");
    meter.until(secrets, is_it, patience).await;
    let seconds = meter.seconds();
    meter.until_quiet(REST, patience * 2).await;
    burst_of(meter, seconds, secrets, is_it, operator)
}

/// What was measured while so many Secrets were written.
pub fn burst_of(
    meter: &Meter<'_>,
    seconds: f64,
    secrets: usize,
    is_it: fn(&Request) -> bool,
    operator: &Operator,
) -> Burst {
    let (cpu, foreign_cores, count) = (meter.cpu(), meter.foreign_cores(), secrets as f64);
    let written: Vec<Timestamp> = meter.operators().filter(|it| is_it(it)).map(|it| it.at).collect();
    Burst {
        seconds,
        rate: count / span(&written),
        writes: share(meter, secrets, Request::is_write),
        reads: share(meter, secrets, Request::is_read),
        kinds: kinds(meter, secrets),
        operator_ms: cpu.operator * 1_000.0 / count,
        apiserver_ms: cpu.apiserver * 1_000.0 / count,
        etcd_ms: cpu.etcd * 1_000.0 / count,
        foreign_cores,
        memory_peak: operator.process().peak(),
    }
}

/// The operator died, and comes back while nothing is due.
pub async fn warm_restart(plane: &Plane, program: &Program, tokens: usize) -> (Operator, Warm) {
    let mut meter = plane.meter_of(program, None);
    let operator = program.start();
    meter.watch(&operator);
    let seconds = meter.until_quiet(STARTED, Duration::from_secs(600)).await;
    let warm = Warm {
        seconds,
        written: meter.written(),
        reads: share(&meter, tokens, Request::is_read),
        kinds: kinds(&meter, tokens),
        operator_cpu: meter.cpu().operator,
        memory_peak: operator.process().peak(),
        foreign_cores: meter.foreign_cores(),
    };
    println!(
        "    warm restart: idle after {seconds:.1} s and {:.2} s of CPU, {} Secrets written, {:?}",
        warm.operator_cpu, warm.written, warm.kinds
    );
    (operator, warm)
}

/// Seconds from the first to the last.
pub fn span(instants: &[Timestamp]) -> f64 {
    let (first, last) = (instants.iter().min(), instants.iter().max());
    first.zip(last).map_or(0.0, |(first, last)| last.duration_since(*first).as_secs_f64())
}

/// How many of the operator's requests are so, for a token.
pub fn share(meter: &Meter<'_>, tokens: usize, is_so: impl Fn(&Request) -> bool) -> f64 {
    meter.operators().filter(|it| is_so(it)).count() as f64 / tokens as f64
}

pub fn kinds(meter: &Meter<'_>, tokens: usize) -> BTreeMap<String, f64> {
    let mut kinds = BTreeMap::new();
    for request in meter.operators() {
        *kinds.entry(request.kind()).or_insert(0.0) += 1.0 / tokens as f64;
    }
    kinds
}

pub fn say_burst(what: &str, burst: &Burst) {
    println!(
        "    {what}: {:.1} s, {:.0}/s, {:.3} writes and {:.3} reads a Secret, CPU ms {:.3} operator {:.3} apiserver, peak {:.1} MiB, foreign cores {:.2}, {:.3?}",
        burst.seconds,
        burst.rate,
        burst.writes,
        burst.reads,
        burst.operator_ms,
        burst.apiserver_ms,
        burst.memory_peak,
        burst.foreign_cores,
        burst.kinds
    );
}

/// The bare loop, beside the operator at rest.
pub async fn bare_loop(raw: &mut Raw<'_>, concurrency: usize) -> Loop {
    let it = raw.replace(concurrency).await;
    println!(
        "    bare loop x{}: {:.0}/s, CPU ms {:.3} client {:.3} apiserver, foreign cores {:.2}",
        it.concurrency, it.rate, it.client_ms, it.apiserver_ms, it.foreign_cores
    );
    it
}
