//! `GET /-/audit`: who changed what, for tokens of the instance.

use axum::response::Response;
use maud::html;

use super::layout::Section;
use super::parts::{Row, moment, table};
use super::viewer::{Refused, Viewer};

const PER_PAGE: usize = 100;

pub(super) async fn list(viewer: Viewer) -> Result<Response, Refused> {
    viewer.caller.require_instance()?;
    let now = viewer.caller.now;
    let before = viewer.query.text("before").ok().flatten().and_then(|text| text.parse().ok());
    let lines = viewer.caller.state.registry.audit_log(before, PER_PAGE).await?;
    let rows: Vec<Row> = lines
        .iter()
        .map(|line| {
            vec![
                moment(line.at, now),
                html! { (line.who) },
                html! { code { (line.action) } },
                html! { (line.object) },
                html! { (line.fields.join(", ")) },
            ]
        })
        .collect();
    let next = lines.last().filter(|_| lines.len() == PER_PAGE).map(|line| line.id);
    let content = html! {
        h1 { "Audit log" }
        p class="quiet" { "Every change, with who made it. It names what changed, and no value." }
        @if rows.is_empty() { p class="empty" { "Nothing was changed yet." } }
        @else { (table("Changes, newest first", &["When", "Who", "Action", "Object", "What changed"], &rows)) }
        @if let Some(before) = next { p { a class="button" rel="next" href={ "/-/audit?before=" (before) } { "Older changes" } } }
    };
    Ok(viewer.page(Section::Audit, "Audit log", &content))
}
