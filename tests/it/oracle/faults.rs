//! What is broken while the readers read, and when.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::OUTAGE;
use crate::aws::Fault;
use crate::forward::Rule;
use crate::replicas::{Replica, Stage};
use crate::world::World;

/// The acting replica is killed so often.
const KILLS: Duration = Duration::from_secs(30);

/// Seconds that sessions live, one after the other: down to one that is dead when it has arrived. No token is signed with those under 870.
const LIVES: [u32; 10] = [3_600, 960, 869, 930, 600, 900, 180, 880, 30, 1];

/// From the end of an outage until STS throttles, and for how long. Both, and [`OUTAGE`] with what is before it, make a round.
const BETWEEN: Duration = Duration::from_secs(5);
const THROTTLED: Duration = Duration::from_secs(20);

/// Before the first outage, and between a round and the next.
const BEFORE: Duration = Duration::from_secs(5);

/// How the apiserver is down: each is a round of its own.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// Its process is killed, and started again in the end.
    Killed,
    /// Connections stay open, and nothing comes back.
    Silent,
    /// Everything is answered with 503.
    Refusing,
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
            "the apiserver down for {seconds} s each {outages:?}, {kills} replicas killed and {ends} ended for want of the lease, \
             {throttled} calls of STS throttled, {short} sessions shorter than a token"
        )
    }
}

/// Breaks things for so long.
pub async fn rage(stage: &Stage, replicas: Vec<Replica>, length: Duration) -> Toll {
    let (calm, started) = (CancellationToken::new(), Instant::now());
    let keeping = tokio::spawn(keep(replicas, calm.clone()));
    let lives = Lives::limit(stage.world, &LIVES);
    let (mut outages, mut throttled) = (Vec::new(), 0);
    let round = BEFORE + OUTAGE.unsigned_abs() + BETWEEN + THROTTLED;
    let rounds = length.as_secs() / round.as_secs();
    let kinds = [Outage::Killed, Outage::Silent, Outage::Refusing].into_iter().cycle();
    for (outage, _) in kinds.zip(0..rounds) {
        tokio::time::sleep(BEFORE).await;
        {
            let _down = outage.begin(stage.world);
            tokio::time::sleep(OUTAGE.unsigned_abs()).await;
        }
        outages.push(outage);
        tokio::time::sleep(BETWEEN).await;
        let fault = Fault::arm(&json!({"service": "sts", "code": "Throttling", "status": 400, "times": 1_000_000}));
        tokio::time::sleep(THROTTLED).await;
        throttled += fault.fired();
    }
    tokio::time::sleep(length.saturating_sub(started.elapsed())).await;
    calm.cancel();
    let short = lives.given().iter().filter(|&&seconds| seconds < 870).count();
    drop(lives);
    let (replicas, kills, ends) = keeping.await.expect("the replicas are kept running");
    Toll { outages, kills, ends, throttled, short, _replicas: replicas }
}

/// Kills the acting replica again and again until all is calm, and starts each that has ended, as a kubelet does. From then on they are on their own.
async fn keep(mut replicas: Vec<Replica>, calm: CancellationToken) -> (Vec<Replica>, u32, u32) {
    let (mut kills, mut ends, mut last) = (0, 0, Instant::now());
    loop {
        if last.elapsed() >= KILLS {
            last = Instant::now();
            // In an outage nobody leads: then one of them is killed while it waits.
            let at = replicas.iter().position(Replica::leads).unwrap_or(kills as usize % replicas.len());
            replicas[at].signal("-KILL");
            kills += 1;
            while !replicas[at].has_ended() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            replicas[at].start_again();
        }
        for replica in &mut replicas {
            if replica.has_ended() {
                ends += 1;
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
            Self::Refusing => {
                let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "ServiceUnavailable", "code": 503});
                let rule = Rule::answer(world, "apiserver", "", &json!({"status": 503, "body": body.to_string()}));
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
            Outage::Silent => drop(self.world.ask("WORLD_FORWARD", "POST", "/resume", &json!({"target": "apiserver"}))),
            Outage::Refusing => drop(self.rule.take()),
        }
    }
}

/// How long sessions live, until this goes.
struct Lives(&'static World);

impl Lives {
    fn limit(world: &'static World, lives: &[u32]) -> Self {
        world.ask("WORLD_AWS_CONTROL", "POST", "/_world/sessions", &json!({"lives": lives}));
        Self(world)
    }

    /// The lives of the sessions that were handed out.
    fn given(&self) -> Vec<u64> {
        let answer = self.0.ask("WORLD_AWS_CONTROL", "POST", "/_world/sessions", &json!({"lives": LIVES}));
        answer["given"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        let _ = self.0.ask("WORLD_AWS_CONTROL", "POST", "/_world/sessions", &json!({}));
    }
}
