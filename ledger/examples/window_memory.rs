//! Memory and time that a window's ids take while it fills: `cargo run --release --example window_memory`.
//!
//! `mean` is the mean over the whole filling of bytes held a launch; `mean -48` leaves out the set's own fixed 48 bytes;
//! `worst` is the largest value of the last tenth of it.

use std::time::{Duration, Instant};

use ledger::{Digest, Place, Seen, SeenSet};

fn main() {
    println!("{:>9} {:>7} {:>9} {:>7} {:>10} {:>10}", "launches", "mean", "mean -48", "worst", "insert ns", "check ns");
    for launches in [1_u32, 2, 4, 8, 32, 128, 512, 4_096, 65_536, 1_000_000] {
        report(launches);
    }
}

fn report(launches: u32) {
    let filling = fill(launches);
    let check = check_time(&filling.set, launches);
    let count = u128::from(launches);
    println!(
        "{:>9} {:>7} {:>9} {:>7} {:>10} {:>10}",
        launches,
        tenths(filling.mean_tenths),
        tenths(filling.mean_heap_tenths),
        tenths(filling.worst_tenths),
        filling.insert_time.as_nanos() / count,
        check.as_nanos() / count,
    );
}

#[derive(Default)]
struct Filling {
    set: SeenSet,
    mean_tenths: u64,
    mean_heap_tenths: u64,
    worst_tenths: u64,
    insert_time: Duration,
}

fn fill(launches: u32) -> Filling {
    let mut filling = Filling::default();
    let ids: Vec<Digest> = (0..launches).map(id).collect();
    let start = Instant::now();
    for (number, id) in (1..).zip(&ids) {
        filling.set.insert(*id, *id, Place::new(number, 1));
        let bytes = filling.set.memory_bytes() as u64;
        filling.mean_tenths += bytes * 10 / number;
        filling.mean_heap_tenths += (bytes - size_of::<SeenSet>() as u64) * 10 / number;
        if number * 10 >= u64::from(launches) * 9 {
            filling.worst_tenths = filling.worst_tenths.max(bytes * 10 / number);
        }
    }
    filling.insert_time = start.elapsed();
    filling.mean_tenths /= u64::from(launches);
    filling.mean_heap_tenths /= u64::from(launches);
    filling
}

/// Looks up as many unknown ids: they must be searched everywhere.
fn check_time(set: &SeenSet, launches: u32) -> Duration {
    let unknown: Vec<Digest> = (0..launches).map(|number| id(u32::MAX - number)).collect();
    let start = Instant::now();
    let place = Place::new(u64::MAX, 1);
    let new = unknown.iter().filter(|id| set.check(**id, **id, place) == Seen::New).count();
    assert_eq!(new, unknown.len());
    start.elapsed()
}

fn id(number: u32) -> Digest {
    Digest::of(&number.to_be_bytes())
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}
