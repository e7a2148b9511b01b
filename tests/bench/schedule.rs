//! Half an hour in which each Secret is renewed by its own time.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::Request;
use crate::figures::{Schedule, quantile};
use crate::fleet::Fleet;
use crate::latency;
use crate::operator::Operator;
use crate::plane::{Meter, Plane};
use crate::scenes::{REST, kinds, share};

/// How long it is looked at.
const TIME: Duration = Duration::from_secs(30 * 60);

/// At the end of it the Secrets, which began together, have spread: no more than the longest that one is not renewed.
const SPREAD: usize = 420;

/// Seconds of the shortest life by schedule. A shorter one ends when another Secret of the same key takes this one along.
const SHORTEST: f64 = 330.0;

/// How long the log is not read.
const NAP: Duration = Duration::from_secs(10);

/// All Secrets are renewed together, then each by its own time. After that, new tokens come while the others rotate.
pub async fn measure(plane: &Plane, fleet: &Fleet<'_>, operator: &Operator) -> Schedule {
    println!("    half an hour by schedule");
    let mut meter = plane.meter(Some(operator));
    // Three rounds left the certificates turned.
    fleet.order_ca(false).await;
    meter.until_written(fleet.tokens(), Duration::from_secs(600)).await;
    meter.until_quiet(REST, Duration::from_secs(600)).await; // some are new since, and no part of the count
    let issued: Vec<Request> = meter.operators().filter(|it| it.is_secret_written()).cloned().collect();
    let mut meter = plane.meter(Some(operator));
    while meter.seconds() < TIME.as_secs_f64() {
        tokio::time::sleep(NAP).await;
        meter.look();
    }
    let schedule = of(&meter, &issued);
    let busy = latency::later(plane, fleet, operator).await;
    let schedule = Schedule { busy: busy.latency, busy_rate: busy.others, ..schedule };
    println!("    by schedule: {:.3?}", Schedule { by_second: Vec::new(), ..schedule.clone() });
    schedule
}

/// What was seen of rotations after the Secrets were `issued`.
fn of(meter: &Meter<'_>, issued: &[Request]) -> Schedule {
    let rotations: Vec<&Request> = meter.operators().filter(|it| it.is_secret_written()).collect();
    let (cpu, count) = (meter.cpu(), rotations.len());
    let written: Vec<Timestamp> = rotations.iter().map(|it| it.at).collect();
    let by_second = by_second(&written);
    let spread = &by_second[by_second.len().saturating_sub(SPREAD)..];
    let lives = Lives::of(issued.iter().chain(rotations));
    #[allow(clippy::disallowed_methods, reason = "by the clock that the audit log is written by")]
    let rests = lives.rests(Timestamp::now());
    let per_thousand = |seconds: f64| seconds * 1_000.0 / count as f64;
    Schedule {
        rotations: count,
        writes: share(meter, count, Request::is_write),
        reads: share(meter, count, Request::is_read),
        kinds: kinds(meter, count),
        operator_ms: per_thousand(cpu.operator),
        apiserver_ms: per_thousand(cpu.apiserver),
        seconds: meter.seconds(),
        foreign_cores: meter.foreign_cores(),
        peak_to_mean: peak_to_mean(spread),
        peak_to_mean_of_tens: peak_to_mean(&tens(spread)),
        by_second,
        oldest: lives.ages().chain(rests).fold(0.0, f64::max),
        early: lives.periods().flatten().filter(|&period| period < SHORTEST).count(),
        late: quantile(&mut lives.lateness(), 0.999),
        latest: quantile(&mut lives.lateness(), 1.0),
        busy_rate: 0.0,
        busy: crate::figures::Latency::default(),
    }
}

/// When each Secret was written.
struct Lives<'r>(HashMap<(&'r str, &'r str), Vec<Timestamp>>);

impl<'r> Lives<'r> {
    fn of(written: impl Iterator<Item = &'r Request>) -> Self {
        let mut lives = HashMap::<_, Vec<_>>::new();
        for request in written {
            lives.entry(request.object()).or_default().push(request.at); // the log is in the order of time
        }
        Self(lives)
    }

    /// Seconds from each write to the next of the same Secret.
    fn ages(&self) -> impl Iterator<Item = f64> {
        self.0.values().flat_map(|writes| writes.windows(2)).map(|pair| seconds(pair[0], pair[1]))
    }

    /// Seconds from the last write of each Secret until now.
    fn rests(&self, now: Timestamp) -> impl Iterator<Item = f64> {
        self.0.values().filter_map(|writes| writes.last()).map(move |&last| seconds(last, now))
    }

    /// Of each Secret the seconds from one rotation to the next. Signatures know whole seconds. The first rotation is left out: it takes along the
    /// Secrets that share the token, which were not written in the same moment.
    fn periods(&self) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        self.0.values().map(|writes| writes.windows(2).skip(1).map(|pair| seconds(whole(pair[0]), pair[1])))
    }

    /// By how many seconds each rotation came later after the one before than the soonest of the same Secret. The share of the spread that belongs to
    /// a Secret is always the same, so but for lateness these would be equal. Those that came early are left out.
    fn lateness(&self) -> Vec<f64> {
        let late = |periods: &mut dyn Iterator<Item = f64>| {
            let periods: Vec<f64> = periods.filter(|&period| period >= SHORTEST).collect();
            let soonest = periods.iter().copied().fold(f64::INFINITY, f64::min);
            periods.into_iter().map(move |period| period - soonest).collect::<Vec<_>>()
        };
        self.periods().flat_map(|mut periods| late(&mut periods)).collect()
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("a second")
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

/// In each ten seconds.
pub fn tens(by_second: &[u32]) -> Vec<u32> {
    by_second.chunks_exact(10).map(|ten| ten.iter().sum()).collect()
}

/// Of the fullest to the mean.
fn peak_to_mean(counts: &[u32]) -> f64 {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    f64::from(counts.iter().copied().max().unwrap_or_default()) / mean
}
