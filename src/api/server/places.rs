//! Bounds the number of connections, in all and for each client.
//!
//! [`Limits`] decides, as a function of what is in use; [`Places`] counts. Every client address has a share of the
//! connections, so that one address can't shut the others out. A trusted proxy has no share: of its connections, each
//! counts for the client whose request it carries ([`Places::enter_request`]). Beyond the limits a few connections are
//! kept for health and metrics ([`Admission::HealthOnly`]).
//!
//! When all places are taken, the connection that has been without a request for longest gives way to the new one
//! ([`Places::gives_way`]). So connections that send nothing or half a head, from any number of addresses, can't shut
//! others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::patience::Patience;
use crate::metrics;

/// The most connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most connections in all, besides those for health.
    pub(super) connections: usize,
    /// The most connections for one client address.
    pub(super) per_client: usize,
    /// The connections kept for health and metrics. One client address may have a quarter of them.
    pub(super) for_health: usize,
}

/// The places in use when a connection comes.
#[derive(Clone, Copy, Debug, Default)]
struct InUse {
    connections: usize,
    /// The places of the client that the connection counts for, if any.
    of_client: Option<usize>,
    for_health: usize,
    /// The places for health of the other end of the connection.
    for_health_of_peer: usize,
}

/// The requests that a connection is accepted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Everything,
    /// Other requests are refused for this reason.
    HealthOnly(Refusal),
}

/// Why a connection or a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client's share is used up.
    Share,
    /// All places are taken.
    Full,
    /// There is not enough memory for the body.
    BodyMemory,
    /// There is not enough memory for the answer.
    AnswerMemory,
}

impl Refusal {
    /// The label of the metric.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Share => "client_connections",
            Self::Full => "connections",
            Self::BodyMemory => "body_memory",
            Self::AnswerMemory => "answer_memory",
        }
    }

    /// The reason, for the client and the log.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Share => "this address has too many connections (http.connection_limit_per_client)",
            Self::Full => "there are too many connections (http.connection_limit)",
            Self::BodyMemory => "too many large bodies are being received (http.body_memory)",
            Self::AnswerMemory => "too many large answers are being sent (http.answer_memory)",
        }
    }
}

impl Limits {
    /// How many places for health one client address may have.
    fn for_health_of_one(&self) -> usize {
        self.for_health.div_ceil(4)
    }

    fn judge(&self, in_use: InUse) -> Result<Admission, Refusal> {
        let has_share = in_use.of_client.is_none_or(|count| count < self.per_client);
        if has_share && in_use.connections < self.connections {
            return Ok(Admission::Everything);
        }
        let why = if has_share { Refusal::Full } else { Refusal::Share };
        let is_kept =
            in_use.for_health < self.for_health && in_use.for_health_of_peer < self.for_health_of_one();
        if is_kept { Ok(Admission::HealthOnly(why)) } else { Err(why) }
    }
}

/// The current connections.
pub(super) struct Places {
    limits: Limits,
    table: Mutex<Table>,
    /// Wakes the connection that has been without a request for longest.
    give_way: Notify,
    /// The number of connections without a request.
    waiting: AtomicUsize,
    /// The number of these that were told to give way and have not ended yet.
    leaving: AtomicUsize,
}

#[derive(Default)]
struct Table {
    connections: usize,
    for_health: usize,
    /// The places of each client: its own connections, and its requests over connections of proxies.
    clients: HashMap<IpAddr, usize>,
    health_clients: HashMap<IpAddr, usize>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            table: Mutex::default(),
            give_way: Notify::new(),
            waiting: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection of this peer, which counts for it unless it is a trusted proxy.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Result<Place, Refusal> {
        let client = (!is_proxy).then_some(peer);
        let mut table = self.table();
        let count =
            |counts: &HashMap<IpAddr, usize>, client| counts.get(&client).copied().unwrap_or_default();
        let in_use = InUse {
            connections: table.connections,
            of_client: client.map(|client| count(&table.clients, client)),
            for_health: table.for_health,
            for_health_of_peer: count(&table.health_clients, peer),
        };
        let with_room = InUse { connections: 0, ..in_use };
        let admission = match self.limits.judge(in_use) {
            Ok(Admission::Everything) => Admission::Everything,
            // Another connection is told to give way only if that frees a usable place.
            _ if self.limits.judge(with_room) == Ok(Admission::Everything) && self.tell_one_to_leave() => {
                Admission::Everything
            }
            other => other?,
        };
        let counted = match admission {
            Admission::Everything => {
                table.connections += 1;
                client.map(|client| Counted { counts: Counts::Clients, client })
            }
            Admission::HealthOnly(_) => {
                table.for_health += 1;
                Some(Counted { counts: Counts::Health, client: peer })
            }
        };
        if let Some(counted) = counted {
            *table.counts(counted.counts).entry(counted.client).or_default() += 1;
        }
        metrics::http_connections(table.connections + table.for_health);
        drop(table);
        Ok(Place { places: Arc::clone(self), admission, counted })
    }

    /// Counts a request over a proxy's connection for its client, for as long as the result lives. One for health may
    /// exceed the client's share a little.
    pub(super) fn enter_request(
        self: &Arc<Self>,
        client: IpAddr,
        for_health: bool,
    ) -> Result<RequestPlace, Refusal> {
        let kept = if for_health { self.limits.for_health_of_one() } else { 0 };
        let mut table = self.table();
        let count = table.clients.get(&client).copied().unwrap_or_default();
        if count >= self.limits.per_client + kept {
            return Err(Refusal::Share);
        }
        table.clients.insert(client, count + 1);
        drop(table);
        Ok(RequestPlace { places: Arc::clone(self), client })
    }

    /// Tells a connection without a request to give way. Returns whether there was one that was not told yet.
    fn tell_one_to_leave(&self) -> bool {
        let is_one = self.waiting.load(Relaxed) > self.leaving.load(Relaxed);
        if is_one {
            self.leaving.fetch_add(1, Relaxed);
            self.give_way.notify_one();
        }
        is_one
    }

    /// Completes when this connection has to give way. It must be polled only while the connection has no request.
    /// Waiting connections are told in the order in which they began to wait.
    pub(super) fn gives_way(&self) -> Notified<'_> {
        self.give_way.notified()
    }

    /// Notes that a connection gave way.
    pub(super) fn gave_way(&self) {
        self.leaving.fetch_sub(1, Relaxed);
    }
}

impl Table {
    fn counts(&mut self, counts: Counts) -> &mut HashMap<IpAddr, usize> {
        match counts {
            Counts::Clients => &mut self.clients,
            Counts::Health => &mut self.health_clients,
        }
    }

    fn leave(&mut self, Counted { counts, client }: Counted) {
        let counts = self.counts(counts);
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Counted {
    counts: Counts,
    client: IpAddr,
}

#[derive(Clone, Copy)]
enum Counts {
    Clients,
    Health,
}

/// A connection's place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    pub(super) admission: Admission,
    counted: Option<Counted>,
}

impl Place {
    fn is_for_health(&self) -> bool {
        matches!(self.admission, Admission::HealthOnly(_))
    }

    /// Marks the connection as without a request while the result lives.
    pub(super) fn wait(&self) -> Waiting {
        // A connection for health takes no ordinary place, so it need not give way.
        let places = (!self.is_for_health()).then(|| Arc::clone(&self.places));
        if let Some(places) = &places {
            places.waiting.fetch_add(1, Relaxed);
        }
        Waiting(places)
    }

    /// How long the server waits for the client now.
    pub(super) fn patience(&self) -> Patience {
        if self.is_for_health() {
            return Patience::SHORT;
        }
        let limits = self.places.limits;
        let table = self.places.table();
        let of_all = Patience::at(table.connections, limits.connections);
        let of_client = self.counted.and_then(|counted| table.clients.get(&counted.client));
        of_client.map_or(of_all, |count| of_all.min(Patience::at(*count, limits.per_client)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        match self.admission {
            Admission::Everything => table.connections -= 1,
            Admission::HealthOnly(_) => table.for_health -= 1,
        }
        if let Some(counted) = self.counted {
            table.leave(counted);
        }
        metrics::http_connections(table.connections + table.for_health);
    }
}

/// The place of a request over a proxy's connection, until it is dropped.
pub(super) struct RequestPlace {
    places: Arc<Places>,
    client: IpAddr,
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.places.table().leave(Counted { counts: Counts::Clients, client: self.client });
    }
}

/// See [`Place::wait`].
pub(super) struct Waiting(Option<Arc<Places>>);

impl Waiting {
    /// Whether the connection may be told to give way.
    pub(super) fn may_give_way(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(places) = &self.0 {
            places.waiting.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { connections: 8, per_client: 3, for_health: 4 };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn admission(entered: &Result<Place, Refusal>) -> Result<Admission, Refusal> {
        entered.as_ref().map(|place| place.admission).map_err(|why| *why)
    }

    #[test]
    fn an_address_gets_its_share_then_a_place_for_health_and_then_nothing() {
        let places = Places::new(LIMITS);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(places.enter(address(1), false));
            assert_eq!(admission(held.last().unwrap()), Ok(Admission::Everything));
        }
        held.push(places.enter(address(1), false));
        assert_eq!(admission(&held[3]), Ok(Admission::HealthOnly(Refusal::Share)));
        assert_eq!(admission(&places.enter(address(1), false)), Err(Refusal::Share));
        assert_eq!(
            admission(&places.enter(address(2), false)),
            Ok(Admission::Everything),
            "others are not touched"
        );
        held.clear();
        assert_eq!(
            admission(&places.enter(address(1), false)),
            Ok(Admission::Everything),
            "a place comes back"
        );
    }

    #[test]
    fn when_requests_take_all_places_some_are_left_for_health() {
        let places = Places::new(LIMITS);
        let held: Vec<_> = (0..8).map(|n| places.enter(address(n), false)).collect();
        let health: Vec<_> = (8..12).map(|n| places.enter(address(n), false)).collect();
        assert!(health.iter().all(|place| admission(place) == Ok(Admission::HealthOnly(Refusal::Full))));
        assert_eq!(admission(&places.enter(address(12), false)), Err(Refusal::Full));
        drop(held);
        assert_eq!(admission(&places.enter(address(12), false)), Ok(Admission::Everything));
    }

    #[test]
    fn a_proxy_has_no_share_and_each_of_its_requests_counts_for_its_client() {
        let places = Places::new(LIMITS);
        let proxied: Vec<_> = (0..6).map(|_| places.enter(address(9), true)).collect();
        assert!(proxied.iter().all(|place| admission(place) == Ok(Admission::Everything)));
        let mut requests: Vec<_> =
            (0..3).map(|_| places.enter_request(address(1), false).ok().unwrap()).collect();
        assert_eq!(places.enter_request(address(1), false).err(), Some(Refusal::Share));
        assert!(places.enter_request(address(2), false).is_ok());
        let health = places.enter_request(address(1), true);
        assert!(health.is_ok());
        assert_eq!(places.enter_request(address(1), true).err(), Some(Refusal::Share));
        drop(health);
        requests.pop();
        assert!(places.enter_request(address(1), false).is_ok());
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_one_without_a_request_for_longest_gives_way() {
        let places = Places::new(LIMITS);
        let held: Vec<_> = (0..8).map(|n| places.enter(address(n), false)).collect();
        let (first, second) = (places.gives_way(), places.gives_way());
        let waits: Vec<_> = held[..2].iter().map(|place| place.as_ref().ok().unwrap().wait()).collect();
        tokio::pin!(first, second);
        assert!(!first.as_mut().enable() && !second.as_mut().enable());

        let new = places.enter(address(20), false);
        assert_eq!(admission(&new), Ok(Admission::Everything));
        first.await;
        assert!(!second.as_mut().enable(), "one is enough");
        assert_eq!(
            admission(&places.enter(address(21), false)),
            Ok(Admission::Everything),
            "there is the second"
        );
        assert!(second.as_mut().enable());
        assert_eq!(
            admission(&places.enter(address(22), false)),
            Ok(Admission::HealthOnly(Refusal::Full)),
            "and no third"
        );
        drop((waits, held));
    }

    #[test]
    fn a_client_near_its_share_is_waited_for_a_shorter_time_and_others_are_not() {
        let places = Places::new(Limits { connections: 100, ..LIMITS });
        let held: Vec<_> = (0..3).map(|_| places.enter(address(1), false).ok().unwrap()).collect();
        assert_eq!(held[0].patience(), Patience::SHORT);
        assert_eq!(places.enter(address(2), false).ok().unwrap().patience(), Patience::CALM);
    }
}
