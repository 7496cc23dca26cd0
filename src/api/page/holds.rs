//! `GET /-/holds`: everything that waits for a reason, with the reason.

use axum::response::Response;
use maud::html;

use super::layout::Section;
use super::overview::held;
use super::viewer::{Refused, Viewer};
use crate::api::v4::status::standing;

pub(super) async fn show(viewer: Viewer) -> Result<Response, Refused> {
    let standing = standing(&viewer.caller).await?;
    let content = html! {
        h1 { "Holds" }
        p class="quiet" { "What gets no deliveries now, and why. Deliveries wait meanwhile, and none is lost." }
        @if standing.troubles.is_empty() { p class="empty" { "Nothing is held." } }
        @for trouble in &standing.troubles { (held(&viewer, trouble)) }
    };
    Ok(viewer.page(Section::Holds, "Holds", &content))
}
