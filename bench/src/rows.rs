//! The rows of the table, each with its reference.

mod bulk;
mod cluster;
mod cql;
mod memory;
mod post;
mod reads;
mod replay;
mod singles;
mod tenants;
mod visible;

use crate::{
    arguments::{RowName, Run},
    machine::Machine,
    report::{Figure, Report},
};

type Row = fn(&Run) -> anyhow::Result<Vec<Figure>>;

/// In the order of the table.
const ROWS: &[(RowName, &str, Row)] = &[
    (RowName::Singles, "single launches", singles::run),
    (RowName::Bulk, "NDJSON bulk", bulk::run),
    (RowName::Replay, "replay", replay::run),
    (RowName::Reads, "cached reads", reads::run),
    (RowName::Visible, "POST to visible", visible::run),
    (RowName::Tenants, "tenants beside each other", tenants::run),
    (RowName::Memory, "memory", memory::run),
    (RowName::CqlBulkMany, "CQL store: bulk over 10,000 accounts", cql::over_many_accounts),
    (RowName::CqlBulkFew, "CQL store: bulk over 100 accounts", cql::over_few_accounts),
    (RowName::CqlReplay, "CQL store: replay", cql::replay),
    (RowName::CqlAggregators, "CQL store: one, two, three aggregators", cql::aggregators),
    (RowName::CqlTakeover, "CQL store: an aggregator is killed", cql::takeover),
    (RowName::ClusterBulk, "log in three copies: bulk", cluster::packed),
    (RowName::ClusterSingles, "log in three copies: single launches", cluster::singles),
];

/// Measures what is wanted, prints the table, writes the JSON.
pub fn run(run: &Run) -> anyhow::Result<()> {
    let machine = Machine::look(&run.saldo, run.postgres.as_deref());
    let mut report = Report::new(machine, run.seed, run.quick, run.partitions());
    for (row, title, measure) in ROWS {
        if run.wants(*row) {
            eprintln!("{title}");
            report.add(measure(run)?);
        }
    }
    println!("{}", report.table());
    if let Some(file) = &run.json {
        report.write_json(file)?;
    }
    Ok(())
}
