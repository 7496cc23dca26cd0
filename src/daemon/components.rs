//! The parts of the daemon that the HTTP server works with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::broker::BrokerStates;
use crate::adapters::OperatorSettings;
use crate::api::LoginLimiter;
use crate::catalog::CachedCatalog;
use crate::config::Config;
use crate::pipeline::Clock;
use crate::pipeline::amqp::{BrokerState, Commands};
use crate::pipeline::bounded_quarantine::BoundedQuarantine;
use crate::pipeline::condition::Condition;
use crate::pipeline::deliver::DelivererHandle;
use crate::pipeline::holds::Holds;
use crate::pipeline::live::Live;
use crate::pipeline::parts;
use crate::pipeline::standing::Part;
use crate::pipeline::test_send::TestSender;
use crate::store::merge_requests::MergeRequests;
use crate::store::{Alerts, EventRecords, Inbox, Ledger, Outbox, Quarantine, Registry, Store, Watches};
use crate::wire::Wire;
use crate::{api, metrics, store};

/// How long an answer of the mail relay or the forge is reused.
const KEEP_ANSWERS: Duration = Duration::from_secs(30);

/// The parts of the daemon that the HTTP server needs.
pub(super) struct Components {
    pub(super) store: Arc<dyn Store>,
    pub(super) junk: Arc<BoundedQuarantine>,
    pub(super) catalog: Arc<CachedCatalog>,
    pub(super) holds: Holds,
    pub(super) tests: TestSender,
    pub(super) wire: Live<Wire>,
    pub(super) deliverer: DelivererHandle,
    pub(super) http: Live<api::Config>,
    pub(super) arrived: Arc<Notify>,
    pub(super) broker: BrokerStates,
    pub(super) commands: Live<Option<Commands>>,
    pub(super) last_reload: Live<Option<Part>>,
    pub(super) condition: Condition,
    pub(super) clock: Clock,
    pub(super) metrics: metrics::Handle,
    pub(super) tasks: TaskTracker,
}

/// The state of the HTTP server.
///
/// # Errors
/// The operating system gives no random numbers.
pub(super) fn http_state(config: &Config, components: Components) -> store::Result<api::State> {
    let Components {
        store,
        junk,
        catalog,
        holds,
        tests,
        wire,
        deliverer,
        http,
        arrived,
        broker,
        commands,
        last_reload,
        condition,
        clock,
        metrics,
        tasks,
    } = components;
    let sessions = Arc::new(api::Sessions::new(&config.secrets)?);
    let of_broker = move || {
        let broker = broker.get();
        let connections = broker.iter().try_for_each(|state| match &*state.borrow() {
            BrokerState::Away { since, why } => Err(format!("away since {since}: {why}")),
            BrokerState::Connected => Ok(()),
        });
        (!broker.is_empty()).then_some(connections)
    };
    Ok(api::State {
        config: http,
        inbox: Arc::clone(&store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(&store) as Arc<dyn Quarantine>,
        junk,
        ledger: Arc::clone(&store) as Arc<dyn Ledger>,
        event_records: Arc::clone(&store) as Arc<dyn EventRecords>,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        watches: Arc::clone(&store) as Arc<dyn Watches>,
        alerts: Arc::clone(&store) as Arc<dyn Alerts>,
        merge_requests: Arc::clone(&store) as Arc<dyn MergeRequests>,
        registry: store as Arc<dyn Registry>,
        arrived,
        broker: Arc::new(of_broker),
        last_reload,
        parts: parts_asked(wire, &tests),
        condition,
        clock: Arc::new(move || clock.now()),
        metrics,
        catalog,
        holds,
        tests,
        commands,
        written: written(&deliverer),
        stored: Arc::new(move |destination| deliverer.note_backlog(destination)),
        tasks,
        login_limiter: Arc::new(Mutex::new(LoginLimiter::new(config.http.login_failures))),
        sessions,
        event_refusals: Arc::default(),
        large_bodies: Arc::new(Semaphore::new(1)),
    })
}

/// The found parts, the time, and the settings that were used.
struct KnownParts {
    at: Instant,
    wire: Arc<Wire>,
    operator: Arc<OperatorSettings>,
    found: Vec<Part>,
}

impl KnownParts {
    /// Whether the answers are recent enough, and made under these settings.
    fn is_current(&self, wire: &Arc<Wire>, operator: &Arc<OperatorSettings>) -> bool {
        self.at.elapsed() < KEEP_ANSWERS
            && Arc::ptr_eq(&self.wire, wire)
            && Arc::ptr_eq(&self.operator, operator)
    }
}

/// A function that checks the mail relay and the forge. Answers are kept for a moment, so that frequent checks do not
/// load the relay, and a wrong password does not lock the account.
fn parts_asked(
    wire: Live<Wire>,
    tests: &TestSender,
) -> Arc<dyn Fn() -> BoxFuture<'static, Vec<Part>> + Send + Sync> {
    let operator = tests.operator.clone();
    let known: Arc<tokio::sync::Mutex<Option<KnownParts>>> = Arc::default();
    Arc::new(move || {
        let (wire, operator, known) = (wire.get(), operator.get(), Arc::clone(&known));
        async move {
            let mut known = known.lock().await;
            if let Some(known) = &*known
                && known.is_current(&wire, &operator)
            {
                return known.found.clone();
            }
            let (relay, forge) = tokio::join!(
                parts::mail_relay(wire.smtp(), &operator.mail.from),
                parts::forge_api(&operator.forge, &*wire)
            );
            let found: Vec<Part> = relay.into_iter().chain(forge).collect();
            *known = Some(KnownParts { at: Instant::now(), wire, operator, found: found.clone() });
            found
        }
        .boxed()
    })
}

fn written(deliverer: &DelivererHandle) -> Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync> {
    let deliverer = deliverer.clone();
    Arc::new(move || {
        let deliverer = deliverer.clone();
        async move { deliverer.flush().await }.boxed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::pipeline::holds::Holds;
    use crate::pipeline::parts::MAIL_RELAY;

    fn wire(options: &[&str]) -> Wire {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        Wire::new(&Config::load(Sources::for_tests(&options)).unwrap().wire).unwrap()
    }

    #[tokio::test]
    async fn the_status_asks_the_relay_that_a_reload_named() {
        let live = Live::new(wire(&[]));
        let tests = TestSender {
            transport: Arc::new(live.clone()),
            pace: Arc::default(),
            operator: Live::default(),
            holds: Holds::default(),
        };
        let ask = parts_asked(live.clone(), &tests);
        assert!(ask().await.is_empty(), "no relay is configured");
        live.set(wire(&["smtp.host=127.0.0.1", "smtp.port=1", "mail.from=bell@forge.example"]));
        let found = ask().await;
        let [relay] = &found[..] else { panic!("the relay alone: {found:?}") };
        assert_eq!(relay.name, MAIL_RELAY);
        assert!(relay.found.as_ref().is_err_and(|why| why.contains("127.0.0.1:1")), "{relay:?}");
    }
}
