//! `docs/performance/figures.json`, and docs/performance.md with its charts from it.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::figures::{
    Accounts, Burst, Figures, FleetFigures, Latency, Loop, Memory, Neighbours, PeerFigures, Schedule, best, median,
    range,
};
use crate::raw::Way;
use crate::{beside, charts};

/// Foreign load, in cores, above which no rate is worth telling.
pub const BUSY: f64 = 0.2;

/// The machine, as its own kernel describes it.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let name = |line: &str| Some(line.strip_prefix("model name")?.trim_start_matches(['\t', ' ', ':']).to_owned());
    let models: Vec<String> = cpus.lines().filter_map(name).collect();
    let memory = read("/proc/meminfo");
    let memory = memory.lines().next().and_then(|it| it.split_whitespace().nth(1)?.parse::<f64>().ok());
    let (kernel, memory) = (read("/proc/sys/kernel/osrelease"), memory.unwrap_or_default() / 1024.0 / 1024.0);
    let model = models.first().map_or("unknown", String::as_str);
    format!("{} cores ({model}), {memory:.0} GiB of memory, Linux {}", models.len(), kernel.trim())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the figures are kept.
fn kept() -> PathBuf {
    root().join("docs/performance/figures.json")
}

/// Whether figures are kept.
pub fn is_kept() -> bool {
    kept().exists()
}

/// Keeps the figures, and writes docs/performance.md.
pub fn publish(figures: &Figures) {
    let json = serde_json::to_string_pretty(figures).expect("JSON");
    std::fs::write(kept(), json).expect("figures.json");
    write_document(figures);
}

/// Puts a peer beside the figures that are kept, in the place of what was measured of it before. Without any it is only told.
pub fn add(peer: PeerFigures) {
    if !is_kept() {
        println!("{}", beside::section(&peer, None));
        return;
    }
    amend(|figures| {
        figures.peers.retain(|it| (&it.about, it.objects) != (&peer.about, peer.objects));
        figures.peers.push(peer);
    });
}

/// What was measured of other operators before: it stays beside ours until it is measured anew.
pub fn peers() -> Vec<PeerFigures> {
    let text = std::fs::read(kept()).unwrap_or_default();
    serde_json::from_slice(&text).map_or_else(|_| Vec::new(), |figures: Figures| figures.peers)
}

/// Changes the figures that are kept.
pub fn amend(change: impl FnOnce(&mut Figures)) {
    let text = std::fs::read(kept()).expect("figures that are kept");
    let mut figures = serde_json::from_slice(&text).expect("figures");
    change(&mut figures);
    publish(&figures);
}

/// Writes docs/performance.md from figures that were kept.
pub fn again(path: &std::path::Path) {
    let text = std::fs::read(path).expect("figures");
    write_document(&serde_json::from_slice(&text).expect("figures"));
}

fn write_document(figures: &Figures) {
    let charts = charts::draw(figures, &root().join("docs/performance"));
    let text = document(figures, &charts);
    println!("{text}");
    std::fs::write(root().join("docs/performance.md"), text).expect("docs/performance.md");
}

fn document(figures: &Figures, charts: &[(String, String)]) -> String {
    let mut text = String::from(HEAD);
    let busy = figures.fleets.iter().map(foreign).fold(0.0, f64::max);
    let _ = writeln!(text, "- Machine: {}. Everything ran on it.", figures.machine);
    let _ = writeln!(text, "- Build: `{}`. {}", figures.build, build_note(&figures.build));
    let _ = writeln!(text, "- Foreign load while the fleets were measured: up to {busy:.1} cores. {}", load_note(busy));
    let at_0 = &figures.memory_at_0;
    let _ = writeln!(
        text,
        "- Memory of the operator without objects: {:.1} MiB, {:.1} of them its own; the rest is its binary and libraries. The goal is 18.",
        at_0.resident, at_0.own
    );
    for fleet in &figures.fleets {
        section(&mut text, figures, fleet);
        text.push_str(if fleet.schedule.is_some() { OF_SCHEDULE } else { "" });
    }
    if let Some(it) = &figures.accounts {
        accounts(&mut text, it);
    }
    if let Some(it) = &figures.neighbours {
        neighbours(&mut text, it);
    }
    for peer in &figures.peers {
        text.push_str(&beside::section(peer, Some(figures)));
    }
    for (file, title) in charts {
        let _ = writeln!(text, "\n![{title}](performance/{file})");
    }
    let _ = writeln!(text, "\n## Not measured yet\n\n{}.", missing(figures).join("; "));
    text
}

const HEAD: &str = "# Performance

Written by `make bench`; the figures are kept in [figures.json](performance/figures.json). `make bench-gate` holds some of them.
Fleets, accounts, neighbours and each peer can be measured one by one (`--only`), so those of one page may be of different days; shares of the limit are of one
run each.

What is measured: a fleet of DbAuthTokens in namespaces of 50, each namespace with a ServiceAccount that signs and ten accounts that somebody else
makes, so five Secrets share a token. The DbServer is described by hand: no database and no IAM takes part, and STS is the test world's. Requests
are counted in the apiserver's audit log, but for watches, leases and tokens of ServiceAccounts; CPU time and memory are the kernel's. Beside it, in
the same run, a bare loop creates and replaces Secrets of the same content with the same client and does nothing else: that is the limit, and
shares of it can be compared between machines. etcd does not wait for its disk. *Everything due*: the CA bundle changes, so every Secret must be
written at once.

";

/// What these figures do not hold.
fn missing(figures: &Figures) -> Vec<&'static str> {
    let fleets = &figures.fleets;
    let parts = [
        (fleets.iter().any(|it| it.tokens >= 30_000), "30,000 tokens"),
        (fleets.iter().any(|it| it.schedule.is_some()), "half an hour of rotations by schedule"),
        (figures.neighbours.is_some(), "what others see of a crowd, and of databases that do not answer"),
        (!figures.peers.is_empty(), "another operator on the same machine"),
        (false, "lateness, and the writes of a second, over many hours"),
        (false, "a fleet that is due all the time, for minutes"),
        (false, "new tokens while thousands are made"),
        (false, "the peak of a relist, and a fail-over, of many tokens"),
        (false, "the bare loop of another language, and by more than 64 at once"),
        (false, "statements and connections of a database's resync"),
        (false, "an etcd that waits for its disk"),
    ];
    parts.into_iter().filter(|(is_there, _)| !is_there).map(|(_, what)| what).collect()
}

fn build_note(build: &str) -> &'static str {
    if build == "debug" {
        "It is not optimized: CPU times are several times those of a release, and only their ratios to the bare loop's, which is built alike, tell \
         something. Memory holds the debug binary's pages."
    } else {
        "What is released."
    }
}

pub fn load_note(busy: f64) -> &'static str {
    if busy > BUSY {
        "**The machine was not this run's alone: rates and times are no figures of the operator and are left out.** Requests and CPU times stand, the \
         latter somewhat too high."
    } else {
        "The machine was this run's alone."
    }
}

/// The most that others had while the figures of a fleet were taken.
fn foreign(fleet: &FleetFigures) -> f64 {
    let ways = fleet.raw_ways.iter().map(|(_, it)| it);
    let loops = fleet.raw_replace.iter().chain([&fleet.raw_create]).chain(ways).map(|it| it.foreign_cores);
    let bursts = fleet.due.iter().chain([&fleet.cold]).map(|it| it.foreign_cores);
    let schedule = fleet.schedule.iter().map(|it| it.foreign_cores);
    loops.chain(bursts).chain([fleet.warm.foreign_cores]).chain(schedule).fold(0.0, f64::max)
}

fn section(text: &mut String, figures: &Figures, fleet: &FleetFigures) {
    let is_quiet = foreign(fleet) <= BUSY;
    let timed = |value: String| if is_quiet { value } else { "-".to_owned() };
    let at_32: Vec<&Loop> = fleet.raw_replace.iter().filter(|it| it.concurrency == 32).collect();
    let limit = best(&fleet.raw_replace);
    let rate = median(&fleet.due, |it| it.rate);
    let share = |rate: f64, limit: f64| format!("{rate:.0}/s, {:.2} of the limit", rate / limit);
    let _ = writeln!(text, "\n## {} tokens\n", fleet.tokens);
    let _ = writeln!(
        text,
        "{} identities; a token has {} bytes, a Secret {}. Of what was measured in {} rounds the median, and from the least to the most; the rest once.\n",
        fleet.identities,
        fleet.token_bytes,
        fleet.secret_bytes,
        fleet.due.len()
    );
    let _ = writeln!(text, "| figure | measured | goal |\n|---|---|---|");
    let mut row = |figure: &str, measured: String, goal: &str| {
        let _ = writeln!(text, "| {figure} | {measured} | {goal} |");
    };
    let raw = limit.map(|it| format!("{:.0}/s by {} at once", it.rate, it.concurrency)).unwrap_or_default();
    row("bare loop: Secrets replaced", timed(raw), "the limit");
    let created = format!("{:.0}/s by {} at once", fleet.raw_create.rate, fleet.raw_create.concurrency);
    row("bare loop: Secrets created", timed(created), "the limit");
    let client = |by: fn(&Loop) -> f64| median(&at_32, |it| by(it));
    row("bare loop: CPU of 1,000 replaced", cpu(client(|it| it.client_ms), client(|it| it.apiserver_ms)), "");
    let rates = range(&fleet.due, |it| it.rate);
    let rotation = format!("{} ({:.0} to {:.0}/s)", share(rate, limit.map_or(0.0, |it| it.rate)), rates.0, rates.1);
    row("rotation, everything due", timed(rotation), "0.80 of the limit");
    ways(fleet, &mut row);
    let due = |by: fn(&Burst) -> f64| median(&fleet.due, by);
    row("writes and reads of a rotation", both(due(|it| it.writes), due(|it| it.reads)), "1.02 and 0.02");
    let (least, most) = range(&fleet.due, |it| it.operator_ms);
    let both_cpus = cpu(due(|it| it.operator_ms), due(|it| it.apiserver_ms));
    row("CPU of 1,000 rotations", format!("{both_cpus} ({least:.2} to {most:.2} s)"), "operator 0.45 s");
    let ratio = |own: fn(&Burst) -> f64, bare: fn(&Loop) -> f64| format!("{:.2}", due(own) / client(bare));
    row("the same in bare writes, operator", ratio(|it| it.operator_ms, |it| it.client_ms), "about 2");
    row("the same in bare writes, apiserver", ratio(|it| it.apiserver_ms, |it| it.apiserver_ms), "1.2");
    if let Some(it) = &fleet.schedule {
        schedule(it, timed, &mut row);
    }
    let cold = &fleet.cold;
    row(
        "cold start, all Secrets absent",
        timed(format!("{:.1} s, {}", cold.seconds, share(cold.rate, fleet.raw_create.rate))),
        &format!("{:.1} s: 0.75 of the limit, and 3 s", fleet.tokens as f64 / (0.75 * fleet.raw_create.rate) + 3.0),
    );
    row("writes and reads of a new token", both(cold.writes, cold.reads), "");
    row("CPU of 1,000 new tokens", cpu(cold.operator_ms, cold.apiserver_ms), "");
    let warm = &fleet.warm;
    row("killed and started again: idle after", timed(format!("{:.1} s", warm.seconds)), "2 s");
    row(
        "killed and started again: rotated early; reads a Secret",
        format!("{}; {:.3}", warm.written, warm.reads),
        "0.1 %; 1",
    );
    row("object made until its Secret is there, nothing else to do", timed(waits(&fleet.latency)), "p50 10, p99 20 ms");
    row("the same, the first of its identity", timed(waits(&fleet.first_latency)), "");
    memory(figures, fleet, &mut row);
}

const OF_SCHEDULE: &str = "
By schedule: before it all Secrets were written together, as after an outage. Each token has a period of its own, between 330 and 420 seconds, so
they part; where the last of one round meet the first of the next, writes double for half a minute. Five Secrets share a token and are written in
one moment, which a single second shows.
";

fn schedule(it: &Schedule, timed: impl Fn(String) -> String, row: &mut impl FnMut(&str, String, &str)) {
    let title = format!("by schedule, {:.0} minutes: rotations", it.seconds / 60.0);
    row(&title, it.rotations.to_string(), "");
    row("by schedule: writes and reads of a rotation", both(it.writes, it.reads), "1.02 and 0.02");
    row("by schedule: CPU of 1,000 rotations", cpu(it.operator_ms, it.apiserver_ms), "");
    row("by schedule: the oldest token, of a life of 870 s", timed(format!("{:.1} s", it.oldest)), "422 s");
    let early = format!("{}, {:.2} %", it.early, 100.0 * it.early as f64 / it.rotations as f64);
    row("by schedule: rotated before its own time, along with another Secret of its key", early, "");
    let late = format!("p99.9 {:.2}, most {:.2} s", it.late, it.latest);
    row("by schedule: a rotation later after the one before than the soonest of its Secret", timed(late), "p99.9 2 s");
    let peaks = format!("{:.1}; {:.1}", it.peak_to_mean, it.peak_to_mean_of_tens);
    row("by schedule, last seven minutes: writes of a second, peak to mean; of ten seconds", timed(peaks), "1.5");
    let title = format!("by schedule, {:.0} rotations a second: object made until its Secret is there", it.busy_rate);
    row(&title, timed(waits(&it.busy)), "p99 100 ms");
}

fn waits(it: &Latency) -> String {
    format!("p50 {:.1}, p90 {:.1}, p99 {:.1} ms of {}", it.p50, it.p90, it.p99, it.count)
}

fn neighbours(text: &mut String, Neighbours { crowd, silence }: &Neighbours) {
    let _ = writeln!(
        text,
        "\n## Beside a crowd, and beside databases that do not answer\n\n\
         Others have 1,000 tokens in 20 namespaces, and make new ones. One namespace has {} tokens on a server of its own.\n\
         Of {} DbServers {} do not answer, and have users that wait.\n\n\
         | what others wait for | without | beside | p50 beside to without; goal 1.2 |\n|---|---|---|---|",
        crowd.tokens, silence.servers, silence.silent
    );
    let served = format!("a Secret, while {:.0} of the crowd's are written a second", crowd.served_rate);
    for (what, without, beside) in [
        ("a Secret, beside the crowd at rest", &crowd.alone, &crowd.at_rest),
        (served.as_str(), &crowd.alone_in_a_hurry, &crowd.served),
        ("a Secret, beside silent databases", &silence.tokens_before, &silence.tokens),
        ("an account on another server, beside silent databases", &silence.users_before, &silence.users),
    ] {
        let ratio = beside.p50 / without.p50;
        let _ = writeln!(text, "| {what} | {} | {} | {ratio:.2} |", waits(without), waits(beside));
    }
}

fn accounts(text: &mut String, it: &Accounts) {
    let _ = writeln!(text, "\n## Accounts on MySQL\n");
    let _ = writeln!(
        text,
        "{} IamDbUsers with one grant each and no policy are there when the operator starts. It makes their accounts one at a time, {:.0} a second, on a \
         MySQL that waits for its disk at each commit; a bare connection that sends the same CREATE USER and GRANT and nothing else makes {:.0}: {:.2} of it, and the goal is 0.50. Of each user the \
         apiserver hears {:.1} writes (finalizer, intent, status, Event), and 1,000 users take {:.1} s of the operator's CPU.",
        it.users,
        it.rate,
        it.bare,
        it.rate / it.bare,
        it.writes,
        it.operator_ms,
    );
}

fn memory(figures: &Figures, fleet: &FleetFigures, row: &mut impl FnMut(&str, String, &str)) {
    let told = |memory: Memory| {
        let growth = (memory.own - figures.memory_at_0.own) * 1_000.0 / fleet.tokens as f64;
        format!("{:.1}, {:.1} MiB; {growth:.1} MiB", memory.resident, memory.own)
    };
    let goal = "45 at 10,000; 3 MiB";
    row("memory at rest after a restart, all and its own; for 1,000 tokens", told(fleet.memory), goal);
    row("memory at rest after all Secrets were written, likewise", told(fleet.memory_after_work), goal);
    let (_, peak) = range(&fleet.due, |it| it.memory_peak);
    row("memory, peak while everything is due", format!("{peak:.1} MiB"), "1.3 times that at rest");
    row("memory, peak at the start", format!("{:.1} MiB", fleet.warm.memory_peak), "1.3 times that at rest");
}

/// What a rotation would cost the apiserver in the other ways to write it.
fn ways(fleet: &FleetFigures, row: &mut impl FnMut(&str, String, &str)) {
    for (way, name) in [(Way::MergePatch, "a merge patch"), (Way::JsonPatch, "a JSON patch"), (Way::Apply, "an apply")]
    {
        let of = |way: Way| {
            let loops: Vec<&Loop> = fleet.raw_ways.iter().filter(|it| it.0 == way).map(|it| &it.1).collect();
            median(&loops, |it| it.apiserver_ms)
        };
        let (it, put) = (of(way), of(Way::Put));
        if put > 0.0 {
            row(&format!("{name} instead of a PUT: the apiserver's CPU"), format!("{:.2} times", it / put), "");
        }
    }
}

pub fn both(writes: f64, reads: f64) -> String {
    format!("{writes:.3} and {reads:.3}")
}

/// CPU milliseconds of one are CPU seconds of a thousand.
pub fn cpu(own: f64, apiserver: f64) -> String {
    format!("{own:.2} s, apiserver {apiserver:.2} s")
}
