//! What work costs: wall time, CPU time, memory.

use std::time::Instant;

/// Measures the time since it was started.
pub struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Stopwatch { wall: Instant::now(), cpu: cpu_seconds() }
    }

    /// Wall and CPU seconds since the start.
    pub fn seconds(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), cpu_seconds() - self.cpu)
    }
}

/// CPU seconds of this process, user and system together. Read from `/proc`, so 0 on systems other than Linux.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may contain blanks, so fields are counted after its closing parenthesis: 11 and 12 are the
    // user and system time in ticks of 1/100 s.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Largest resident memory of this process so far, in MB; 0 on systems other than Linux.
pub fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
