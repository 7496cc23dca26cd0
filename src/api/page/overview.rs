//! `GET /`: the overall state, the activity, and the current problems with their remedies.

use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::layout::Section;
use super::parts::{Row, badge, badge_as, distance, facts, moment, table};
use super::viewer::{Refused, Viewer};
use super::{places, reached};
use crate::api::v4::status::standing;
use crate::integration::IntegrationId;
use crate::pipeline::standing::{Given, Part, Standing, Trouble};
use crate::store::{DeliveryFilter, DeliveryLine, HoldCause, State};

/// The most deliveries that are read for the numbers of the last hour.
const SAMPLE: usize = 1000;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const BARS: usize = 12;

pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let now = viewer.caller.now;
    let standing = standing(&viewer.caller).await?;
    let since = now.checked_sub(HOUR).unwrap_or(Timestamp::MIN);
    let filter = DeliveryFilter { since: Some(since), limit: SAMPLE, ..DeliveryFilter::default() };
    let lines = reached::deliveries(&viewer.caller, filter).await?.lines;
    let content = html! {
        h1 { "Overview" }
        (verdict(&standing))
        (numbers(&standing, &Lately::of(&lines, now), now))
        (wrong_now(&viewer, &standing))
        (parts(&standing.parts))
    };
    Ok(viewer.page(Section::Overview, "Overview", &content))
}

/// The deliveries of the last hour, counted.
#[derive(Debug, PartialEq)]
struct Lately {
    /// By state, of those that were written in the time.
    delivered: usize,
    failed: usize,
    others: usize,
    /// The length of the period: an hour, or less where there are too many deliveries to count.
    span: SignedDuration,
    /// Delivered and other ones in each twelfth of the time, the oldest first.
    bars: [(usize, usize); BARS],
}

impl Lately {
    /// Counts deliveries, newest first.
    fn of(lines: &[DeliveryLine], now: Timestamp) -> Self {
        let age = |line: &DeliveryLine| now.duration_since(line.created_at).max(SignedDuration::ZERO);
        let span = match lines.last().filter(|_| lines.len() >= SAMPLE) {
            Some(oldest) => age(oldest).min(HOUR).max(SignedDuration::from_secs(1)),
            None => HOUR,
        };
        let mut lately = Self { delivered: 0, failed: 0, others: 0, span, bars: [(0, 0); BARS] };
        for line in lines.iter().filter(|line| age(line) <= span) {
            let twelfth = age(line).as_millis() * i128::try_from(BARS).unwrap_or(1) / span.as_millis().max(1);
            let bar = BARS - 1 - usize::try_from(twelfth).unwrap_or(0).min(BARS - 1);
            match line.state {
                State::Delivered => {
                    (lately.delivered, lately.bars[bar].0) = (lately.delivered + 1, lately.bars[bar].0 + 1);
                }
                State::Failed | State::Expired => {
                    (lately.failed, lately.bars[bar].1) = (lately.failed + 1, lately.bars[bar].1 + 1);
                }
                State::Waiting | State::Skipped | State::Cancelled => {
                    (lately.others, lately.bars[bar].1) = (lately.others + 1, lately.bars[bar].1 + 1);
                }
            }
        }
        lately
    }

    fn all(&self) -> usize {
        self.delivered + self.failed + self.others
    }

    /// How many a minute, with one digit after the point where that says something.
    fn per_minute(&self) -> String {
        let tenths = self.all() * 600 / usize::try_from(self.span.as_secs().max(1)).unwrap_or(1);
        if tenths >= 100 || tenths.is_multiple_of(10) {
            (tenths / 10).to_string()
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        }
    }

    fn time(&self) -> String {
        if self.span == HOUR {
            "the last hour".to_owned()
        } else {
            format!("the last {} s", self.span.as_secs().max(1))
        }
    }
}

fn verdict(standing: &Standing) -> Markup {
    let (tone, words) = match standing.problems() {
        0 => ("good", "Nothing is wrong.".to_owned()),
        1 => ("bad", "1 problem needs a look.".to_owned()),
        many => ("bad", format!("{many} problems need a look.")),
    };
    html! { p class={ "verdict " (tone) } { (words) } }
}

fn numbers(standing: &Standing, lately: &Lately, now: Timestamp) -> Markup {
    let number = |name: &str, value: &str, more: Markup| {
        html! { div class="number" { dt { (name) } dd { strong { (value) } " " span class="quiet" { (more) } } } }
    };
    let oldest = standing.oldest_waiting.map(|at| html! { "the oldest since " (moment(at, now)) });
    html! {
        section aria-labelledby="numbers" {
            h2 id="numbers" class="unseen" { "Numbers" }
            dl class="numbers" {
                (number("Waiting", &standing.waiting.to_string(), oldest.unwrap_or_else(|| html! { "nothing queued" })))
                (number("Deliveries a minute", &lately.per_minute(), html! { (lately.all()) " in " (lately.time()) }))
                (number("Delivered", &lately.delivered.to_string(), html! { "in " (lately.time()) }))
                (number("Given up", &lately.failed.to_string(), html! {
                    "in " (lately.time())
                    @if lately.failed > 0 { " · " a href="/-/deliveries?state=failed" { "look" } }
                }))
            }
            @if lately.all() > 0 {
                (chart(lately))
                p class="quiet key" { "Deliveries in " (lately.time()) ": " span class="good" { "delivered" } " and " span class="busy" { "others" } "." }
            }
        }
    }
}

/// Bars for the deliveries over the time. The numbers beside it say the same in words.
fn chart(lately: &Lately) -> Markup {
    const HEIGHT: usize = 48;
    let most = lately.bars.iter().map(|(good, other)| good + other).max().unwrap_or(1).max(1);
    let height = |count: usize| (count * HEIGHT).div_ceil(most);
    let label = format!(
        "Deliveries in {}: {} in all, at most {most} in a twelfth of it",
        lately.time(),
        lately.all()
    );
    html! {
        svg class="chart" role="img" aria-label=(label) viewBox="0 0 240 48" preserveAspectRatio="none" {
            @for (number, (good, other)) in lately.bars.iter().enumerate() {
                @let (tall, top) = (height(*good), height(*other));
                rect class="slot" x=(number * 20) y="0" width="17" height=(HEIGHT) {}
                rect class="good" x=(number * 20) y=(HEIGHT - tall) width="17" height=(tall) {}
                rect class="other" x=(number * 20) y=(HEIGHT.saturating_sub(tall + top)) width="17" height=(top) {}
            }
        }
    }
}

fn wrong_now(viewer: &Viewer, standing: &Standing) -> Markup {
    let is_nothing = standing.troubles.is_empty() && standing.dead_letters.is_empty();
    html! {
        section aria-labelledby="wrong" {
            h2 id="wrong" { "What is wrong now" }
            @if is_nothing {
                p class="quiet" { "Nothing is held, and nothing was given up." }
            }
            @for trouble in &standing.troubles { (held(viewer, trouble)) }
            @for given in &standing.dead_letters { (given_up(viewer, given)) }
        }
    }
}

/// Something that gets no deliveries now.
pub(super) fn held(viewer: &Viewer, trouble: &Trouble) -> Markup {
    let now = viewer.caller.now;
    let named = trouble.integration.as_ref().map(|id| name(viewer, id));
    let title = named.or_else(|| trouble.destination.clone()).unwrap_or_else(|| trouble.kind.to_owned());
    let targets = (!trouble.targets.is_empty()).then(|| html! { (trouble.targets.join(", ")) });
    html! {
        article class="card trouble" {
            h3 {
                @if let Some(id) = &trouble.integration { a href=(places::of_integration(id)) { (title) } }
                @else { (title) }
                " " (badge_as(trouble.cause, if trouble.is_problem { "bad" } else { "busy" }))
            }
            p class="reason" { (trouble.reason) }
            (facts(&[
                ("Targets", targets),
                ("Destination", trouble.destination.as_ref().map(|name| html! { code { (name) } })),
                ("Since", Some(moment(trouble.since, now))),
                ("Next attempt", trouble.until.map(|until| moment(until, now))),
                ("Waiting", (trouble.waiting > 0).then(|| html! { (trouble.waiting) })),
            ]))
            p class="remedy" { (remedy(trouble.cause)) " " code { (trouble.command) } }
        }
    }
}

/// The remedy in a sentence. The command beside it does the same.
fn remedy(cause: &str) -> &'static str {
    let is = |known: HoldCause| known.name() == cause;
    if is(HoldCause::Throttled) || is(HoldCause::Quota) {
        "The service asked for this wait: nothing shortens it. What waits:"
    } else if is(HoldCause::Unavailable) {
        "It is tried again by itself. To try now:"
    } else if is(HoldCause::OperatorError) {
        "The operator has to change the daemon's settings:"
    } else {
        "Correct the settings and send a test. On the command line:"
    }
}

fn given_up(viewer: &Viewer, given: &Given) -> Markup {
    let now = viewer.caller.now;
    let letters = &given.letters;
    let all = format!(
        "/-/deliveries?state={}&integration={}",
        if letters.cause == State::Expired.name() { State::Expired.name() } else { State::Failed.name() },
        places::encoded(&letters.integration.0)
    );
    let count = match letters.deliveries {
        1 => "1 delivery was given up".to_owned(),
        many => format!("{many} deliveries were given up"),
    };
    html! {
        article class="card trouble" {
            h3 {
                a href=(places::of_integration(&letters.integration)) { (name(viewer, &letters.integration)) }
                " " (badge_as(&letters.cause, if given.is_problem { "bad" } else { "calm" }))
            }
            p class="reason" { a href=(all) { (count) } ", the last one " (distance(letters.newest, now)) ": " (letters.note) }
            p class="remedy" {
                "Correct what it says, then retry them. On the command line: " code { (given.command) }
            }
        }
    }
}

fn name(viewer: &Viewer, id: &IntegrationId) -> String {
    viewer.caller.state.catalog.read(|snapshot| places::name(snapshot, id))
}

/// The daemon's parts, for tokens of the instance.
fn parts(parts: &[Part]) -> Markup {
    if parts.is_empty() {
        return html! {};
    }
    let row = |part: &Part| -> Row {
        let (state, found) = match &part.found {
            Ok(found) => ("ok", found),
            Err(why) => ("failed", why),
        };
        vec![html! { (part.name) }, badge(state), html! { (found) }]
    };
    let rows: Vec<Row> = parts.iter().map(row).collect();
    html! {
        section aria-labelledby="parts" {
            h2 id="parts" { "The daemon's parts" }
            (table("What the daemon works with", &["Part", "State", "Found"], &rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventId;
    use crate::store::DeliveryId;

    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

    fn line(id: usize, seconds_ago: u32, state: State) -> DeliveryLine {
        DeliveryLine {
            id: DeliveryId(i64::try_from(id).unwrap()),
            state,
            event: EventId::new("e").unwrap(),
            trigger: None,
            subject: String::new(),
            project: None,
            project_id: None,
            integration: IntegrationId::new("42:slack"),
            target: String::new(),
            destination: String::new(),
            attempts: 1,
            due: None,
            created_at: NOW - SignedDuration::from_secs(seconds_ago.into()),
            settled_at: None,
            last_note: None,
        }
    }

    #[test]
    fn the_last_hour_is_counted_by_state() {
        let lines = [
            line(3, 10, State::Waiting),
            line(2, 299, State::Delivered),
            line(1, 3599, State::Failed),
            line(0, 7200, State::Delivered),
        ];
        let lately = Lately::of(&lines, NOW);
        assert_eq!((lately.delivered, lately.failed, lately.others), (1, 1, 1), "the oldest is older");
        assert_eq!((lately.bars[0], lately.bars[11]), ((0, 1), (1, 1)));
        assert_eq!((lately.per_minute(), lately.time()), ("0".to_owned(), "the last hour".to_owned()));
        assert_eq!(Lately::of(&[], NOW).all(), 0);
    }

    #[test]
    fn where_there_are_too_many_a_shorter_time_is_counted() {
        let lines: Vec<_> = (0..SAMPLE)
            .map(|id| line(SAMPLE - id, u32::try_from(id / 10).unwrap(), State::Delivered))
            .collect();
        let lately = Lately::of(&lines, NOW);
        assert_eq!((lately.all(), lately.span), (SAMPLE, SignedDuration::from_secs(99)));
        assert_eq!(lately.per_minute(), "606");
        assert_eq!(lately.time(), "the last 99 s");
    }
}
