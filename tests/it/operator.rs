//! The operator's process: stopped, killed and started again by tests that run alone.

use std::process::{Command, Stdio};

use crate::world::World;

/// A hand on the operator's process. When it goes the operator runs as always, also when the test failed.
pub struct Operator {
    world: &'static World,
}

impl Operator {
    pub fn of(world: &'static World) -> Self {
        Self { world }
    }

    /// Ends it as the kernel would: nothing is finished, nothing is said.
    pub fn kill(&self) {
        let pid = self.world.operator_pid().to_string();
        let status = Command::new("kill").args(["-9", &pid]).status();
        assert!(status.expect("kill").success(), "the operator does not run");
    }

    /// Starts it, anew if it runs.
    pub fn start(&self) {
        self.world.control(&["operator", "--no-build"]);
    }

    /// Starts it anew with another log level.
    pub fn start_at(&self, level: &str) {
        self.world.control(&["operator", "--no-build", "--log", level]);
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let program = self.world.root().join("target/world-bin/world");
        let mut command = Command::new(program);
        command.args(["operator", "--no-build"]).current_dir(self.world.root()).stdout(Stdio::null());
        let _ = command.status();
    }
}
