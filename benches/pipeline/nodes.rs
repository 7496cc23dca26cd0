//! One node over SQLite beside one and two nodes over one PostgreSQL, with one queue.

use anyhow::Result;

use crate::bench::{Bench, Drained, Load};
use crate::figures::median;
use crate::harness::postgres::Postgres;
use crate::report::verdict;

/// The ways, each with its number of nodes over PostgreSQL.
const WAYS: [(&str, usize); 3] = [("SQLite", 0), ("PostgreSQL, one node", 1), ("PostgreSQL, two nodes", 2)];

/// All ways in turn, with the same load.
pub async fn side_by_side(bench: &mut Bench, events: usize, rounds: usize) -> Result<()> {
    let server = Postgres::alone("bench");
    let load = bench.load(events);
    println!("\nNodes with one queue\n\n  round  way                      events/s  CPU s/10,000  peak MB");
    let mut of_ways = [const { Vec::new() }; WAYS.len()];
    for round in 1..=rounds {
        for ((way, nodes), all) in WAYS.iter().zip(&mut of_ways) {
            let drained = drained(bench, &server, *nodes, load).await?;
            let Drained { per_second, cpu, peak, .. } = drained;
            println!("  {round:>5}  {way:22} {per_second:10.0}  {cpu:12.2}  {peak:7.1}");
            all.push(drained);
        }
    }
    let [sqlite, one, two] = of_ways.map(|all| median(all.iter().map(|one| one.per_second)));
    let more = format!("one_by_sqlite={:.2} sqlite={sqlite:.0} one={one:.0} two={two:.0}", one / sqlite);
    verdict("nodes", two / one, "-", &more);
    Ok(())
}

/// What so many nodes over a new database do; none is one over SQLite.
async fn drained(bench: &mut Bench, server: &Postgres, nodes: usize, load: Load) -> Result<Drained> {
    if nodes == 0 {
        return bench.drain_by_nodes(load, &[Vec::new()]).await;
    }
    let database = server.database();
    let node = |number| vec![format!("store.url={database}"), format!("node.name=node-{number}")];
    bench.drain_by_nodes(load, &(1..=nodes).map(node).collect::<Vec<_>>()).await
}
