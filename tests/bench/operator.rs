//! The operator's process: the binary that cargo built for this benchmark, with the rights of its ServiceAccount and nobody between it and the
//! apiserver.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::Process;
use crate::world::World;

/// Who the operator is to the apiserver.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:iamdb-system:iamdb-operator";

/// A running operator. It ends with this.
pub struct Operator {
    child: Child,
}

impl Operator {
    /// Starts it as it is started in production: only its addresses are the world's.
    pub fn start(world: &World, kubeconfig: &Path) -> Self {
        let log = File::options().create(true).append(true).open(kubeconfig.with_file_name("operator.log"));
        let log = log.expect("the operator's log");
        // It becomes the operator: the process is the same.
        let mut command = Command::new(world.var("WORLD_EXEC"));
        command.args([
            env!("CARGO_BIN_EXE_iamdb"),
            "run",
            "--listen",
            world.var("WORLD_OPERATOR_URL").trim_start_matches("http://"),
        ]);
        // A container that is started again keeps the pod's name, and goes on with the lead; a stranger would wait for the lease to run out.
        command.args(["--identity", "bench"]);
        command.env_clear().env("KUBECONFIG", kubeconfig).env("PATH", "/usr/bin:/bin");
        for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env(name, world.var(name));
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        Self { child: command.spawn().expect("the operator") }
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Ends it as the kernel would: nothing is finished, nothing is said.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
