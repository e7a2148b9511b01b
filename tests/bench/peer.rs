//! A peer: another operator that writes Secrets, measured in the same world. It is an executable that is called with a verb:
//! `peers/README.md` is the contract.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::operator::Program;
use crate::plane::Plane;
use crate::world::World;

/// Seconds between the renewals of an object that is not to be due while it is looked at.
pub const LATER: u32 = 3_600;

/// The same, of one that is due as soon as it was renewed.
pub const ALWAYS: u32 = 1;

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
