//! A peer's figures beside ours: a section of docs/performance.md.

use std::fmt::Write as _;

use crate::figures::{Burst, Figures, FleetFigures, Loop, Memory, PeerFigures, Warm, best, median, range};
use crate::report::{BUSY, both, cpu, load_note};

/// What is compared, of the peer or of us.
struct Side<'f> {
    objects: usize,
    raw_create: &'f Loop,
    raw_replace: &'f [Loop],
    memory_at_0: Memory,
    cold: &'f Burst,
    due: &'f [Burst],
    warm: &'f Warm,
    memory: Memory,
}

impl<'f> Side<'f> {
    fn of_peer(peer: &'f PeerFigures) -> Self {
        Self {
            objects: peer.objects,
            raw_create: &peer.raw_create,
            raw_replace: &peer.raw_replace,
            memory_at_0: peer.memory_at_0,
            cold: &peer.cold,
            due: std::slice::from_ref(&peer.due),
            warm: &peer.warm,
            memory: peer.memory,
        }
    }

    fn ours(figures: &'f Figures, fleet: &'f FleetFigures) -> Self {
        Self {
            objects: fleet.tokens,
            raw_create: &fleet.raw_create,
            raw_replace: &fleet.raw_replace,
            memory_at_0: figures.memory_at_0,
            cold: &fleet.cold,
            due: &fleet.due,
            warm: &fleet.warm,
            memory: fleet.memory,
        }
    }

    /// The most that others had meanwhile.
    fn foreign(&self) -> f64 {
        let loops = self.raw_replace.iter().chain([self.raw_create]).map(|it| it.foreign_cores);
        loops.chain(self.due.iter().chain([self.cold]).map(|it| it.foreign_cores)).fold(0.0, f64::max)
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let is_quiet = self.foreign() <= BUSY;
        let timed = |value: String| if is_quiet { value } else { "-".to_owned() };
        let limit = best(self.raw_replace).map_or(0.0, |it| it.rate);
        let share = |rate: f64, limit: f64| format!("{rate:.1}/s, {:.3} of the limit", rate / limit);
        let due = |by: fn(&Burst) -> f64| median(self.due, by);
        let (cold, warm) = (self.cold, self.warm);
        let growth = (self.memory.own - self.memory_at_0.own) * 1_000.0 / self.objects as f64;
        vec![
            ("bare loop: Secrets replaced", timed(format!("{limit:.0}/s"))),
            ("bare loop: Secrets created", timed(format!("{:.0}/s", self.raw_create.rate))),
            ("everything due", timed(share(due(|it| it.rate), limit))),
            ("writes and reads of a renewal", both(due(|it| it.writes), due(|it| it.reads))),
            ("CPU of 1,000 renewals", cpu(due(|it| it.operator_ms), due(|it| it.apiserver_ms))),
            (
                "cold start, all Secrets absent",
                timed(format!("{:.1} s, {}", cold.seconds, share(cold.rate, self.raw_create.rate))),
            ),
            ("writes and reads of a new Secret", both(cold.writes, cold.reads)),
            ("CPU of 1,000 new Secrets", cpu(cold.operator_ms, cold.apiserver_ms)),
            ("killed and started again: idle after", timed(format!("{:.1} s", warm.seconds))),
            (
                "killed and started again: Secrets written; reads a Secret",
                format!("{}; {:.3}", warm.written, warm.reads),
            ),
            ("memory without objects", format!("{:.1} MiB", self.memory_at_0.resident)),
            (
                "memory at rest after a restart, all and its own; for 1,000 objects",
                format!("{:.1}, {:.1} MiB; {growth:.1} MiB", self.memory.resident, self.memory.own),
            ),
            ("memory, peak: everything due", format!("{:.1} MiB", range(self.due, |it| it.memory_peak).1)),
        ]
    }
}

/// The section. Ours is a fleet of the same size, where there is one.
pub fn section(peer: &PeerFigures, figures: Option<&Figures>) -> String {
    let theirs = Side::of_peer(peer);
    let ours = figures.and_then(|figures| {
        let fleet = figures.fleets.iter().find(|it| it.tokens == peer.objects)?;
        Some(Side::ours(figures, fleet).rows())
    });
    let name = peer.about.split(',').next().unwrap_or_default();
    let mut text = format!("\n## {} objects of {name}\n\n{}.\n\n", peer.objects, peer.about);
    let foreign = theirs.foreign();
    let _ = writeln!(
        text,
        "A Secret has {} bytes. Foreign load: up to {foreign:.1} cores. {} Build of the bare loop: `{}`.\n\n\
         The limit is the peer's own: a bare loop that writes Secrets like it, while it does not run. *Everything due*: for a minute each object is due\n\
         a second after it was renewed. [How a peer is measured](../tests/bench/peers/README.md).\n",
        peer.secret_bytes,
        load_note(foreign),
        peer.build
    );
    let _ = writeln!(text, "| figure | {name} | ours |\n|---|---|---|");
    for (at, (figure, value)) in theirs.rows().into_iter().enumerate() {
        let ours = ours.as_ref().and_then(|rows| Some(rows.get(at)?.1.as_str())).unwrap_or("-");
        let _ = writeln!(text, "| {figure} | {value} | {ours} |");
    }
    text
}
