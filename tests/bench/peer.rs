//! A peer: another operator that writes Secrets, measured in the same world. It is an executable that is called with a verb:
//! `peers/README.md` is the contract.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use crate::audit::Request;
use crate::figures::{Burst, PeerFigures};
use crate::operator::{Operator, Program};
use crate::plane::Plane;
use crate::raw::Raw;
use crate::scenes;
use crate::world::World;

/// Seconds between the renewals of an object that is not to be due while it is looked at.
pub const LATER: u32 = 3_600;

/// The same, of one that is due as soon as it was renewed.
pub const ALWAYS: u32 = 1;

/// So long a peer is watched while everything is due all the time.
const SATURATED: Duration = Duration::from_secs(60);

/// What is called.
#[derive(Debug)]
pub struct Peer {
    path: PathBuf,
    /// What it is and how it is set, in its own words.
    pub about: String,
}

impl Peer {
    /// It gets what it needs, while nothing is measured yet.
    pub fn prepare(path: &Path) -> Result<Self, String> {
        // A path without a slash would be looked for in PATH.
        let path = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let about = call(Command::new(&path).arg("prepare"))?;
        Ok(Self { path, about })
    }

    /// Its definitions, and how it is started.
    pub async fn install(&self, plane: &Plane) -> Result<Program, String> {
        let path = self.path.clone();
        let program = plane.peer(move |kubeconfig| {
            let mut command = Command::new(&path);
            command.arg("run").env("KUBECONFIG", kubeconfig);
            command
        });
        let program = program.await.ok_or("the world had a peer before: begin with `make world-down world`")?;
        call(self.command(plane).arg("install"))?;
        Ok(program)
    }

    /// So many objects, each renewed as often as told.
    pub fn objects(&self, plane: &Plane, count: usize, seconds: u32) -> Result<(), String> {
        call(self.command(plane).arg("objects").args([count.to_string(), seconds.to_string()])).map(drop)
    }

    /// With the rights of the benchmark, and the world's kubectl.
    fn command(&self, plane: &Plane) -> Command {
        let mut command = Command::new(&self.path);
        command.env("KUBECONFIG", &plane.kubeconfig).env("PATH", World::get().var("PATH"));
        command
    }
}

/// What a verb prints. Why it fails is on stderr.
fn call(command: &mut Command) -> Result<String, String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{line}` cannot be called: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` failed: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A peer, from its first start to its end: what it costs beside a bare loop of its own.
pub async fn measure(peer: &Peer, objects: usize) -> Result<PeerFigures, String> {
    let plane = Plane::take().await;
    println!("==> {objects} objects of {}", peer.about);
    let program = peer.install(&plane).await?;
    let memory_at_0 = scenes::empty(&plane, &program, scenes::STARTED).await;
    peer.objects(&plane, objects, LATER)?;
    let (operator, meter, cold) = scenes::start(&plane, &program, objects).await;
    // The bare loop's Secrets are like its own, and it would look at them.
    operator.kill();
    let (namespace, name) = meter.operators().find(|it| it.is_secret_made()).expect("a Secret").object();
    let secret: Secret = Api::namespaced(plane.client.clone(), namespace).get(name).await.expect("a Secret");
    let keys = secret.data.iter().flatten().map(|(key, _)| key);
    let (mut raw, raw_create) = Raw::create(&plane, &secret, keys, objects.min(scenes::RAW), 32).await;
    let mut raw_replace = Vec::new();
    for concurrency in [32, 64].repeat(scenes::ROUNDS) {
        raw_replace.push(scenes::bare_loop(&mut raw, concurrency).await);
    }
    raw.remove().await;
    let (operator, warm) = scenes::warm_restart(&plane, &program, objects).await;
    let memory = operator.process().memory();
    peer.objects(&plane, objects, ALWAYS)?;
    let due = saturated(&plane, &program, &operator).await?;
    operator.kill();
    Ok(PeerFigures {
        about: peer.about.clone(),
        build: scenes::build().to_owned(),
        objects,
        secret_bytes: serde_json::to_vec(&secret).map_or(0, |text| text.len()),
        raw_create,
        raw_replace,
        memory_at_0,
        cold,
        due,
        warm,
        memory,
    })
}

/// Everything is due all the time.
async fn saturated(plane: &Plane, program: &Program, operator: &Operator) -> Result<Burst, String> {
    let mut meter = plane.meter_of(program, Some(operator));
    operator.process().forget_peak();
    while meter.seconds() < SATURATED.as_secs_f64() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        meter.look();
    }
    let written = meter.written();
    if written < 2 {
        return Err(format!("the peer wrote {written} Secrets in {SATURATED:?} in which all were due"));
    }
    let burst = scenes::burst_of(&meter, meter.seconds(), written, Request::is_secret_written, operator);
    scenes::say_burst("everything due all the time", &burst);
    Ok(burst)
}
