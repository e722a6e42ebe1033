//! What is sent.

use std::time::Duration;

use ops_http::Limits;
use ops_http::test_util::Recorded;

use super::WireFixture;
use super::play::{Seen, Server, each};
use super::table::Call;
use crate::case::Outcome;

/// Every character that does harm where it is not encoded, or encoded twice.
const AWKWARD: &str = "a/b?c=d&e#f%2Fg+h i\"é日";

pub(super) async fn w_001_every_operation_has_a_call(fixture: &dyn WireFixture) {
    let table = fixture.table();
    let mut problems = table.problems.clone();
    for operation in &table.operations {
        if !table.calls.iter().any(|call| call.id == operation.id()) {
            problems.push(format!("{} has no call", operation.id()));
        }
    }
    let unknown = table
        .calls
        .iter()
        .filter(|call| table.operation(call.id).is_none());
    problems.extend(unknown.map(|call| format!("{} is no operation", call.id)));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

pub(super) async fn w_002_a_good_answer_is_understood_at_once(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let seen = call.against(table).run(|_, _, _| None).await;
        seen.assert_done(call, "a good answer");
        seen.assert_attempts(call, 1, "a good answer");
    })
    .await;
}

fn line(request: &Recorded) -> String {
    format!("{} {}", request.method, request.path_and_query)
}

/// What was sent; a call may send several requests at once.
fn lines(seen: &Seen) -> Vec<String> {
    let mut lines: Vec<String> = seen.all.iter().map(line).collect();
    lines.sort_unstable();
    lines
}

pub(super) async fn w_003_a_slash_behind_the_base_url_changes_nothing(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let without = call.against(table).run(|_, _, _| None).await;
        let with = call.against(table).with_slash().run(|_, _, _| None).await;
        assert_eq!(lines(&with), lines(&without), "{}", call.id);
    })
    .await;
}

pub(super) async fn w_004_an_awkward_id_arrives_encoded_once(fixture: &dyn WireFixture) -> Outcome {
    let table = fixture.table();
    let mut is_tried = false;
    for call in &table.calls {
        let plain = call.against(table);
        let id = plain.sample().id();
        let plain = plain.run(|_, _, _| None).await;
        let Some(wanted) = plain
            .sent
            .first()
            .filter(|it| values(it).contains(&id.to_owned()))
        else {
            continue;
        };
        is_tried = true;
        // The vendor may have no such ids: it is enough that no other request is made of it.
        let awkward = call
            .against(table)
            .with_id(AWKWARD)
            .run(|_, _, _| None)
            .await;
        if awkward.sent.is_empty() {
            assert!(awkward.outcome.is_err(), "{}: never sent", call.id);
            continue;
        }
        let expected: Vec<_> = values(wanted)
            .into_iter()
            .map(|it| if it == id { AWKWARD.to_owned() } else { it })
            .collect();
        let sent: Vec<_> = awkward.sent.iter().map(values).collect();
        assert!(
            sent.contains(&expected),
            "{}: {sent:?} and not {expected:?}",
            call.id
        );
    }
    if is_tried {
        Outcome::Passed
    } else {
        Outcome::NotOffered("no call sends the id of its sample in a URL")
    }
}

/// The segments and the values of the query, decoded.
fn values(request: &Recorded) -> Vec<String> {
    let mut values = request.segments();
    let query = request
        .path_and_query
        .split_once('?')
        .map_or("", |(_, query)| query);
    let names = query
        .split('&')
        .filter_map(|pair| Some(pair.split_once('=')?.0));
    values.extend(names.filter_map(|name| request.query(name)));
    values
}

pub(super) async fn w_005_what_is_sent_again_is_the_same(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let usual = call.against(table).run(|_, _, _| None).await;
        let busy = table.failure(429).header("retry-after", "0");
        let busy = vec![busy.clone(), busy];
        let seen = call.against(table).answered_at_first(busy).await;
        seen.assert_done(call, "busy twice");
        seen.assert_sent(call, usual.sent.len() + 2, "busy twice");
        for request in &seen.sent {
            let again = seen.sent.iter().filter(|it| line(it) == line(request));
            let again: Vec<_> = again.map(shown).collect();
            let is_equal = again.iter().all(|it| Some(it) == again.first());
            assert!(is_equal, "{}: {again:#?}", call.id);
        }
    })
    .await;
}

/// Everything but the credential, which may be made anew, and the place.
fn shown(request: &Recorded) -> String {
    let mut headers = request.headers.clone();
    headers.remove("authorization");
    format!("{} {headers:?} {:?}", line(request), request.body)
}

pub(super) async fn w_006_a_call_that_is_dropped_gives_back_its_place(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let one = Limits::default().with_concurrency(std::num::NonZeroU32::MIN);
        let alone = call.against(table).with_limits(one);
        let server = Server::start(table, call, |number, _, good| {
            (number == 0).then(|| good.delay(Duration::from_secs(60)))
        });
        let at = alone.endpoint(&server.base_url());
        let started = (call.start)(&at, alone.sample());
        tokio::select! {
            _ = (started.run)() => panic!("{}: ends without its answer", call.id),
            () = server.has_been_asked() => {}
        }
        again(call, (started.run)()).await;
    })
    .await;
}

async fn again(call: &Call, running: impl Future<Output = ops_core::Result<()>>) {
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await;
    let Ok(outcome) = ended else {
        panic!("{}: waits for a call that was dropped", call.id);
    };
    if let Err(err) = outcome {
        panic!("{}: after a call that was dropped: {err:?}", call.id);
    }
}
