//! Releases.

use super::{
    Body, Context, Field, Message, NAME, TITLE, Text, Tone, Words, brief, in_path, listed, short_field,
    title, web_address,
};
use crate::event::{AssetLink, RefType, Release};

pub(super) fn message(context: &Context<'_>, release: &Release) -> Message {
    let (name, tag) = (brief(&release.name, TITLE), brief(&release.tag, NAME));
    let label = match (name.as_str(), tag.as_str()) {
        ("", _) => tag,
        _ => name,
    };
    // A deleted release has no page.
    let url = if release.action == "delete" { Words::default() } else { url(context, release) };
    let object = match label.as_str() {
        "" => Text::new().plain("a release"),
        label => Text::new().plain("release ").link(label, url.as_str()),
    };
    let done: Words = match release.action.as_str() {
        "create" => "published".into(),
        "delete" => "deleted".into(),
        "update" | "" => "updated".into(),
        other => brief(other, NAME),
    };
    let did = context.deed(&done, object, &format!("was {done}"));
    let message = context.message(did, " in ", Text::new());
    if release.action != "create" {
        return message;
    }
    let body = match context.prose(&release.description, &release.url) {
        // GitLab repeats the name where no notes were written.
        Body::Prose(notes) if label == notes.plain_text().trim() => Body::None,
        body => body,
    };
    Message {
        title: title(label.clone(), &url),
        body,
        fields: fields(context, release, &label),
        tone: Tone::Notice,
        ..message
    }
}

fn url(context: &Context<'_>, release: &Release) -> Words {
    let page = || context.page(format_args!("releases/{}", in_path(&release.tag)));
    web_address(Some(&release.url))
        .unwrap_or_else(|| if release.tag.is_empty() { Words::default() } else { page() })
}

fn fields(context: &Context<'_>, release: &Release, label: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    if !release.tag.is_empty() && brief(&release.tag, NAME) != label {
        fields.push(short_field("Tag", context.ref_link(RefType::Tag, &release.tag)));
    }
    if let Some(commit) = &release.commit {
        let words = brief(commit.title(), TITLE);
        // `Release v1.1` says nothing more about v1.1.
        let words = if words.is_empty() || words.contains(label) { commit.short_id().into() } else { words };
        if !words.is_empty() {
            fields.push(short_field("Commit", Text::new().link(words, commit.url.as_str())));
        }
    }
    let named: Vec<&AssetLink> =
        release.assets().iter().filter(|asset| !asset.name.trim().is_empty()).collect();
    if !named.is_empty() {
        let asset = |asset: &&AssetLink| Text::new().link(brief(&asset.name, NAME), asset.url.as_str());
        fields.push(short_field("Assets", listed(&named, asset, &release.url)));
    }
    fields
}
