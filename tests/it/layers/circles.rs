//! Finds circles: modules beside each other that use each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where one module uses another that stands beside it.
pub struct Edge {
    /// The module that holds both.
    pub parent: Vec<String>,
    pub from: String,
    pub to: String,
    pub place: (String, usize),
}

/// The use of `to` by `from`, if they lie in different children of one module.
pub fn edge(from: &[String], to: &[String], place: (String, usize)) -> Option<Edge> {
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let (from, to, parent) = (from.get(shared)?.clone(), to.get(shared)?.clone(), from[..shared].to_vec());
    Some(Edge { parent, from, to, place })
}

/// Each circle once, as the uses that it consists of; of several through one use, the shortest.
pub fn circles(edges: &[Edge]) -> Vec<Vec<&Edge>> {
    let mut uses: BTreeMap<(&[String], &str), BTreeMap<&str, &Edge>> = BTreeMap::new();
    for edge in edges {
        uses.entry((&edge.parent, &edge.from)).or_default().entry(&edge.to).or_insert(edge);
    }
    let mut known = BTreeSet::new();
    let mut circles = Vec::new();
    for edge in uses.values().flat_map(BTreeMap::values) {
        let Some(circle) = way_back(edge, &uses) else { continue };
        let members: BTreeSet<&str> = circle.iter().map(|edge| edge.from.as_str()).collect();
        if known.insert((&edge.parent, members)) {
            circles.push(circle);
        }
    }
    circles
}

/// The use, and the shortest way from what it uses back to where it stands.
fn way_back<'a>(
    first: &'a Edge,
    uses: &BTreeMap<(&[String], &str), BTreeMap<&str, &'a Edge>>,
) -> Option<Vec<&'a Edge>> {
    let mut reached = BTreeSet::from([first.to.as_str()]);
    let mut ways = VecDeque::from([vec![first]]);
    while let Some(way) = ways.pop_front() {
        let last = way.last()?;
        if last.to == first.from {
            return Some(way);
        }
        for next in
            uses.get(&(first.parent.as_slice(), last.to.as_str())).into_iter().flat_map(BTreeMap::values)
        {
            if next.to == first.from || reached.insert(&next.to) {
                ways.push_back(way.iter().copied().chain([*next]).collect());
            }
        }
    }
    None
}
