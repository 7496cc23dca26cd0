//! The frame of every page: head, navigation, footer, and the headers of the answer.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest as _, Sha256};

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const ICON: &str = include_str!("icon.svg");

/// Permits no script, nothing from other servers, and no embedding in frames. Forms are sent only to this server.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// A part of the page that the navigation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Integrations,
    Deliveries,
    Events,
    Holds,
    Preview,
    Quarantine,
    Audit,
}

impl Section {
    const ALL: [Self; 8] = [
        Self::Overview,
        Self::Integrations,
        Self::Deliveries,
        Self::Events,
        Self::Holds,
        Self::Preview,
        Self::Quarantine,
        Self::Audit,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Integrations => "Integrations",
            Self::Deliveries => "Deliveries",
            Self::Events => "Events",
            Self::Holds => "Holds",
            Self::Preview => "Preview",
            Self::Quarantine => "Quarantine",
            Self::Audit => "Audit log",
        }
    }

    pub(super) const fn address(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Integrations => "/-/integrations",
            Self::Deliveries => "/-/deliveries",
            Self::Events => "/-/events",
            Self::Holds => "/-/holds",
            Self::Preview => "/-/preview",
            Self::Quarantine => "/-/quarantine",
            Self::Audit => "/-/audit",
        }
    }

    /// Whether only tokens of the instance see it.
    const fn is_of_instance(self) -> bool {
        matches!(self, Self::Quarantine | Self::Audit)
    }
}

/// The logged-in person, as the page's head shows it.
pub(super) struct Holder {
    /// The token's name.
    pub(super) token: String,
    /// What it may do, and where.
    pub(super) may: String,
    pub(super) sees_instance: bool,
    pub(super) form_key: Markup,
}

/// The frame around a page's content.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) here: Option<Section>,
    /// `None` without a log-in.
    pub(super) holder: Option<Holder>,
}

impl Frame<'_> {
    /// The whole page.
    pub(super) fn around(&self, content: &Markup) -> Response {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Forgebell" }
                    link rel="icon" type="image/svg+xml" href="/-/icon.svg";
                    link rel="stylesheet" href=(style_address());
                }
                body {
                    a class="skip" href="#main" { "Skip to the content" }
                    (self.head())
                    main id="main" tabindex="-1" { (content) }
                    footer {
                        p {
                            "Forgebell " (env!("CARGO_PKG_VERSION")) " · "
                            a href="/api/v4/docs" { "API documentation" }
                        }
                    }
                }
            }
        };
        (headers(POLICY), Html(page.into_string())).into_response()
    }

    fn head(&self) -> Markup {
        html! {
            header class="top" {
                a class="brand" href="/" {
                    img src="/-/icon.svg" alt="" width="22" height="22";
                    "Forgebell"
                }
                @if let Some(holder) = &self.holder {
                    nav aria-label="Main" {
                        ul {
                            @for section in Section::ALL.into_iter().filter(|it| holder.sees_instance || !it.is_of_instance()) {
                                li {
                                    a href=(section.address()) aria-current=[(self.here == Some(section)).then_some("page")] {
                                        (section.name())
                                    }
                                }
                            }
                        }
                    }
                    form class="who" method="post" action="/-/logout" {
                        (holder.form_key)
                        span { span class="token" { (holder.token) } " " span class="quiet" { (holder.may) } }
                        button type="submit" class="plain" { "Log out" }
                    }
                }
            }
        }
    }
}

/// The headers of every page.
pub(super) fn headers(policy: &'static str) -> [(HeaderName, HeaderValue); 6] {
    let value = HeaderValue::from_static;
    [
        (header::CONTENT_SECURITY_POLICY, value(policy)),
        (header::CACHE_CONTROL, value("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        (header::REFERRER_POLICY, value("same-origin")),
        (HeaderName::from_static("cross-origin-opener-policy"), value("same-origin")),
        (HeaderName::from_static("permissions-policy"), value("camera=(), geolocation=(), microphone=()")),
    ]
}

/// The style's address changes with its content, so that browsers may keep it.
fn style_address() -> &'static str {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| {
        let digest = Sha256::digest(STYLE);
        format!("/-/style.css?{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3])
    });
    &ADDRESS
}
