//! Memory: of a launch in an open window, averaged as the window fills; and of the processes after a bulk.

use ledger::{Digest, Place, SeenSet};

use super::post;
use crate::{
    arguments::Run,
    launches::Launches,
    pipeline::Pipeline,
    report::{Figure, Goal, grouped},
};

/// Windows of a small shop's day, a large one's, and a payment company's.
const WINDOWS: [u64; 3] = [4_096, 65_536, 1_000_000];
const SERIES: u64 = 6;

pub fn run(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let means: Vec<u64> = WINDOWS.iter().map(|launches| mean_millibytes(*launches)).collect();
    let worst = means.iter().copied().max().unwrap_or(0);
    let each: Vec<String> = WINDOWS
        .iter()
        .zip(&means)
        .map(|(n, mean)| format!("{}: {}.{}", grouped(*n), mean / 1_000, mean / 100 % 10))
        .collect();
    let window = Figure {
        name: "memory a launch in an open window, averaged as it fills".to_owned(),
        unit: "bytes",
        saldo: worst.div_ceil(1_000),
        reference: None,
        goal: Some(Goal::AtMost(48)),
        latency: None,
        notes: format!("the largest of windows of {}", each.join(", ")),
    };
    Ok([vec![window], processes(run)?].concat())
}

/// Mean over the filling of bytes a launch, in thousandths.
fn mean_millibytes(launches: u64) -> u64 {
    let mut set = SeenSet::default();
    let mut sum = 0;
    for number in 1..=launches {
        let id = Digest::of(&number.to_be_bytes());
        set.insert(id, id, Place::new(number, 1));
        sum += u64::try_from(set.memory_bytes()).unwrap_or(u64::MAX) * 1_000 / number;
    }
    sum / launches
}

fn processes(run: &Run) -> anyhow::Result<Vec<Figure>> {
    let count = run.bulk_launches();
    let pipeline = Pipeline::start(&run.saldo, run.partitions())?;
    let [idle, _] = pipeline.resident_bytes()?;
    post::bulk(&pipeline.edges, Launches::new(run.seed, SERIES), count)?;
    let [saldo, nats_server] = pipeline.resident_bytes()?;
    pipeline.stop()?;
    let figure = |name: &str, bytes: u64, notes: String| Figure {
        name: format!("resident memory of {name} after a bulk"),
        unit: "MiB",
        saldo: bytes / 1_048_576,
        reference: None,
        goal: None,
        latency: None,
        notes,
    };
    Ok(vec![
        figure(
            "saldo",
            saldo,
            format!("{} launches of one day; {} MiB when it had started", grouped(count), idle / 1_048_576),
        ),
        figure("its nats-server", nats_server, String::new()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_taken_over_the_filling() {
        let mut set = SeenSet::default();
        let id = Digest::of(&1_u64.to_be_bytes());
        set.insert(id, id, Place::new(1, 1));
        assert_eq!(mean_millibytes(1), set.memory_bytes() as u64 * 1_000);
        assert!(mean_millibytes(4_096) < mean_millibytes(1));
    }
}
