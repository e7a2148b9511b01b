//! The figures, as they are kept in `docs/performance/figures.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Figures {
    pub machine: String,
    pub build: String,
    /// With no object of ours.
    pub memory_at_0: Memory,
    pub fleets: Vec<FleetFigures>,
    #[serde(default)]
    pub accounts: Option<Accounts>,
    #[serde(default)]
    pub neighbours: Option<Neighbours>,
    /// Other operators, each beside a bare loop of its own.
    #[serde(default)]
    pub peers: Vec<PeerFigures>,
}

impl Figures {
    /// Enters a fleet, in the place of what was measured of one of its size before.
    pub fn put(&mut self, fleet: FleetFigures) {
        self.fleets.retain(|it| it.tokens != fleet.tokens);
        self.fleets.push(fleet);
        self.fleets.sort_by_key(|it| it.tokens);
    }
}

/// IamDbUsers that were all there when the operator started, on a real MySQL and without policies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Accounts {
    pub users: usize,
    /// Accounts a second, from the first that was told of as made to the last.
    pub rate: f64,
    /// Accounts a second that one connection makes by the same statements alone.
    pub bare: f64,
    /// Writes at the apiserver for a user.
    pub writes: f64,
    pub operator_ms: f64,
}

/// What others see of whoever takes much or does not answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Neighbours {
    pub crowd: Crowd,
    pub silence: Silence,
}

/// New tokens of others beside a namespace with very many.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Crowd {
    /// Of the one namespace.
    pub tokens: usize,
    /// Of the others, while there is no crowd; one a second.
    pub alone: Latency,
    /// The same at the pace at which they come while the crowd is served.
    pub alone_in_a_hurry: Latency,
    /// Beside the crowd at rest, one a second.
    pub at_rest: Latency,
    /// While all Secrets of the crowd are due.
    pub served: Latency,
    /// How many of these were written in a second meanwhile.
    pub served_rate: f64,
}

/// Users and tokens of others beside databases that do not answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Silence {
    pub servers: usize,
    pub silent: usize,
    /// From an IamDbUser's creation until it is told of as ready, while all answer.
    pub users_before: Latency,
    pub users: Latency,
    /// From a token's creation until its Secret is there, while all answer.
    pub tokens_before: Latency,
    pub tokens: Latency,
}

/// What was measured on one fleet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FleetFigures {
    pub tokens: usize,
    pub identities: usize,
    pub token_bytes: usize,
    pub secret_bytes: usize,
    /// The bare loop creating Secrets.
    pub raw_create: Loop,
    /// The bare loop replacing Secrets.
    pub raw_replace: Vec<Loop>,
    /// The bare loop changing Secrets in every way, in the order of the rounds.
    #[serde(default)]
    pub raw_ways: Vec<(crate::raw::Way, Loop)>,
    pub cold: Burst,
    pub due: Vec<Burst>,
    pub warm: Warm,
    /// Of tokens whose identity has not signed since the operator started: a ServiceAccount's token and an STS session come first.
    #[serde(default)]
    pub first_latency: Latency,
    /// Of tokens whose identity has a session.
    pub latency: Latency,
    pub schedule: Option<Schedule>,
    /// At rest after it was started again: it has written nothing.
    pub memory: Memory,
    /// At rest after all Secrets were made, and written several times.
    pub memory_after_work: Memory,
}

/// What was measured of a peer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeerFigures {
    /// What it is and how it is set, in its own words.
    pub about: String,
    /// How the benchmark was built, and with it the bare loop.
    pub build: String,
    pub objects: usize,
    pub secret_bytes: usize,
    /// The bare loop creating Secrets like the peer's.
    pub raw_create: Loop,
    /// The bare loop replacing them.
    pub raw_replace: Vec<Loop>,
    /// With no object of the peer's.
    pub memory_at_0: Memory,
    pub cold: Burst,
    /// Everything due all the time, for a minute.
    pub due: Burst,
    pub warm: Warm,
    /// At rest after it was started again.
    pub memory: Memory,
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Memory {
    /// All that it holds.
    pub resident: f64,
    /// Without the pages of its binary and libraries: this grows with the objects.
    pub own: f64,
}

/// The bare loop at one concurrency.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Loop {
    pub concurrency: usize,
    /// Writes a second.
    pub rate: f64,
    pub client_ms: f64,
    pub apiserver_ms: f64,
    pub etcd_ms: f64,
    pub foreign_cores: f64,
}

/// The operator writing every Secret of a fleet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Burst {
    /// From the cause to the answer to the last write.
    pub seconds: f64,
    /// Secrets a second, from the first write to the last.
    pub rate: f64,
    /// A Secret.
    pub writes: f64,
    pub reads: f64,
    /// What was asked, for a Secret.
    pub kinds: BTreeMap<String, f64>,
    pub operator_ms: f64,
    pub apiserver_ms: f64,
    pub etcd_ms: f64,
    pub foreign_cores: f64,
    /// MiB.
    pub memory_peak: f64,
}

/// The operator killed and started again while nothing is due.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Warm {
    /// From the start until it neither asked for anything nor worked.
    pub seconds: f64,
    pub written: usize,
    pub reads: f64,
    pub kinds: BTreeMap<String, f64>,
    pub operator_cpu: f64,
    pub memory_peak: f64,
    #[serde(default)]
    pub foreign_cores: f64,
}

/// From the answer to the object's creation to the answer to its Secret's, in milliseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Latency {
    pub count: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

impl Latency {
    /// Of these waits.
    pub fn of(mut waits: Vec<f64>) -> Self {
        let mut at = |share| quantile(&mut waits, share);
        let (p50, p90, p99) = (at(0.5), at(0.9), at(0.99));
        Self { count: waits.len(), p50, p90, p99 }
    }
}

/// Half an hour of rotations, each Secret's at its own time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Schedule {
    pub rotations: usize,
    /// Of a rotation.
    pub writes: f64,
    pub reads: f64,
    pub kinds: BTreeMap<String, f64>,
    pub operator_ms: f64,
    pub apiserver_ms: f64,
    pub seconds: f64,
    pub foreign_cores: f64,
    /// Of the last seven minutes, the fullest second to the mean one.
    pub peak_to_mean: f64,
    /// The same of ten seconds each.
    pub peak_to_mean_of_tens: f64,
    /// Rotations of each second since the first.
    pub by_second: Vec<u32>,
    /// Seconds between two writes of a Secret, or from its last to the end: the most. By the schedule it is at most 420.
    pub oldest: f64,
    /// Rotations that came sooner than any does by its own time: another Secret of the same key took the Secret along.
    #[serde(default)]
    pub early: usize,
    /// Seconds by which a time between two writes was longer than the shortest of the same Secret, of a thousand but one at most.
    pub late: f64,
    /// The most.
    pub latest: f64,
    /// Rotations a second while new tokens came.
    pub busy_rate: f64,
    /// Of these new tokens.
    pub busy: Latency,
}

/// The value below which such a share of them is.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a list")]
    let at = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or_default()
}

/// The middle one of several, which are ordered by what is looked at.
pub fn median<T>(many: &[T], by: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = many.iter().map(by).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The least and the most of several.
pub fn range<T>(many: &[T], by: impl Fn(&T) -> f64) -> (f64, f64) {
    many.iter().map(by).fold((f64::INFINITY, 0.0), |(least, most), it| (it.min(least), it.max(most)))
}

/// The fastest of several loops.
pub fn best(loops: &[Loop]) -> Option<&Loop> {
    loops.iter().max_by(|one, other| one.rate.total_cmp(&other.rate))
}
