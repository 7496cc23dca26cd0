//! The refusals, as the document tells them: one answer a status, referred to by every operation that may give it.

use serde_json::json;

use super::model::{Answer, Header, Ordered, Schema};

/// A refusal's name, its status and what it means.
struct Told {
    name: &'static str,
    status: &'static str,
    description: &'static str,
    schemas: &'static [&'static str],
    header: Option<(&'static str, &'static str)>,
}

const MESSAGE: &str = "Message";
const ERROR: &str = "Error";
const OAUTH: &str = "OAuthError";

static TOLD: &[Told] = &[
    Told {
        name: "BadRequest",
        status: "400",
        description: "Parameters are missing or of the wrong type (`error`; all of them at once), or the settings do not \
                      make sense (`message`).",
        schemas: &[ERROR, MESSAGE],
        header: None,
    },
    Told {
        name: "Unauthorized",
        status: "401",
        description: "No token, or none that is in force.",
        schemas: &[MESSAGE, OAUTH],
        header: Some(("WWW-Authenticate", "How to log in, and what is wrong with the token.")),
    },
    Told {
        name: "Forbidden",
        status: "403",
        description: "The token's right is too small (`error`), or this is beyond what it reaches (`message`).",
        schemas: &[OAUTH, MESSAGE],
        header: None,
    },
    Told {
        name: "NotFound",
        status: "404",
        description: "It is not there, or not the token's to see.",
        schemas: &[MESSAGE, ERROR],
        header: None,
    },
    Told {
        name: "NotAllowed",
        status: "405",
        description: "There is no such method here.",
        schemas: &[ERROR],
        header: Some(("Allow", "The methods that there are.")),
    },
    Told {
        name: "TooSlow",
        status: "408",
        description: "The body did not arrive in time; the connection is closed.",
        schemas: &[ERROR],
        header: None,
    },
    Told {
        name: "Conflict",
        status: "409",
        description: "It is written down in a provisioning file, and is changed there; or others are changing it.",
        schemas: &[MESSAGE],
        header: None,
    },
    Told {
        name: "Modified",
        status: "412",
        description: "It was changed after the moment in `If-Unmodified-Since`.",
        schemas: &[MESSAGE],
        header: None,
    },
    Told {
        name: "TooLarge",
        status: "413",
        description: "The body is too large; the connection is closed.",
        schemas: &[ERROR],
        header: None,
    },
    Told {
        name: "UnsupportedType",
        status: "415",
        description: "The body is neither JSON nor a form.",
        schemas: &[ERROR],
        header: None,
    },
    Told {
        name: "Unprocessable",
        status: "422",
        description: "It is understood, and can't be done.",
        schemas: &[MESSAGE],
        header: None,
    },
    Told {
        name: "TooManyRequests",
        status: "429",
        description: "Too many wrong tokens from this address.",
        schemas: &[MESSAGE],
        header: Some(("Retry-After", "Seconds.")),
    },
    Told {
        name: "HeadTooLarge",
        status: "431",
        description: "Too many or too large headers; the connection is closed.",
        schemas: &[],
        header: None,
    },
    Told {
        name: "Broken",
        status: "500",
        description: "A mistake of ours. The log has it.",
        schemas: &[MESSAGE],
        header: None,
    },
    Told {
        name: "Unavailable",
        status: "503",
        description: "The store is away; try again. What was to be changed may have been, if it went away just then.",
        schemas: &[MESSAGE],
        header: Some(("Retry-After", "Seconds.")),
    },
];

/// Which refusals an operation may answer with, beside those that every one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// It needs a token.
    Refuse,
    /// It names something that may not be there.
    Miss,
    /// It reads a body.
    Read,
    /// It has no use for a body, yet looks for a token there where the head has none.
    LookInside,
    /// It changes an integration.
    Change,
    /// It is understood, and yet can't be done.
    NotBeAble,
}

impl May {
    const fn statuses(self) -> &'static [&'static str] {
        match self {
            Self::Refuse => &["401", "403"],
            Self::Miss => &["404"],
            Self::Read => &["408", "413", "415"],
            Self::LookInside => &["408", "413"],
            Self::Change => &["409", "412", "422"],
            Self::NotBeAble => &["422"],
        }
    }
}

/// What every operation may answer.
const ANY: [&str; 6] = ["400", "405", "429", "431", "500", "503"];

/// The refusals of an operation, by status.
pub(super) fn refusals(may: &[May]) -> impl Iterator<Item = (&'static str, Answer)> {
    let own: Vec<&str> = may.iter().flat_map(|may| may.statuses()).copied().collect();
    let told = TOLD.iter().filter(move |told| ANY.contains(&told.status) || own.contains(&told.status));
    told.map(|told| (told.status, Answer::reference(told.name)))
}

/// `components.responses`
pub(super) fn components() -> Ordered<Answer> {
    TOLD.iter().map(|told| (told.name, answer(told))).collect()
}

fn answer(told: &Told) -> Answer {
    let schema = match told.schemas {
        [] => return Answer { description: told.description.into(), ..Answer::default() },
        [one] => Schema::reference(one),
        several => Schema {
            any_of: several.iter().map(|name| Schema::reference(name)).collect(),
            ..Schema::default()
        },
    };
    let headers = told.header.map(|(name, description)| {
        (name, Header { description: description.into(), schema: Schema::text() })
    });
    Answer { headers: headers.into_iter().collect(), ..Answer::json(told.description, schema) }
}

/// The shapes of refusals, for `components.schemas`.
pub(super) fn schemas() -> [(&'static str, Schema); 3] {
    let one = |key: &'static str, example: &str, says: &'static str| Schema {
        examples: vec![json!({ key: example })],
        ..Schema::object([(key, Schema::text())]).saying(says)
    };
    let mut oauth = Schema::object([
        ("error", Schema::words(["invalid_token", "insufficient_scope"])),
        ("error_description", Schema::text()),
    ])
    .saying("What is wrong with a token.");
    let scope = Schema::text().saying("The scopes that would do.");
    oauth.properties.0.push(("scope".into(), scope));
    [
        (MESSAGE, one("message", "404 Project Not Found", "Why what was asked for can't be.")),
        (ERROR, one("error", "token is missing, room is missing", "What is wrong with the request itself.")),
        (OAUTH, oauth),
    ]
}
