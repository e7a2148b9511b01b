//! What is broken while the readers read, and when.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{OUTAGE, names};
use crate::aws::{Fault, Lives};
use crate::forward::{Rule, refusal};
use crate::replica::{Replica, Stage};
use crate::tenant::Tenant;
use crate::world::World;

/// The acting replica is killed so often.
const KILLS: Duration = Duration::from_secs(30);

/// One that ended by itself is started anew after this.
const PAUSE: Duration = Duration::from_secs(5);

/// Seconds that sessions live, one after the other: down to one that is dead when it has arrived. No token is signed with those under 870.
const LIVES: [u32; 10] = [3_600, 960, 869, 930, 600, 900, 180, 880, 30, 1];

/// A round begins with so much time in which STS throttles, when all tokens are asked for.
const THROTTLED: Duration = Duration::from_secs(20);

/// A replica that still has its sessions asks STS for nothing. The next kill leaves one without: all tokens are asked for once more after this pause,
/// so never within the half minute in which a request may set an expiry back.
const ASKED_AGAIN: Duration = Duration::from_secs(15);

/// Somebody was throttled by then: a kill, and a lease that runs out.
const THROTTLED_AT_MOST: Duration = Duration::from_secs(110);

/// Then they are given so much time, until an outage ends the round.
const GIVEN: Duration = Duration::from_secs(25);

/// How the apiserver is down: each is a round of its own.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// Its process is killed, and started again in the end.
    Killed,
    /// Connections stay open, and nothing comes back.
    Silent,
    /// Everything is answered with 503.
    Refusing,
    /// All works but the watches: they stay open, and tell nothing.
    Blind,
    /// The operator's own token is not taken.
    Unauthorized,
}

impl Outage {
    const ALL: [Self; 5] = [Self::Killed, Self::Silent, Self::Refusing, Self::Blind, Self::Unauthorized];
}

/// What was broken, and the replicas that went through it.
pub struct Toll {
    outages: Vec<Outage>,
    kills: u32,
    ends: u32,
    throttled: usize,
    short: usize,
    _replicas: Vec<Replica>,
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outages, kills, ends, throttled, short, .. } = self;
        let seconds = OUTAGE.as_secs();
        write!(
            f,
            "the apiserver down for {seconds} s each {outages:?}, {kills} replicas killed and {ends} ended by themselves, \
             {throttled} calls of STS throttled, {short} sessions shorter than a token"
        )
    }
}

/// Breaks things for so long.
pub async fn rage(stage: &Stage, replicas: Vec<Replica>, tenants: &[Arc<Tenant>], length: Duration) -> Toll {
    let (calm, started) = (CancellationToken::new(), Instant::now());
    let keeping = tokio::spawn(keep(replicas, calm.clone()));
    let lives = Lives::limit("t-oracle-", &LIVES);
    let (mut outages, mut throttled) = (Vec::new(), 0);
    let round = THROTTLED + GIVEN + OUTAGE.unsigned_abs();
    let rounds = length.as_secs() / round.as_secs();
    for (outage, _) in Outage::ALL.into_iter().cycle().zip(0..rounds) {
        {
            let fault = Fault::arm(&json!({"service": "sts", "code": "Throttling", "status": 400, "times": 1_000_000}));
            let begun = Instant::now();
            loop {
                for tenant in tenants {
                    join_all(names().map(|name| async move { tenant.rotate(&name).await })).await;
                }
                tokio::time::sleep(THROTTLED).await;
                if fault.fired() > 0 || begun.elapsed() >= THROTTLED_AT_MOST {
                    break;
                }
                tokio::time::sleep(ASKED_AGAIN).await;
            }
            throttled += fault.fired();
        }
        tokio::time::sleep(GIVEN).await;
        let _down = outage.begin(stage.world);
        tokio::time::sleep(OUTAGE.unsigned_abs()).await;
        outages.push(outage);
    }
    tokio::time::sleep(length.saturating_sub(started.elapsed())).await;
    calm.cancel();
    let short = lives.given().into_iter().filter(|&seconds| seconds < 870).count();
    let (replicas, kills, ends) = keeping.await.expect("the replicas are kept running");
    assert!(
        !outages.is_empty() && kills > 0 && throttled > 0 && short > 0,
        "something was not broken: {outages:?}, {kills} kills, {throttled} throttled, {short} short"
    );
    Toll { outages, kills, ends, throttled, short, _replicas: replicas }
}

/// Kills the acting replica again and again until all is calm, and starts each that has ended, as a kubelet does. From then on they are on their own.
async fn keep(mut replicas: Vec<Replica>, calm: CancellationToken) -> (Vec<Replica>, u32, u32) {
    let (mut kills, mut ends, mut down) = (0, 0, vec![None; replicas.len()]);
    let mut killing = tokio::time::interval(KILLS);
    loop {
        if killing.tick().now_or_never().is_some() {
            // In an outage nobody leads: then one of them is killed while it waits.
            let at = replicas.iter().position(Replica::leads).unwrap_or(kills as usize % replicas.len());
            if !replicas[at].has_ended() {
                replicas[at].signal("-KILL");
                kills += 1;
                while !replicas[at].has_ended() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                replicas[at].start_again();
            }
        }
        for (replica, since) in replicas.iter_mut().zip(&mut down) {
            if replica.has_ended() && since.get_or_insert_with(Instant::now).elapsed() >= PAUSE {
                ends += 1;
                *since = None;
                replica.start_again();
            }
        }
        tokio::select! {
            () = calm.cancelled() => return (replicas, kills, ends),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

impl Outage {
    fn begin(self, world: &'static World) -> Down {
        let at_forwarder = |request| world.ask("WORLD_FORWARD", "POST", request, &json!({"target": "apiserver"}));
        let rule = match self {
            Self::Killed => {
                let pid = std::fs::read_to_string(world.root().join("target/world/run/kube-apiserver.pid"));
                let pid = pid.expect("the apiserver runs");
                let status = std::process::Command::new("kill").args(["-9", pid.trim()]).status();
                assert!(status.expect("kill").success(), "the apiserver does not run");
                None
            }
            Self::Silent => {
                at_forwarder("/pause");
                None
            }
            Self::Blind => {
                let watches = json!({"target": "apiserver", "match": "watch="});
                world.ask("WORLD_FORWARD", "POST", "/pause", &watches);
                None
            }
            Self::Refusing | Self::Unauthorized => {
                let (code, reason) =
                    if matches!(self, Self::Refusing) { (503, "ServiceUnavailable") } else { (401, "Unauthorized") };
                let rule = Rule::answer(world, "apiserver", "", &refusal(code, reason, 0));
                at_forwarder("/close"); // the watches, too
                Some(rule)
            }
        };
        Down { world, outage: self, rule }
    }
}

/// The apiserver is down until this goes, also when the test failed.
struct Down {
    world: &'static World,
    outage: Outage,
    rule: Option<Rule>,
}

impl Drop for Down {
    fn drop(&mut self) {
        match self.outage {
            Outage::Killed => self.world.control(&["up", "--no-operator"]),
            Outage::Silent | Outage::Blind => {
                self.world.ask("WORLD_FORWARD", "POST", "/resume", &json!({"target": "apiserver"}));
            }
            Outage::Refusing | Outage::Unauthorized => drop(self.rule.take()),
        }
    }
}
