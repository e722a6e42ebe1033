//! A vendor that is none, and the table of its calls.

use std::sync::Arc;

use ops_conformance::wire::{Failure, Page, Wire};
use ops_http::test_util::{Reply, respond};
use ops_http::{Operation, Paging};
use serde_json::json;

use crate::sabotage::Acme;

ops_http::operations! {
    /// Deletes a thing.
    DELETE_THING = Operation::delete("deleteThing", "/things/{id}");
    /// Answers a thing.
    GET_THING = Operation::get("getThing", "/things/{id}");
    /// Lists events, by URLs.
    LIST_EVENTS = Operation::get("listEvents", "/events");
    /// Lists things, by cursors.
    LIST_THINGS = Operation::get("listThings", "/things");
    /// Makes a thing.
    MAKE_THING = Operation::post("makeThing", "/things");
    /// Makes or changes a thing.
    PUT_THING = Operation::put("putThing", "/things/{id}");
    /// Sends an order, with a key.
    SEND_ORDER = Operation::post("sendOrder", "/orders");
}

static UNUSED: Operation = Operation::get("getOrder", "/orders/{id}");

/// As [`OPERATIONS`], with one that no call sends.
static MORE: &[&Operation] = &[
    &DELETE_THING,
    &GET_THING,
    &LIST_EVENTS,
    &LIST_THINGS,
    &MAKE_THING,
    &PUT_THING,
    &SEND_ORDER,
    &UNUSED,
];

/// The table for a client that does one thing wrong.
pub(crate) fn wire(fault: &'static str) -> Wire<Acme> {
    let operations = if fault == "W-001" { MORE } else { OPERATIONS };
    let thing =
        || respond(200).json(&json!({ "id": "wire-1", "name": "Shop", "tags": [{ "key": "a" }] }));
    Wire::new(operations, move |at| Acme::new(at, fault))
        .failures(failure)
        .call("deleteThing", respond(204), |acme, sample| async move {
            acme.delete(sample.id()).await
        })
        .absent_is_success()
        .ignores_answer()
        .call("getThing", thing(), |acme, sample| async move {
            acme.thing(sample.id()).await
        })
        .call(
            "listEvents",
            page(&Page::last(0)),
            |acme: Arc<Acme>, _| async move { acme.events().await },
        )
        .paged(Paging::NextUrl, page)
        .call(
            "listThings",
            page(&Page::last(0)),
            |acme: Arc<Acme>, _| async move { acme.things().await },
        )
        .paged(Paging::Cursor("cursor"), page)
        .call(
            "makeThing",
            thing().with_status(201),
            |acme: Arc<Acme>, _| async move { acme.make().await },
        )
        .call("putThing", thing(), |acme, sample| async move {
            acme.put(sample.id()).await
        })
        .call("sendOrder", thing(), |acme: Arc<Acme>, _| async move {
            acme.order().await
        })
        .repeatable()
}

fn page(page: &Page<'_>) -> Reply {
    let items = [json!({ "id": page.number.to_string(), "name": "Shop" })];
    respond(200).json(&json!({ "items": items, "next": page.next }))
}

fn failure(failure: &Failure) -> Reply {
    respond(failure.status)
        .header("x-request-id", failure.request_id)
        .json(&json!({ "message": failure.message }))
}
