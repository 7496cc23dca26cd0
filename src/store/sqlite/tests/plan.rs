//! Query plans. Each statement that any test runs is checked once: it must not read a whole table that grows.

use std::collections::HashSet;
use std::sync::Mutex;

use rusqlite::Connection;

/// Tables that grow with the number of events, with their aliases.
const GROWING: [&str; 5] = ["deliveries", "d", "events", "e", "attempts"];

/// Indexes of waiting and dead rows. Statements that run seldom may read them whole.
const SMALL: [&str; 3] = ["deliveries_lane", "deliveries_leases", "deliveries_dead"];

/// Ending holds, ending all leases, lists of waiting rows, gauges; and whether there is any waiting row, which reads one.
const SELDOM: [&str; 7] = [
    "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?1",
    "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2",
    "SELECT id, lane FROM deliveries INDEXED BY deliveries_leases WHERE state = 2",
    "SELECT d.id AS id, d.state AS state, e.id AS event_id, ",
    "SELECT\n     (SELECT count(*) FROM inbox),",
    "SELECT integration, target, destination, count(*) AS deliveries, ",
    "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_lane WHERE state <= 1)",
];

static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Panics if a statement would read a whole table that grows.
pub(in crate::store::sqlite) fn check(connection: &Connection, sql: &str) {
    let new = SEEN.lock().unwrap().get_or_insert_default().insert(sql.to_owned());
    if !new {
        return;
    }
    let plan = plan(connection, sql);
    let seldom = SELDOM.iter().any(|start| sql.starts_with(start));
    let scans = plan.iter().filter(|line| {
        let mut words = line.split(' ');
        words.next() == Some("SCAN")
            && words.next().is_some_and(|table| GROWING.contains(&table))
            && !(seldom && words.next_back().is_some_and(|index| SMALL.contains(&index)))
    });
    assert_eq!(scans.count(), 0, "a full scan\n{sql}\n{plan:#?}");
}

/// The plan's lines, without their numbers.
pub(super) fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // The plan does not depend on the parameters.
    let lines = statement.raw_query().mapped(|row| row.get(3));
    lines.collect::<rusqlite::Result<_>>().unwrap()
}
