//! irker: pushes as lines in IRC channels, through an irkerd, which holds the connections to the IRC servers
//! (<https://gitlab.com/esr/irker>).
//!
//! irkerd takes one JSON object per line over TCP, `{"to": [address], "privmsg": text}`, and answers nothing. It serves one
//! client at a time: so all lines of a push go in one piece, and the connection is closed behind them.
//!
//! `recipients` converts the setting to addresses that irkerd understands; `lines` describes a push in lines that are
//! short enough for IRC.

use std::time::Duration;

use serde_json::json;

use super::lines::lines;
use super::recipients::{is_name_alone, resolve, server, servers};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, is_seen};
use crate::call::{Bucket, Call, Failure, Pace, Sent, TcpRequest};
use crate::event::{Event, Payload, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{Addresses, Base, FieldError, Host, Port};

/// irkerd passes on a line a second to each IRC server, lest it be thrown out for flooding (`ANTI_FLOOD_DELAY` in
/// irkerd): what comes faster only piles up in its memory, where it is lost when irkerd ends.
const PER_DAEMON: (u32, u32) = (1, 3);
/// The time limit for connecting, writing and closing. Other connections may keep irkerd busy meanwhile. The system queues
/// what was written, and irkerd reads it later even if this side has given up: a short limit would send it twice.
const TIMEOUT: Duration = Duration::from_secs(300);

crate::settings! {
    /// What irker needs.
    pub struct Settings {
        /// Channels and people, separated by spaces: full addresses, or names alone, which are looked for on the server of
        /// `default_irc_uri`. A channel's key follows it as `?key=word`; a person's name is followed by `,isnick`.
        pub recipients: Addresses = "irc://irc.example.net/builds ircs://irc.example.org/ops?key=opensesame",
        /// The IRC server of recipients that name none. A name and password stand before the host: `irc://name:password@host/`.
        pub default_irc_uri: Option<Base> = "irc://irc.example.net:6667/",
        /// Where irkerd runs; `localhost` unless this says otherwise. An irkerd on this machine or in a private network must
        /// be permitted by the operator, in `wire.allow_tcp`; so must IRC servers there.
        pub server_host: Host = "localhost" or "localhost",
        /// The port that irkerd listens at; 6659 unless this says otherwise.
        pub server_port: Port = "6659" or "6659",
        /// Whether names, addresses and numbers are coloured, by mIRC's codes.
        pub colorize_messages: bool = "false",
    }
}

impl Settings {
    /// The addresses to tell, each once.
    fn addresses(&self) -> Vec<String> {
        resolve(self.recipients.expose(), self.default_irc_uri.as_ref().map(Base::expose))
    }

    /// The IRC servers that irkerd will call for that.
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
        summary: "Tells of pushes in IRC channels, through an irkerd.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    };
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
                ": names alone want a server in `default_irc_uri`"
            } else {
                ""
            };
            errors.push(FieldError::new("recipients", format!("are all invalid{why}")));
        }
        errors
    }
}

impl Deliver for Irker {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // irkerd never says what it took; a line too many is better than none.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 push a second per irkerd (bursts of 3); of a push, 3 commits are told; lines are cut at 400 bytes.",
        preview: Preview::Request,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // 400 bytes a line and 5 lines for each of the examples' recipients, as JSON, which may double letters.
        largest_body: 10_000,
        fault: |body| {
            let lines = body.as_array().expect("lines");
            let is_blank = lines.is_empty() || lines.iter().any(|line| !is_seen(&line["privmsg"]));
            is_blank.then_some("an empty line")
        },
        ..Contract::USUAL
    };

    /// One for all recipients, since irkerd takes them in one piece.
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
        let Payload::Push(push) = &note.event.payload else {
            return Err(Failure::Rejected("only pushes are told in IRC".to_owned()));
        };
        let lines = lines(note.message()?, push, settings.colorize_messages);
        if lines.is_empty() {
            return Err(Failure::Rejected("a push without commits says nothing in IRC".to_owned()));
        }
        // One recipient an object: where one IRC server is gone, irkerd gives up the rest of a list at times (it takes
        // servers out of a dictionary that it is walking through, `Irker.handle`).
        let addresses = settings.addresses();
        let objects = lines.iter().flat_map(|line| {
            addresses.iter().map(move |address| format!("{}\n", json!({"to": [address], "privmsg": line})))
        });
        let request = TcpRequest {
            host: settings.server_host.as_str().to_owned(),
            port: settings.server_port.number(),
            body: objects.collect::<String>().into(),
            timeout: TIMEOUT,
            onward: settings.servers(),
        };
        Ok(Call::tcp(request, Sent))
    }
}
