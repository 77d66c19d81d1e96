//! What the figures were measured on, and where threads run.

use std::{fs, sync::OnceLock, time::Duration};

use core_affinity::CoreId;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Machine, kernel, compiler and flags: the first line above each table.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Model name of the first processor.
    pub cpu: String,
    /// Cores that this process may run on.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// Version of the compiler that built this program.
    pub rustc: String,
    /// Profile and code generation flags.
    pub flags: String,
}

impl Machine {
    /// Reads `/proc`; what cannot be read is called unknown.
    pub fn read() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let extra = env!("COMPARE_RUSTFLAGS");
        let target = if extra.is_empty() {
            "default target-cpu"
        } else {
            extra
        };
        let profile = env!("COMPARE_PROFILE");
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown processor".into()),
            cores: Cores::get().count(),
            kernel: kernel.map_or_else(|| "unknown".into(), |text| text.trim().to_owned()),
            rustc: env!("COMPARE_RUSTC").to_owned(),
            flags: match profile {
                "release" => {
                    format!("release, lto fat, codegen-units 1, panic abort, {target}")
                }
                other => format!("{other} (not a measurement), {target}"),
            },
        }
    }

    /// The header line, without the counts of placements.
    pub fn line(&self) -> String {
        let Self {
            cpu,
            cores,
            kernel,
            rustc,
            flags,
        } = self;
        format!("{cpu}, {cores} cores; Linux {kernel}; {rustc}; {flags}")
    }
}

/// The cores that this process may run on, in order.
#[derive(Debug)]
pub struct Cores(Vec<CoreId>);

impl Cores {
    /// Asks the kernel, once: what it says later is about a thread that may have been pinned.
    pub fn get() -> &'static Self {
        static CORES: OnceLock<Cores> = OnceLock::new();
        CORES.get_or_init(|| Self(core_affinity::get_core_ids().unwrap_or_default()))
    }

    /// How many there are; 1 when the kernel does not say.
    pub fn count(&self) -> usize {
        self.0.len().max(1)
    }

    /// Pins the calling thread to core `index`, counted round and round.
    pub fn pin(&self, index: usize) {
        if !self.0.is_empty() {
            core_affinity::set_for_current(self.0[index % self.0.len()]);
        }
    }
}

/// Processor time that this process has had.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}
