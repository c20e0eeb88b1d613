//! The cases timed as native code, built for speed: what the core's own work is worth beside other
//! native code. Times are of one machine; what decides are the counts of instructions.

use std::time::{Duration, Instant};

use millrace_bench_core::{Case, cases};

/// How long each case is repeated.
const FOR: Duration = Duration::from_millis(400);

fn main() {
    println!("| case | unit | ns | MB/s |");
    println!("| --- | --- | ---: | ---: |");
    for case in cases() {
        let ns = least_ns(case);
        let bytes = (case.bytes)();
        let rate = if bytes == 0 { String::new() } else { format!("{:.0}", bytes as f64 * 1000.0 / ns) };
        println!("| {} | {} | {ns:.0} | {rate} |", case.name, case.unit);
    }
}

/// The least time of a unit in nanoseconds: whatever is above it is another's.
fn least_ns(case: &Case) -> f64 {
    let mut least = f64::INFINITY;
    let begun = Instant::now();
    while begun.elapsed() < FOR {
        let (work, units) = (case.prepare)();
        let start = Instant::now();
        work();
        least = least.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(units.max(1)));
    }
    least
}
