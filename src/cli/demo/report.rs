//! The texts before and after the story.

use std::fmt::Write as _;

use super::show::Paint;
use super::stage::{Stage, id};
use super::stand_ins::Service;
use super::story::{Fate, STORY, Scene};
use super::tally::{Arrival, Tally, arrived};
use super::watch::place;
use crate::cli::table::printable;
use crate::store::{DeliveryDetail, Quarantined};

pub(super) fn opening(stage: &Stage, paint: Paint) -> String {
    let to = match stage.exchange() {
        Some(exchange) => format!("the broker, exchange {exchange}"),
        None => format!("http://{}/events", stage.http()),
    };
    let mut text = format!(
        "{}\n\
         The daemon is the real one, with its own defaults (but for a hurried retry schedule), in {}.\n\
         The services are stand-ins that answer as the real ones do, and some make it difficult.\n\n  \
         events go to     {to}\n",
        paint.bold("Forgebell, from a forge's events to people's screens"),
        stage.folder().display(),
    );
    for service in Service::ALL.into_iter().filter(|service| service.is_told()) {
        let scheme = match service {
            Service::Irker => "irker",
            Service::Mail => "smtp",
            _ => "http",
        };
        let place = format!("{scheme}://{}", stage.address(service));
        let line = format!("  {:<15}  {place:<24}  {}", service.name(), paint.dim(difficulty(service)));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
    text
}

fn difficulty(service: Service) -> &'static str {
    match service {
        Service::Slack => "asks for a rest after three messages (429)",
        Service::Mattermost => "is away at first, for a good two seconds",
        Service::Discord => "asks for a rest after one message (429)",
        Service::Irker => "serves one connection at a time, and answers nothing",
        Service::Mail => "cannot write the second mail down (451)",
        Service::HipChat | Service::Teams => "",
    }
}

/// The result of the story.
pub(super) struct End<'a> {
    pub(super) tally: &'a Tally,
    pub(super) arrivals: &'a [Arrival],
    pub(super) deliveries: &'a [DeliveryDetail],
    pub(super) quarantined: &'a [Quarantined],
    pub(super) why_not: &'a [Vec<(String, String)>],
}

impl End<'_> {
    /// The number of retries.
    pub(super) fn retries(&self) -> usize {
        self.deliveries.iter().map(retries).sum()
    }

    /// Whether exactly the events that can't be decoded are in quarantine.
    fn misplaced(&self) -> usize {
        let expected = STORY.iter().filter(|scene| scene.fate == Fate::Quarantined).count();
        expected.abs_diff(self.quarantined.len())
    }

    /// The lost messages, and the undecodable events that are not in quarantine.
    fn lost(&self) -> usize {
        self.tally.lost.len() + self.misplaced()
    }

    pub(super) fn is_good(&self) -> bool {
        self.tally.is_clean() && self.misplaced() == 0
    }

    /// `demo: 18 events, 25 deliveries, 9 retries, 0 lost`
    pub(super) fn summary(&self) -> String {
        format!(
            "demo: {} events, {} deliveries, {} retries, {} lost",
            STORY.len(),
            self.tally.delivered,
            self.retries(),
            self.lost()
        )
    }
}

pub(super) fn closing(end: &End<'_>, paint: Paint) -> String {
    let mut text = format!("\n{}\n", paint.bold("Who heard of what"));
    for (number, scene) in STORY.iter().enumerate() {
        let _ = writeln!(text, "\n  {}", paint.bold(scene.title));
        for line in outcome(end, number, scene, paint) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text.push('\n');
    let wrong =
        [("lost", &end.tally.lost), ("repeated", &end.tally.repeated), ("unexpected", &end.tally.stray)];
    for (what, names) in wrong {
        for name in names {
            let _ = writeln!(text, "{}", paint.red(&format!("{what}: {}", printable(name))));
        }
    }
    if end.misplaced() > 0 {
        let _ = writeln!(text, "{}", paint.red("the quarantine does not hold what it should"));
    }
    text
}

fn outcome(end: &End<'_>, number: usize, scene: &Scene, paint: Paint) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for heard in &scene.heard_by {
        let place = place(heard.hook.service, heard.hook.path, heard.channel);
        lines.push(match arrived(heard, end.arrivals) {
            Some(after) => {
                let slug = format!(":{}", heard.hook.slug);
                let of_it = end.deliveries.iter().filter(|detail| {
                    let line = &detail.line;
                    line.event == id(number)
                        && line.integration.0.ends_with(&slug)
                        && line.target == heard.channel
                });
                let again = match of_it.map(retries).sum::<usize>() {
                    0 => String::new(),
                    1 => ", at the second attempt".to_owned(),
                    n => format!(", after {n} attempts that failed"),
                };
                let how = paint.dim(&format!("{:.2} s{again}", after.as_secs_f64()));
                format!("{} {place}  {how}", paint.green("✓"))
            }
            None => paint.red(&format!("✗ {place}: it never arrived")),
        });
    }
    for (slug, why) in end.why_not.get(number).into_iter().flatten() {
        lines.push(paint.dim(&format!("- not {slug}: {}", printable(why))));
    }
    match scene.fate {
        Fate::Unrouted => lines.push(paint.dim("- no integration takes events of this kind")),
        Fate::Quarantined => {
            let found = end.quarantined.iter().find(|item| item.id.as_ref() == Some(&id(number)));
            lines.push(match found {
                Some(item) => format!("{} in quarantine: {}", paint.yellow("!"), printable(&item.reason)),
                None => paint.red("✗ it is not in quarantine"),
            });
        }
        Fate::Matched => {}
    }
    lines
}

/// The failed attempts of a delivery.
fn retries(detail: &DeliveryDetail) -> usize {
    detail.attempts.iter().filter(|(_, attempt)| attempt.outcome != "delivered").count()
}

/// What to do next.
pub(super) fn invitation(stage: &Stage, paint: Paint) -> String {
    let file = stage.folder().join("event.json");
    format!(
        "\n{}\n\n  \
         curl -H 'X-Gitlab-Token: {}' -H 'Content-Type: application/json' --data-binary @{} http://{}/events\n\n\
         Edit the file first, if you like: it is a comment on an issue of gitlab-org/gitlab-test. Who hears of what is in\n\
         {}. Ctrl-C ends it, and the folder goes.\n",
        paint.bold("The daemon stays. Send it an event of your own:"),
        stage.token(),
        file.display(),
        stage.http(),
        stage.folder().join("integrations.toml").display(),
    )
}
