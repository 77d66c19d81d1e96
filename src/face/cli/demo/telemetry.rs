//! This machine's own telemetry, source by source, fresh from `/proc` at each call.

use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo, ProcResult};

/// Where readings come from; a producer goes round them.
pub(super) const SOURCES: [Source; 5] = [cpu, memory, disks, network, processes];

/// Reads one source and appends what it says.
pub(super) type Source = fn(&mut Readings) -> ProcResult<()>;

/// Metric and value.
pub(super) type Readings = Vec<(String, f64)>;

fn put(readings: &mut Readings, scope: &str, values: &[(&str, u64)]) {
    for (name, value) in values {
        readings.push((format!("{scope}.{name}"), *value as f64));
    }
}

fn cpu(readings: &mut Readings) -> ProcResult<()> {
    let stats = KernelStats::current()?;
    for (index, time) in stats.cpu_time.iter().enumerate() {
        let values = [
            ("user", time.user),
            ("nice", time.nice),
            ("system", time.system),
            ("idle", time.idle),
            ("iowait", time.iowait.unwrap_or(0)),
            ("irq", time.irq.unwrap_or(0)),
            ("softirq", time.softirq.unwrap_or(0)),
            ("steal", time.steal.unwrap_or(0)),
        ];
        put(readings, &format!("cpu.{index}"), &values);
    }
    put(
        readings,
        "cpu",
        &[("switches", stats.ctxt), ("forks", stats.processes)],
    );
    let load = LoadAverage::current()?;
    readings.push(("load.one".to_owned(), f64::from(load.one)));
    readings.push(("load.five".to_owned(), f64::from(load.five)));
    readings.push(("load.fifteen".to_owned(), f64::from(load.fifteen)));
    Ok(())
}

fn memory(readings: &mut Readings) -> ProcResult<()> {
    let memory = Meminfo::current()?;
    let values = [
        ("total", memory.mem_total),
        ("free", memory.mem_free),
        ("available", memory.mem_available.unwrap_or(0)),
        ("buffers", memory.buffers),
        ("cached", memory.cached),
        ("active", memory.active),
        ("inactive", memory.inactive),
        ("dirty", memory.dirty),
        ("writeback", memory.writeback),
        ("mapped", memory.mapped),
        ("shared", memory.shmem.unwrap_or(0)),
        ("slab", memory.slab),
        ("committed", memory.committed_as),
        ("swap_free", memory.swap_free),
    ];
    put(readings, "memory", &values);
    for (name, value) in procfs::vmstat()? {
        readings.push((format!("vm.{name}"), value as f64));
    }
    Ok(())
}

fn disks(readings: &mut Readings) -> ProcResult<()> {
    for disk in procfs::diskstats()? {
        let values = [
            ("reads", disk.reads),
            ("sectors_read", disk.sectors_read),
            ("reading_ms", disk.time_reading),
            ("writes", disk.writes),
            ("sectors_written", disk.sectors_written),
            ("writing_ms", disk.time_writing),
            ("in_progress", disk.in_progress),
            ("busy_ms", disk.time_in_progress),
        ];
        put(readings, &format!("disk.{}", disk.name), &values);
    }
    Ok(())
}

fn network(readings: &mut Readings) -> ProcResult<()> {
    for (name, device) in procfs::net::dev_status()? {
        let values = [
            ("recv_bytes", device.recv_bytes),
            ("recv_packets", device.recv_packets),
            ("recv_errors", device.recv_errs),
            ("recv_dropped", device.recv_drop),
            ("sent_bytes", device.sent_bytes),
            ("sent_packets", device.sent_packets),
            ("sent_errors", device.sent_errs),
            ("sent_dropped", device.sent_drop),
        ];
        put(readings, &format!("net.{name}"), &values);
    }
    Ok(())
}

fn processes(readings: &mut Readings) -> ProcResult<()> {
    // One that ends while it is being read is not there: that is no error.
    for process in procfs::process::all_processes()?.flatten() {
        let Ok(stat) = process.stat() else { continue };
        let values = [
            ("user", stat.utime),
            ("system", stat.stime),
            ("minor_faults", stat.minflt),
            ("major_faults", stat.majflt),
            ("virtual_bytes", stat.vsize),
            ("resident_pages", stat.rss),
            ("started", stat.starttime),
        ];
        put(readings, &format!("process.{}", stat.pid), &values);
        readings.push((
            format!("process.{}.threads", stat.pid),
            stat.num_threads as f64,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_memory_and_processes_can_be_read() -> ProcResult<()> {
        for source in [cpu, memory, processes] {
            let mut readings = Readings::new();
            source(&mut readings)?;
            assert!(readings.len() > 5, "{readings:?}");
        }
        Ok(())
    }
}
