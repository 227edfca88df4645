//! What an operator asks of the machine under the agent (`/v1/agent/host`), in the form in which
//! Consul's tools read it. Linux tells all of it in `/proc`; elsewhere `Errors` says what is
//! missing.

use crate::indented::indented;
use serde_json::{Map, Value, json};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the running kernel tells of itself.
const PROC: &str = "/proc";

/// Everything, as JSON.
#[must_use]
pub(crate) fn tell(pretty: bool) -> Vec<u8> {
    let mut errors = Vec::new();
    let mut part = |told: Result<Value, String>| {
        told.unwrap_or_else(|error| {
            errors.push(Value::from(error));
            Value::Null
        })
    };
    let memory = part(read("meminfo").map(|text| memory(&text)));
    let processors = part(read("cpuinfo").map(|text| processors(&text)));
    let host = part(host());
    let disk = part(disk("/"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let told = json!({
        "Memory": memory,
        "CPU": processors,
        "Host": host,
        "Disk": disk,
        "CollectionTime": u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        "Errors": if errors.is_empty() { Value::Null } else { Value::Array(errors) },
    });
    let text = if pretty { indented(&told) } else { told.to_string() };
    text.into_bytes()
}

fn read(name: &str) -> Result<String, String> {
    let path = format!("{PROC}/{name}");
    fs::read_to_string(&path).map_err(|error| format!("open {path}: {error}"))
}

/// Field names of Consul's answer, and the rows of `meminfo` that hold them.
const MEMORY: &[(&str, &str)] = &[
    ("total", "MemTotal"),
    ("available", "MemAvailable"),
    ("free", "MemFree"),
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("buffers", "Buffers"),
    ("cached", "Cached"),
    ("writeback", "Writeback"),
    ("dirty", "Dirty"),
    ("writebacktmp", "WritebackTmp"),
    ("shared", "Shmem"),
    ("slab", "Slab"),
    ("sreclaimable", "SReclaimable"),
    ("sunreclaim", "SUnreclaim"),
    ("pagetables", "PageTables"),
    ("swapcached", "SwapCached"),
    ("commitlimit", "CommitLimit"),
    ("committedas", "Committed_AS"),
    ("hightotal", "HighTotal"),
    ("highfree", "HighFree"),
    ("lowtotal", "LowTotal"),
    ("lowfree", "LowFree"),
    ("swaptotal", "SwapTotal"),
    ("swapfree", "SwapFree"),
    ("mapped", "Mapped"),
    ("vmalloctotal", "VmallocTotal"),
    ("vmallocused", "VmallocUsed"),
    ("vmallocchunk", "VmallocChunk"),
    ("hugepagestotal", "HugePages_Total"),
    ("hugepagesfree", "HugePages_Free"),
    ("hugepagesize", "Hugepagesize"),
];

fn memory(text: &str) -> Value {
    let rows: Map<String, Value> = fields(text)
        .filter_map(|(name, value)| {
            let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
            let unit = if unit == "kB" { 1024 } else { 1 };
            Some((name.to_owned(), Value::from(number.parse::<u64>().ok()? * unit)))
        })
        .collect();
    let row = |name: &str| rows.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut told: Map<String, Value> =
        MEMORY.iter().map(|(field, name)| ((*field).to_owned(), row(name).into())).collect();
    let kept = row("MemFree") + row("Buffers") + row("Cached") + row("SReclaimable");
    let used = row("MemTotal").saturating_sub(kept);
    told.insert("cached".to_owned(), (row("Cached") + row("SReclaimable")).into());
    told.insert("used".to_owned(), used.into());
    told.insert("usedPercent".to_owned(), percent(used, row("MemTotal")));
    told.insert("wired".to_owned(), 0.into());
    told.insert("laundry".to_owned(), 0.into());
    Value::Object(told)
}

fn processors(text: &str) -> Value {
    let one = |rows: &str| {
        let rows: Map<String, Value> =
            fields(rows).map(|(name, value)| (name.to_owned(), value.into())).collect();
        let text = |name: &str| rows.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| text(name).parse::<u64>().unwrap_or_default();
        let cache = text("cache size").split(' ').next().unwrap_or_default();
        json!({
            "cpu": number("processor"),
            "vendorId": text("vendor_id"),
            "family": text("cpu family"),
            "model": text("model"),
            "stepping": number("stepping"),
            "physicalId": text("physical id"),
            "coreId": text("core id"),
            "cores": 1,
            "modelName": text("model name"),
            "mhz": text("cpu MHz").parse::<f64>().unwrap_or_default(),
            "cacheSize": cache.parse::<u64>().unwrap_or_default(),
            "flags": text("flags").split_whitespace().collect::<Vec<_>>(),
            "microcode": text("microcode"),
        })
    };
    let each = text.split("\n\n").filter(|rows| fields(rows).any(|(name, _)| name == "processor"));
    each.map(one).collect()
}

fn host() -> Result<Value, String> {
    let line = |name: &str| read(name).map(|text| text.trim().to_owned());
    let uptime = line("uptime")?;
    let uptime = uptime.split('.').next().and_then(|text| text.parse::<u64>().ok());
    let stat = read("stat")?;
    let booted =
        stat.lines().find_map(|row| row.strip_prefix("btime ")?.trim().parse::<u64>().ok());
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let processes = fs::read_dir(PROC).map_err(|error| error.to_string())?;
    let processes = processes
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(is_process))
        .count();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of_release = |wanted: &str| {
        let found = release.lines().find_map(|row| row.strip_prefix(wanted)?.strip_prefix('='));
        found.unwrap_or_default().trim_matches('"').to_owned()
    };
    let like = of_release("ID_LIKE");
    let platform = of_release("ID");
    let family = if like.is_empty() { platform.clone() } else { like };
    Ok(json!({
        "hostname": line("sys/kernel/hostname")?,
        "uptime": uptime.unwrap_or_default(),
        "bootTime": booted.unwrap_or_default(),
        "procs": processes,
        "os": std::env::consts::OS,
        "platform": platform,
        "platformFamily": family,
        "platformVersion": of_release("VERSION_ID"),
        "kernelVersion": line("sys/kernel/osrelease")?,
        "kernelArch": std::env::consts::ARCH,
        "virtualizationSystem": "",
        "virtualizationRole": "",
        "hostid": line("sys/kernel/random/boot_id")?,
    }))
}

/// The file system that holds `path`.
#[cfg(not(madsim))]
fn disk(path: &str) -> Result<Value, String> {
    let told = rustix::fs::statvfs(path).map_err(|error| format!("statfs {path}: {error}"))?;
    let mounts = read("self/mounts").unwrap_or_default();
    // Who was mounted last at this place is the one that is seen.
    let kind = mounts.lines().rev().find_map(|row| {
        let mut words = row.split(' ').skip(1);
        (words.next()? == path).then(|| words.next())?
    });
    let total = told.f_blocks * told.f_frsize;
    let free = told.f_bavail * told.f_frsize;
    let used = told.f_blocks.saturating_sub(told.f_bfree) * told.f_frsize;
    let nodes_used = told.f_files.saturating_sub(told.f_ffree);
    Ok(json!({
        "path": path,
        "fstype": kind.unwrap_or_default(),
        "total": total,
        "free": free,
        "used": used,
        "usedPercent": percent(used, used + free),
        "inodesTotal": told.f_files,
        "inodesUsed": nodes_used,
        "inodesFree": told.f_ffree,
        "inodesUsedPercent": percent(nodes_used, told.f_files),
    }))
}

#[cfg(madsim)]
fn disk(path: &str) -> Result<Value, String> {
    Err(format!("statfs {path}: there are no disks in a simulation"))
}

/// `name: value` rows.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|row| {
        let (name, value) = row.split_once(':')?;
        Some((name.trim(), value.trim()))
    })
}

fn percent(part: u64, whole: u64) -> Value {
    // In hundredths, so that no precision is pretended.
    let share = u128::from(part) * 10_000 / u128::from(whole.max(1));
    Value::from(f64::from(u32::try_from(share).unwrap_or(u32::MAX)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_kernel_become_consuls_fields() {
        let told = memory("MemTotal:  1000 kB\nMemFree: 100 kB\nCached: 300 kB\nBuffers: 100 kB\n");
        assert_eq!(told["total"], 1_024_000);
        assert_eq!(told["used"], 512_000);
        assert_eq!(told["usedPercent"], 50.0);
        assert_eq!(told["swapfree"], 0);
        let rows =
            "processor\t: 0\nflags\t: fpu vme\ncpu MHz\t: 2.5\n\nprocessor\t: 1\n\nHardware: x\n";
        let told = processors(rows);
        assert_eq!(told.as_array().map(Vec::len), Some(2));
        assert_eq!(told[0]["flags"], json!(["fpu", "vme"]));
        assert_eq!(told[0]["mhz"], 2.5);
        assert_eq!(told[1]["cpu"], 1);
    }

    #[cfg(all(target_os = "linux", not(madsim)))]
    #[test]
    fn this_machine_tells_everything() {
        let told: Value = serde_json::from_slice(&tell(true)).unwrap();
        assert_eq!(told["Errors"], Value::Null, "{told}");
        assert!(told["Memory"]["total"].as_u64() > told["Memory"]["used"].as_u64(), "{told}");
        assert!(told["Disk"]["total"].as_u64() > Some(0), "{told}");
        assert!(!told["CPU"].as_array().unwrap().is_empty(), "{told}");
        assert_eq!(told["Host"]["os"], "linux", "{told}");
    }
}
