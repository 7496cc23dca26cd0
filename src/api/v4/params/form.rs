//! Parameters in a query, a form or a multipart form.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart};
use axum::http::{Request, header};
use percent_encoding::percent_decode;

use super::{MAX_COUNT, Param, Params, not_utf8, too_many};
use crate::api::v4::ApiError;
use crate::settings::Value;

/// `webhook=https%3A%2F%2F…&push_events=true`
pub(super) fn read(pairs: &[u8], params: &mut Params) -> Result<(), ApiError> {
    for pair in pairs.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        add(decoded(name)?, decoded(value)?, params)?;
    }
    Ok(())
}

fn decoded(text: &[u8]) -> Result<String, ApiError> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text = percent_decode(&spaced).decode_utf8().map_err(|_| not_utf8())?;
    Ok(text.into_owned())
}

/// A body of `multipart/form-data`; `kind` is its content type, which names the boundary between parts.
pub(super) async fn read_multipart(kind: &str, body: Bytes, params: &mut Params) -> Result<(), ApiError> {
    let unreadable = || ApiError::Unreadable("the body is no multipart/form-data".to_owned());
    let request = Request::builder().header(header::CONTENT_TYPE, kind).body(Body::from(body));
    let request = request.map_err(|_| unreadable())?;
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| unreadable())?;
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable())? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        if part.file_name().is_some() {
            params.put(base(&name).to_owned(), Param::Other)?;
            continue;
        }
        let value = part.bytes().await.map_err(|_| unreadable())?;
        let value = String::from_utf8(value.into()).map_err(|_| not_utf8())?;
        add(name, value, params)?;
    }
    Ok(())
}

/// `name[]` is an item of a list, `name[key]` part of an object.
fn add(name: String, value: String, params: &mut Params) -> Result<(), ApiError> {
    let base = base(&name);
    match &name[base.len()..] {
        "" => params.put(name, Param::Simple(Value::Text(value))),
        "[]" => {
            let mut items = match params.0.remove(base) {
                Some(Param::List(items)) => items,
                _ => Vec::new(),
            };
            if items.len() >= MAX_COUNT {
                return Err(too_many());
            }
            items.push(value);
            params.put(base.to_owned(), Param::List(items))
        }
        _ => params.put(base.to_owned(), Param::Other),
    }
}

fn base(name: &str) -> &str {
    match name.find('[') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}
