//! irker: pushes as lines in IRC channels, through an irkerd, which holds the connections to the IRC servers
//! (<https://gitlab.com/esr/irker>).
//!
//! irkerd reads one JSON object per line over TCP, `{"to": [address], "privmsg": text}`, and never answers. It serves one
//! client at a time, so all lines of a push are sent in one request, after which the connection is closed.
//!
//! `recipients` converts the setting to addresses that irkerd understands; `lines` describes a push in lines that are
//! short enough for IRC.

use std::time::Duration;

use serde_json::json;

use super::lines::{lines, news};
use super::recipients::{is_name_alone, resolve, server, servers, unreadable};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, is_seen};
use crate::call::{Bucket, Call, Failure, Pace, Sent, TcpRequest};
use crate::event::{Event, Payload, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{Addresses, Base, FieldError, Host, Port};

/// irkerd sends one line per second to each IRC server, because servers disconnect clients that flood (`ANTI_FLOOD_DELAY`
/// in irkerd). Faster lines are queued in its memory, and lost when irkerd ends.
const PER_DAEMON: (u32, u32) = (1, 3);
/// The time limit for connecting, writing and closing. Other connections may keep irkerd busy meanwhile. The system queues
/// the written bytes, and irkerd reads them later even after this side has given up, so a short limit would send them twice.
const TIMEOUT: Duration = Duration::from_secs(300);

crate::settings! {
    /// What irker needs.
    pub struct Settings {
        /// Channels and people, separated by spaces: full addresses, or only names on the server of `default_irc_uri`. A
        /// channel's key follows it as `?key=word`; a person's name is followed by `,isnick`.
        pub recipients: Addresses = "irc://irc.example.net/builds ircs://irc.example.org/ops?key=opensesame",
        /// The IRC server of recipients without a server. It may contain a name and password: `irc://name:password@host/`.
        pub default_irc_uri: Option<Base> = "irc://irc.example.net:6667/",
        /// The host of irkerd; by default `localhost`. The operator must permit an irkerd on this machine or in a private
        /// network in `wire.allow_tcp`, and IRC servers there too.
        pub server_host: Host = "localhost" or "localhost",
        /// The port of irkerd; by default 6659.
        pub server_port: Port = "6659" or "6659",
        /// Colours names, addresses and numbers, with mIRC's codes.
        pub colorize_messages: bool = "false",
    }
}

impl Settings {
    /// The addresses of the recipients, each once.
    fn addresses(&self) -> Vec<String> {
        resolve(self.recipients.expose(), self.default_irc_uri.as_ref().map(Base::expose))
    }

    /// The IRC servers that irkerd will connect to.
    fn servers(&self) -> Vec<(String, u16)> {
        servers(self.recipients.expose(), self.default_irc_uri.as_ref().map(Base::expose))
    }
}

/// The adapter.
pub struct Irker;

impl Adapter for Irker {
    const ABOUT: About = About {
        slug: "irker",
        title: "Irker (IRC gateway)",
        summary: "Sends notifications of pushes to IRC channels through an irkerd.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let default = settings.default_irc_uri.as_ref().map(Base::expose);
        if default.is_some_and(|address| server(address).is_none()) {
            errors.push(FieldError::new(
                "default_irc_uri",
                "must be the address of a server, with irc:// or ircs://",
            ));
        } else if settings.addresses().is_empty() {
            let names_alone = settings.recipients.expose().split_whitespace().all(is_name_alone);
            let why = if default.is_none() && names_alone {
                ": names without a server need `default_irc_uri`"
            } else {
                ""
            };
            errors.push(FieldError::new("recipients", format!("are all invalid{why}")));
        }
        errors
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        let default = settings.default_irc_uri.as_ref().map(Base::expose);
        let left_out = unreadable(settings.recipients.expose(), default);
        let warning = |place: usize| format!("entry {place} can't be read as an IRC address and is left out");
        left_out.into_iter().map(|place| FieldError::new("recipients", warning(place))).collect()
    }
}

impl Deliver for Irker {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // irkerd never confirms a line. A duplicate line is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 push a second per irkerd (bursts of 3); 3 commits of a push are shown; lines are cut at 400 bytes.",
        preview: Preview::Request,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // IRC has no links but addresses.
        links_references: false,
        // 400 bytes a line and 5 lines for each of the example's recipients, as JSON, whose escapes may double the size.
        largest_body: 10_000,
        fault: |body| {
            let lines = body.as_array().expect("lines");
            let is_blank = lines.is_empty() || lines.iter().any(|line| !is_seen(&line["privmsg"]));
            is_blank.then_some("an empty line")
        },
        ..Contract::USUAL
    };

    /// One target for all recipients, because irkerd gets them in one request.
    fn targets(_: &Settings, _: &Event, _: &[String]) -> Targets {
        Targets::own()
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_DAEMON;
        let (host, port) =
            (settings.server_host.as_str().to_ascii_lowercase(), settings.server_port.number().to_string());
        Pace::of(Bucket::new("irkerd", &[&host, &port], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let (message, colors) = (note.message()?, settings.colorize_messages);
        let lines = match &note.event.payload {
            Payload::Push(push) => lines(message, push, colors),
            _ => news(message, colors),
        };
        if lines.is_empty() {
            return Err(Failure::Rejected("a push without commits has no lines for IRC".to_owned()));
        }
        // Each object has one recipient. If an IRC server is unreachable, irkerd may drop the rest of a list (it removes
        // servers from a dictionary while it iterates over it, `Irker.handle`).
        let addresses = settings.addresses();
        let object = |address: &str, line: &str| format!("{}\n", json!({"to": [address], "privmsg": line}));
        let each = || lines.iter().flat_map(|line| addresses.iter().map(move |address| (address, line)));
        let objects = each().map(|(address, line)| object(address, line));
        let shown = each().map(|(address, line)| object(&Addresses::masked(address), line));
        let request = TcpRequest {
            host: settings.server_host.as_str().to_owned(),
            port: settings.server_port.number(),
            body: objects.collect::<String>().into(),
            shown: shown.collect::<String>().into(),
            timeout: TIMEOUT,
            onward: settings.servers(),
        };
        Ok(Call::tcp(request, Sent))
    }
}
