//! Which settings decide the host that is called.

use super::*;
use crate::settings::{Field, Kind};

fn is_place(field: &Field) -> bool {
    matches!(field.kind, Kind::Url | Kind::InternalUrl | Kind::Host)
}

/// The host that the first call goes to, where it is a call over HTTP; `None` where the settings are not valid.
fn host(entry: &Entry, case: &Case, properties: &Properties) -> Option<String> {
    let settings = entry.read(properties).ok()?;
    match first_of_chain(entry, &settings, case, Before::Nothing).request {
        Request::Http(request) => request.url.host_str().map(str::to_owned),
        _ => None,
    }
}

/// A setting that decides the host must be declared as an address: `catalog::change` asks for the secrets again where an
/// address changes. Each setting is tried with each address of its adapter left out, since another may count in its place.
#[test]
fn a_setting_that_leads_to_another_host_is_declared_as_an_address() {
    let mut tried = 0;
    for entry in tellers() {
        let sample = entry.about.triggers.iter().map(sample).find(|case| target(entry, case).is_some());
        let Some(case) = own_case(entry).or(sample.as_ref()) else { continue };
        let places = entry.fields.iter().filter(|field| is_place(field)).map(|field| Some(field.name));
        for left_out in std::iter::once(None).chain(places) {
            let mut before = examples(entry);
            before.retain(|name, _| Some(name.as_str()) != left_out);
            for field in entry.fields.iter().filter(|field| matches!(field.kind, Kind::Text | Kind::Names)) {
                let mut after = before.clone();
                after.insert(field.name.to_owned(), Value::Text("elsewhere.com".to_owned()));
                if let (Some(before), Some(after)) = (host(entry, case, &before), host(entry, case, &after)) {
                    assert_eq!(before, after, "{}: {} is no address", entry.about.slug, field.name);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 30, "{tried}");
}
