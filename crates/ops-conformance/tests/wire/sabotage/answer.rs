//! How the client reads answers.

use ops_core::{Error, ErrorKind, Result};
use ops_http::decode::json;
use ops_http::header::CONTENT_TYPE;
use ops_http::{Next, PageOf, Response};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Thing {
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(rename = "name")]
    _name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "tags")]
    _tags: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(rename = "id")]
    _id: String,
}

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Thing>,
    pub(super) next: Option<String>,
}

pub(super) fn decode(fault: &str) -> fn(&Response) -> Result<Thing> {
    match fault {
        "W-040" => |answer| lenient(answer, |body| body.starts_with(b"{")),
        "W-041" => |answer| lenient(answer, |body| body.starts_with(b"<")),
        "W-042" => |answer| lenient(answer, <[u8]>::is_empty),
        "W-044" => |answer| json::<Strict>(answer).map(|_| Thing::default()),
        "W-045" => |answer| {
            json::<Whole>(answer)
                .map(|_| Thing::default())
                .map_err(|_| nameless())
        },
        "W-046" => |answer| match answer.headers.get(CONTENT_TYPE) {
            Some(kind) if kind == "application/json" => json(answer),
            _ => Err(Error::new(ErrorKind::Decode, "not the type of JSON")),
        },
        _ => json,
    }
}

fn nameless() -> Error {
    Error::new(ErrorKind::Decode, "the answer is not what it should be")
}

/// Takes what is no answer for one.
fn lenient(answer: &Response, is_fine: fn(&[u8]) -> bool) -> Result<Thing> {
    json(answer).or_else(|err| {
        if is_fine(&answer.body) {
            Ok(Thing::default())
        } else {
            Err(err)
        }
    })
}

#[expect(clippy::unnecessary_wraps, reason = "taking a page apart may fail")]
fn split(page: Page, next: impl Fn(String) -> Next) -> Result<PageOf<Thing>> {
    Ok(PageOf {
        items: page.items,
        next: page.next.map_or(Next::End, next),
    })
}

pub(super) fn by_cursor(page: Page) -> Result<PageOf<Thing>> {
    split(page, Next::Cursor)
}

pub(super) fn by_another_cursor(page: Page) -> Result<PageOf<Thing>> {
    split(page, |cursor| Next::Cursor(cursor.replace('+', " ")))
}

pub(super) fn by_url(page: Page) -> Result<PageOf<Thing>> {
    split(page, Next::Url)
}
