//! The credential is seen nowhere.

use ops_http::test_util::{Reply, respond};

use super::WireFixture;
use super::play::{Server, each};
use super::table::{Call, Table};
use crate::leak::{Texts, watch};

pub(super) async fn w_060_the_credential_is_seen_nowhere(fixture: &dyn WireFixture) {
    let table = fixture.table();
    watch(table.token.expose(), |texts| async move {
        let texts = &texts;
        each(table, |call| async move {
            for fault in faults(table) {
                look(table, call, texts, fault).await;
            }
        })
        .await;
    })
    .await;
}

type Fault = Box<dyn Fn(Reply) -> Reply + Send + Sync>;

/// A vendor that repeats what it was given, in every place.
fn faults(table: &Table) -> Vec<Fault> {
    let token = table.token.expose().to_owned();
    let said = format!("the token {token} is not valid");
    let fixed = |reply: Reply| -> Fault { Box::new(move |_| reply.clone()) };
    let json = Some("application/json");
    vec![
        Box::new(|good| good),
        fixed(table.failure_saying(400, &said)),
        fixed(table.failure_saying(401, &said)),
        fixed(table.failure_saying(500, &said)),
        fixed(respond(403).body("text/html", format!("<p>{said}</p>"))),
        fixed(respond(302).header("location", format!("https://else.example/?token={token}"))),
        fixed(respond(200).with_body(json, format!("{{\"unlike\": \"{token}\"}}"))),
        fixed(respond(200).with_body(json, format!("\"{token}"))),
        Box::new(Reply::reset),
    ]
}

async fn look(table: &Table, call: &Call, texts: &Texts, fault: Fault) {
    let server = Server::start(table, call, move |_, _, good| Some(fault(good)));
    let alone = call.against(table);
    let started = (call.start)(&alone.endpoint(&server.base_url()), alone.sample());
    texts.debug("the provider", &started.provider);
    if let Err(err) = (started.run)().await {
        texts.error(call.id, &err);
    }
}

pub(super) async fn w_061_the_credential_is_in_no_url(fixture: &dyn WireFixture) {
    let table = fixture.table();
    let token = table.token.expose();
    each(table, |call| async move {
        let seen = call.against(table).run(|_, _, _| None).await;
        let is_shown = seen.all.iter().any(|it| it.path_and_query.contains(token));
        assert!(!is_shown, "{}: the credential is in the URL", call.id);
    })
    .await;
}
