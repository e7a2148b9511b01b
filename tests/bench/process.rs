//! CPU time and memory, from /proc.

use std::fs;

use crate::figures::Memory;

/// Clock ticks a second, in which the kernel tells CPU time.
const TICKS: f64 = 100.0;

/// A process that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// This process.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// The process whose id stands in a file.
    pub fn of_file(path: &std::path::Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(text.trim().parse().expect("a process id"))
    }

    /// Whether it has not ended: what has ended holds nothing.
    pub fn is_alive(self) -> bool {
        self.memory().resident > 0.0
    }

    /// CPU seconds that it used, user and system; none when it is gone.
    pub fn cpu(self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        // The name stands in brackets and may hold anything.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Memory that it holds.
    pub fn memory(self) -> Memory {
        Memory { resident: self.status("VmRSS:"), own: self.status("RssAnon:") }
    }

    /// The most that it held since the last [`Self::forget_peak`].
    pub fn peak(self) -> f64 {
        self.status("VmHWM:")
    }

    /// Begins a new peak.
    pub fn forget_peak(self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }

    fn status(self, field: &str) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        let kib = value.and_then(|it| it.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib.unwrap_or_default() / 1024.0
    }
}

/// CPU seconds that the whole machine spent on something.
pub fn machine_cpu() -> f64 {
    let text = fs::read_to_string("/proc/stat").expect("/proc/stat");
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|it| it.parse().ok()).collect();
    // User, nice, system, then idle and waiting, then interrupts; guests are in user already.
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|&at| ticks.get(at)).sum::<f64>();
    busy / TICKS
}
