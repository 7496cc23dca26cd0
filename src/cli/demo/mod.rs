//! `demo`: runs the real daemon with its default settings, on free ports and in a temporary folder, sends it real payloads,
//! and shows what simulated services receive, which fail like real ones.
//!
//! * [`story`]: the events, and the messages that must follow from them.
//! * [`stand_ins`]: the simulated services, which record what they receive.
//! * [`stage`]: the environment of the story.
//! * [`show`]: a message as its service would show it.
//! * [`watch`]: the output while the story runs.
//! * [`mod@tally`]: the count at the end. Only the services' records say whether a message was lost, not the daemon's
//!   metrics or store.

mod report;
mod show;
mod stage;
mod stand_ins;
mod story;
mod tally;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cli::say;
use crate::settings::Secret;
use report::End;
use show::Paint;
use stage::Stage;
use stand_ins::Difficulties;
use story::STORY;
use tally::tally;
use watch::Watch;

/// The time limit of the story.
const AT_MOST: Duration = Duration::from_secs(30);
/// How long the demo waits for repeated messages.
const AFTERTHOUGHTS: Duration = Duration::from_millis(300);
/// The pause between events.
const BETWEEN: Duration = Duration::from_millis(40);

const DIFFICULTIES: Difficulties = Difficulties {
    taken_before_rest: 3,
    rest: Duration::from_millis(1900),
    refuses_for: Duration::from_millis(1200),
    down_for: Duration::from_millis(2200),
    discord_rest: Duration::from_millis(800),
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is 0 if every message arrived exactly once. The expected messages are written by \
                        hand, and the simulated services count what arrives."
)]
pub(super) struct Args {
    /// Send the events through this broker (amqp://user:password@host:port/vhost) instead of over HTTP
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    amqp: Option<String>,
    /// Keep the daemon running afterwards, and show how to send it an event of your own
    #[arg(long)]
    stay: bool,
}

/// Runs the story. The exit code says whether it ended well.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let paint = Paint { on: crate::cli::wants_colours() };
    let mut stage = Stage::set(args.amqp.map(Secret::new), DIFFICULTIES).await?;
    say(&report::opening(&stage, paint))?;
    let mut watch = Watch::new(paint, Instant::now());
    let ended = tokio::select! {
        ended = play(&mut stage, &mut watch, args.stay, paint) => ended,
        // With --stay, an interrupt is the regular end; otherwise it is a failure.
        _ = tokio::signal::ctrl_c() => watch.ended.context("interrupted before the story was over"),
    };
    // In every case the daemon stops gracefully, and the folder is removed.
    let struck = stage.strike().await;
    let good = ended?;
    struck?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the story. With `stay` it goes on until an interrupt.
async fn play(stage: &mut Stage, watch: &mut Watch, stay: bool, paint: Paint) -> anyhow::Result<bool> {
    for (number, scene) in STORY.iter().enumerate() {
        watch.sent(scene, &stage.send(number, scene).await?)?;
        watch.look(stage, BETWEEN).await?;
        if number == story::SENT_TWICE {
            watch.sent_again(scene, &stage.send(number, scene).await?)?;
        }
    }
    let deadline = Instant::now() + AT_MOST;
    while Instant::now() < deadline && !(all_arrived(watch) && stage.is_idle().await?) {
        watch.look(stage, Duration::from_millis(100)).await?;
    }
    watch.look(stage, AFTERTHOUGHTS).await?;

    let tally = tally(&STORY, &watch.arrivals);
    let end = End {
        tally: &tally,
        arrivals: &watch.arrivals,
        deliveries: &stage.deliveries().await?,
        quarantined: &stage.quarantined().await?,
        why_not: &stage.why_not()?,
    };
    say(&report::closing(&end, paint))?;
    say(&end.summary())?;
    let good = end.is_good();
    watch.ended = Some(good);
    if !stay {
        return Ok(good);
    }
    say(&report::invitation(stage, paint))?;
    loop {
        watch.look(stage, Duration::from_millis(200)).await?;
    }
}

fn all_arrived(watch: &Watch) -> bool {
    tally(&STORY, &watch.arrivals).lost.is_empty()
}
