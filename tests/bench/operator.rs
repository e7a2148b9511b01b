//! The process of an operator: of ours, which cargo built for this benchmark, or of a peer. It has the rights of its ServiceAccount, and nobody is
//! between it and the apiserver.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::Process;
use crate::world::World;

/// How an operator is started, and who it is to the apiserver.
pub struct Program {
    /// Its user name in the audit log.
    pub user: String,
    log: PathBuf,
    command: Box<dyn Fn() -> Command>,
}

/// A running operator. It ends with this.
pub struct Operator {
    child: Child,
}

impl Program {
    /// What the command starts, with the rights of a ServiceAccount.
    pub fn new(account: (&str, &str), log: PathBuf, command: impl Fn() -> Command + 'static) -> Self {
        let user = format!("system:serviceaccount:{}:{}", account.0, account.1);
        Self { user, log, command: Box::new(command) }
    }

    /// Ours, as it is started in production: only its addresses are the world's, and the databases' are of loopback.
    pub fn ours(world: &'static World, account: (&str, &str), kubeconfig: &Path) -> Self {
        let log = kubeconfig.with_file_name("operator.log");
        let kubeconfig = kubeconfig.to_owned();
        Self::new(account, log, move || {
            // It becomes the operator: the process is the same.
            let mut command = Command::new(world.var("WORLD_EXEC"));
            let listen = world.var("WORLD_OPERATOR_URL").trim_start_matches("http://");
            command.args([env!("CARGO_BIN_EXE_iamdb"), "run", "--listen", listen]);
            // A container that is started again keeps the pod's name, and goes on with the lead; a stranger would wait for the lease to run out.
            command.args(["--identity", "bench", "--allow-loopback-databases"]);
            command.env_clear().env("KUBECONFIG", &kubeconfig).env("PATH", "/usr/bin:/bin");
            for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                command.env(name, world.var(name));
            }
            command
        })
    }

    /// Starts it.
    pub fn start(&self) -> Operator {
        let log = File::options().create(true).append(true).open(&self.log).expect("the operator's log");
        let mut command = (self.command)();
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        Operator { child: command.spawn().expect("the operator") }
    }
}

impl Operator {
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
