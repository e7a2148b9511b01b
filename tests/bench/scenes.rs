//! What is measured, one function a figure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::Request;
use crate::figures::{Accounts, Burst, Figures, FleetFigures, Latency, Loop, Memory, Schedule, Warm};
use crate::fleet::{Fleet, TOKENS};
use crate::operator::{Operator, Program};
use crate::plane::{Meter, Plane};
use crate::raw::{ROTATED, Raw, Way};

/// The bare loop writes at most so many Secrets a round.
pub const RAW: usize = 4_000;

/// Rounds of everything due, and of the bare loop beside them.
pub const ROUNDS: usize = 3;

/// A rest of the operator's that says it has nothing more to do.
pub const REST: Duration = Duration::from_secs(2);

/// The same, of one that was just started.
pub const STARTED: Duration = Duration::from_secs(5);

/// A whole run. What is measured is kept piece by piece: the next one may fail after an hour.
pub async fn all(sizes: &[usize], scheduled: &[usize], keep: fn(&Figures)) {
    let plane = Plane::take().await;
    let memory_at_0 = empty(&plane, &plane.ours, REST).await;
    let (machine, build) = (crate::report::machine(), build().to_owned());
    let mut figures = Figures { machine, build, memory_at_0, fleets: Vec::new(), accounts: None, peers: Vec::new() };
    figures.accounts = Some(crate::accounts::measure(&plane).await);
    for &tokens in sizes {
        figures.fleets.push(fleet(&plane, tokens, scheduled.contains(&tokens)).await);
        keep(&figures);
    }
}

/// The accounts on MySQL alone.
pub async fn accounts() -> Accounts {
    crate::accounts::measure(&Plane::take().await).await
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
    for round in 0..ROUNDS {
        for concurrency in [1, 8, 32, 64] {
            // One at a time is no limit, only slow: once is enough.
            if concurrency > 1 || round == 0 {
                raw_replace.push(bare_loop(&mut raw, concurrency).await);
            }
        }
        due.push(everything_due(plane, &fleet, tokens, &operator, round % 2 == 0).await);
    }
    let raw_ways = ways(&mut raw).await;
    raw.remove().await;
    operator.kill();
    let (operator, warm) = warm_restart(plane, &plane.ours, tokens).await;
    let memory = operator.process().memory();
    let (first_latency, latency) = latency(plane, &fleet, tokens, &operator).await;
    let schedule = if with_schedule { Some(schedule(plane, &fleet, tokens, &operator).await) } else { None };
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
    };
    println!("    memory {memory:.1?} MiB; removing the fleet");
    fleet.remove().await;
    figures
}

/// The bare loop in every way, each as often, and no way always first.
async fn ways(raw: &mut Raw<'_>) -> Vec<(Way, Loop)> {
    let mut order = [Way::Put, Way::MergePatch, Way::JsonPatch, Way::Apply];
    let mut measured = Vec::new();
    for _ in 0..ROUNDS {
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
    let fleet = Fleet::prepare(plane, tokens).await;
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
    };
    println!("    warm restart: idle after {seconds:.1} s, {} Secrets written, {:?}", warm.written, warm.kinds);
    (operator, warm)
}

/// One object more a second: first of as many identities that have not signed since the operator started, then of those again.
async fn latency(plane: &Plane, fleet: &Fleet<'_>, tokens: usize, operator: &Operator) -> (Latency, Latency) {
    const IDENTITIES: usize = 20;
    const ROUNDS: usize = 3;
    let names = IDENTITIES.min(fleet.namespaces());
    let mut meter = plane.meter(Some(operator));
    // A whole number of rounds through the namespaces, so that the first of what comes now is of the first one.
    let begin = tokens.next_multiple_of(TOKENS);
    let newcomers: Vec<_> =
        (0..=ROUNDS).flat_map(|round| (0..names).map(move |at| begin + round * fleet.namespaces() + at)).collect();
    for &at in &newcomers {
        fleet.make_token(at).await;
        tokio::time::sleep(Duration::from_millis(970)).await;
    }
    meter.until_written(newcomers.len(), Duration::from_secs(120)).await;
    let (first, others) = newcomers.split_at(names);
    let of = |tokens: &[usize]| {
        let waits = tokens.iter().filter_map(|&at| wait(&meter, &fleet.place(at)));
        Latency::of(waits.collect())
    };
    let (first, others) = (of(first), of(others));
    println!("    apply to Secret: {others:.1?} ms; the first of an identity: {first:.1?} ms");
    (first, others)
}

/// Milliseconds from the answer to the object's creation to that of its Secret's, which has the same name.
fn wait(meter: &Meter<'_>, place: &(String, String)) -> Option<f64> {
    let (namespace, name) = (place.0.as_str(), place.1.as_str());
    let at = |resource| {
        let made = meter.requests.iter().find(|it| it.made(resource) && it.object() == (namespace, name));
        made.map(|it| it.at)
    };
    Some(at("secrets")?.duration_since(at("dbauthtokens")?).as_secs_f64() * 1_000.0)
}

/// All Secrets are renewed together, then each by its own time.
async fn schedule(plane: &Plane, fleet: &Fleet<'_>, tokens: usize, operator: &Operator) -> Schedule {
    println!("    waiting until the fleet rotates by its schedule");
    let mut meter = plane.meter(Some(operator));
    // Three rounds left the certificates turned.
    fleet.order_ca(false).await;
    meter.until_written(tokens, Duration::from_secs(600)).await;
    let issued = secret_writes(&meter);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let mut meter = plane.meter(Some(operator));
    meter.until_written(tokens, Duration::from_secs(300)).await;
    let renewed = secret_writes(&meter);
    let (cpu, count) = (meter.cpu(), tokens as f64);
    let written: Vec<Timestamp> = meter.operators().filter(|it| it.is_secret_written()).map(|it| it.at).collect();
    let by_second = by_second(&written);
    let ages = issued.iter().filter_map(|(name, at)| Some(renewed.get(name)?.duration_since(*at).as_secs_f64()));
    let schedule = Schedule {
        writes: share(&meter, tokens, Request::is_write),
        reads: share(&meter, tokens, Request::is_read),
        kinds: kinds(&meter, tokens),
        operator_ms: cpu.operator * 1_000.0 / count,
        apiserver_ms: cpu.apiserver * 1_000.0 / count,
        seconds: span(&written),
        peak_to_mean: peak_to_mean(&by_second),
        by_second,
        oldest: ages.fold(0.0, f64::max),
    };
    println!("    by schedule: {schedule:.3?}");
    schedule
}

/// When each Secret was last written.
fn secret_writes(meter: &Meter<'_>) -> HashMap<(String, String), Timestamp> {
    let written = meter.operators().filter(|it| it.is_secret_written());
    written.map(|it| ((it.object().0.to_owned(), it.object().1.to_owned()), it.at)).collect()
}

/// How many there are in each second since the first.
fn by_second(written: &[Timestamp]) -> Vec<u32> {
    let Some(first) = written.iter().min() else { return Vec::new() };
    let seconds = written.iter().filter_map(|at| usize::try_from(at.duration_since(*first).as_secs()).ok());
    seconds.fold(Vec::new(), |mut counts, second| {
        counts.resize(counts.len().max(second + 1), 0);
        counts[second] += 1;
        counts
    })
}

/// Of the fullest second to the mean one, the first and the last tenth aside.
fn peak_to_mean(by_second: &[u32]) -> f64 {
    let aside = by_second.len() / 10;
    let middle = &by_second[aside..by_second.len() - aside];
    let mean = f64::from(middle.iter().sum::<u32>()) / middle.len() as f64;
    f64::from(middle.iter().copied().max().unwrap_or_default()) / mean
}

/// Seconds from the first to the last.
fn span(instants: &[Timestamp]) -> f64 {
    let (first, last) = (instants.iter().min(), instants.iter().max());
    first.zip(last).map_or(0.0, |(first, last)| last.duration_since(*first).as_secs_f64())
}

/// How many of the operator's requests are so, for a token.
fn share(meter: &Meter<'_>, tokens: usize, is_so: impl Fn(&Request) -> bool) -> f64 {
    meter.operators().filter(|it| is_so(it)).count() as f64 / tokens as f64
}

fn kinds(meter: &Meter<'_>, tokens: usize) -> BTreeMap<String, f64> {
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
