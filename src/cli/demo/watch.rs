//! The output while the story runs: the events sent, the messages that arrive, and the retries.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::show::{Paint, message};
use super::stage::Stage;
use super::stand_ins::Service;
use super::story::{self, Scene};
use super::tally::Arrival;
use crate::cli::events_client::Answer;
use crate::cli::say;
use crate::cli::table::printable;
use crate::daemon;
use crate::store::{DeliveryDetail, DeliveryId};

pub(super) struct Watch {
    paint: Paint,
    began: Instant,
    /// What the simulated services received, refused or not, in order.
    pub(super) arrivals: Vec<Arrival>,
    /// The number of attempts of each delivery that were shown.
    told: HashMap<DeliveryId, usize>,
    /// Whether the story ended well, after its end.
    pub(super) ended: Option<bool>,
}

impl Watch {
    pub(super) fn new(paint: Paint, began: Instant) -> Self {
        Self { paint, began, arrivals: Vec::new(), told: HashMap::new(), ended: None }
    }

    pub(super) fn sent(&self, scene: &Scene, answer: &Answer) -> anyhow::Result<()> {
        self.tell("→", &format!("{}{}", self.paint.bold(scene.title), self.paint.dim(&said(answer))))
    }

    pub(super) fn sent_again(&self, scene: &Scene, answer: &Answer) -> anyhow::Result<()> {
        let again = format!(", again with the same id{}", said(answer));
        self.tell("→", &format!("{}{}", scene.title, self.paint.dim(&again)))
    }

    /// Shows what happens during a time.
    pub(super) async fn look(&mut self, stage: &mut Stage, for_so_long: Duration) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + for_so_long;
        while let Ok(Some(receipt)) = tokio::time::timeout_at(end, stage.receipts.recv()).await {
            let arrival = Arrival { receipt, after: self.began.elapsed() };
            if arrival.receipt.is_taken() {
                self.arrived(&arrival)?;
            }
            self.arrivals.push(arrival);
        }
        let deliveries = stage.deliveries().await?;
        if deliveries
            .iter()
            .any(|detail| service(detail) == Some(Service::Mattermost) && !detail.attempts.is_empty())
        {
            stage.mattermost_is_missed();
        }
        self.tell_of_failures(&deliveries)
    }

    fn arrived(&self, Arrival { receipt, .. }: &Arrival) -> anyhow::Result<()> {
        let paint = self.paint;
        let place = place(receipt.service, &receipt.path, receipt.channel());
        let project = paint.dim(story::project_of(&receipt.path));
        self.tell(&paint.green("✓"), &format!("{} {project}", paint.bold(&place)))?;
        for line in message(receipt.service, &receipt.body, paint) {
            say(&format!("           {line}"))?;
        }
        Ok(())
    }

    /// Shows the attempts that failed since the last look, one line for each reason.
    fn tell_of_failures(&mut self, deliveries: &[DeliveryDetail]) -> anyhow::Result<()> {
        let mut failures: BTreeMap<(&'static str, String), Vec<&DeliveryDetail>> = BTreeMap::new();
        for detail in deliveries {
            let told = self.told.entry(detail.line.id).or_default();
            for (_, attempt) in detail.attempts.iter().skip(*told).filter(|(_, a)| a.outcome != "delivered") {
                let service = service(detail).map_or("some service", Service::name);
                failures.entry((service, printable(&attempt.note))).or_default().push(detail);
            }
            *told = detail.attempts.len();
        }
        for ((service, why), of) in failures {
            let wait = of.iter().filter_map(|detail| wait(detail)).min();
            let wait = wait.map(|wait| format!(", to be tried again in {:.1} s", wait.as_secs_f64()));
            let count = if of.len() == 1 { "1 message".to_owned() } else { format!("{} messages", of.len()) };
            let words = format!("{service}: {why} ({count}{})", wait.unwrap_or_default());
            self.tell(&self.paint.yellow("↻"), &self.paint.yellow(&words))?;
        }
        Ok(())
    }

    fn tell(&self, sign: &str, words: &str) -> anyhow::Result<()> {
        let stamp = format!("{:6.2} s", self.began.elapsed().as_secs_f64());
        say(&format!("{} {sign} {words}", self.paint.dim(&stamp)))
    }
}

/// The HTTP server's answer, where it is not a plain acceptance.
fn said(answer: &Answer) -> String {
    match answer {
        Answer::Accepted => String::new(),
        Answer::Repeated => ": it was here before".to_owned(),
        Answer::Dropped(why) => format!(": {why}"),
        Answer::Refused(why) => format!(": refused, {why}"),
    }
}

/// A service and one of its channels, as text.
pub(super) fn place(service: Service, path: &str, channel: &str) -> String {
    let name = service.name();
    let last = path.rsplit('/').next().unwrap_or_default();
    match (service, channel) {
        (Service::HipChat, _) => format!("{name} {}", path.split('/').nth(3).unwrap_or_default()),
        (Service::Teams | Service::Discord, _) => name.to_owned(),
        (Service::Irker, _) => format!("{name} #{last}"),
        (Service::Mail, reader) => format!("{name} to {reader}"),
        (_, "") => format!("{name}, the webhook's own channel"),
        (_, channel) => format!("{name} {channel}"),
    }
}

fn service(detail: &DeliveryDetail) -> Option<Service> {
    Service::of(&detail.line.integration.0)
}

/// The time until the next attempt.
fn wait(detail: &DeliveryDetail) -> Option<Duration> {
    let held = detail.hold.as_ref().map(|hold| hold.until);
    let until = detail.line.due.max(held)?;
    Duration::try_from(until.duration_since(daemon::now())).ok()
}
