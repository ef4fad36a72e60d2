//! How long a typical line of the log takes to read, both digests included: `cargo run --release --example parse_speed`.

use std::hint::black_box;
use std::time::Instant;

const LINES: usize = 20_000;
const ROUNDS: usize = 20;

fn main() {
    let tenant = ledger::Tenant::parse("acme").ok();
    for (name, id) in [("short ids", ""), ("long ids ", "7f3c9a52-5b1e-4d0a-9c66-")] {
        let lines: Vec<Vec<u8>> = (0..LINES).map(|number| line(id, number)).collect();
        let bytes = lines.iter().map(Vec::len).sum::<usize>() / LINES;
        let logged = nanoseconds_a_line(&lines, |line| ledger::parse_logged(line).is_ok());
        let posted = nanoseconds_a_line(&lines, |line| {
            tenant.as_ref().is_some_and(|tenant| ledger::parse_posted(line, tenant).is_ok())
        });
        println!("{name}: {bytes} bytes a line, parse_logged {logged} ns, parse_posted {posted} ns");
    }
}

fn line(id: &str, number: usize) -> Vec<u8> {
    format!(
        "{{\"id\":\"{id}{number:012}\",\"tenant\":\"acme\",\"account\":\"store-17\",\"date\":\"2026-11-22\",\"kind\":\"credit\",\
         \"amount\":\"{}.75\",\"currency\":\"BRL\",\"occurred_at\":\"2026-11-22T10:00:00-03:00\",\
         \"description\":\"coffee and cake\",\"category\":\"sales\"}}",
        number + 1
    )
    .into_bytes()
}

/// The quickest of some rounds: the others were disturbed.
fn nanoseconds_a_line(lines: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) -> u128 {
    let round = || {
        let start = Instant::now();
        let good = lines.iter().filter(|line| read(black_box(line))).count();
        assert_eq!(good, lines.len());
        start.elapsed().as_nanos() / lines.len() as u128
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}
