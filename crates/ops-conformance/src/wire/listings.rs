//! Listings, and vendors that go round in circles.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use ops_core::ErrorKind;
use ops_http::Paging;
use ops_http::test_util::{MockServer, Recorded, Reply, respond};

use super::WireFixture;
use super::play::{Seen, Try};
use super::table::{Call, Page, Table};
use crate::case::Outcome;

/// More pages than this are no listing: what `ops_http` reads, and one more.
const TOO_MANY: usize = 10_001;

/// How many pages a listing has here.
const PAGES: usize = 3;

/// The calls that read a listing, and how.
fn listings(table: &Table) -> Vec<(&Call, Paging)> {
    let calls = table.calls.iter();
    calls
        .filter_map(|call| Some((call, call.listing.as_ref()?.0)))
        .collect()
}

/// Looks at each listing; where there is none that can be looked at, says so.
fn each_listing<'a, F>(
    table: &'a Table,
    is_meant: fn(Paging) -> bool,
    look: impl Fn(&'a Call, Paging) -> F,
) -> BoxFuture<'a, Outcome>
where
    F: Future<Output = ()> + Send + 'a,
{
    let mut meant = listings(table);
    meant.retain(|(_, paging)| is_meant(*paging));
    let looks: Vec<F> = meant
        .into_iter()
        .map(|(call, paging)| look(call, paging))
        .collect();
    async move {
        if looks.is_empty() {
            return Outcome::NotOffered("no call reads a listing of this kind");
        }
        join_all(looks).await;
        Outcome::Passed
    }
    .boxed()
}

fn any(_: Paging) -> bool {
    true
}

/// The next page is named, and not only counted.
fn is_named(paging: Paging) -> bool {
    is_url(paging) || matches!(paging, Paging::Cursor(_) | Paging::BodyCursor(_))
}

fn is_url(paging: Paging) -> bool {
    matches!(paging, Paging::LinkHeader | Paging::NextUrl)
}

/// How the page behind so many pages is named.
fn next(paging: Paging, pages: usize, request: &Recorded) -> String {
    let path = request.path();
    let host = request.header("host").unwrap_or_default();
    match paging {
        Paging::LinkHeader | Paging::NextUrl => format!("http://{host}{path}?wire_page={pages}"),
        _ => format!("a/b?c=d&e#f%2F+g é{pages}"),
    }
}

/// The page of this number.
fn page(call: &Call, number: usize, next: Option<&str>) -> Reply {
    let Some((paging, pages)) = &call.listing else {
        panic!("{}: is no listing", call.id);
    };
    let reply = pages(&Page { number, next });
    match next {
        Some(next) if *paging == Paging::LinkHeader => {
            reply.header("link", format!("<{next}>; rel=\"next\""))
        }
        _ => reply,
    }
}

impl Try<'_> {
    /// Answers by pages, of which the last is the one of this number.
    async fn paged(self, call: &Call, paging: Paging, last: usize) -> Seen {
        let pages = call.clone();
        self.run(move |number, request, _| {
            let next = (number < last).then(|| next(paging, number + 1, request));
            Some(page(&pages, number, next.as_deref()))
        })
        .await
    }
}

pub(super) async fn w_050_a_listing_of_several_pages_comes_whole(
    fixture: &dyn WireFixture,
) -> Outcome {
    let table = fixture.table();
    each_listing(table, any, |call, paging| async move {
        let seen = call.against(table).paged(call, paging, PAGES - 1).await;
        seen.assert_done(call, "several pages");
        seen.assert_sent(call, PAGES, "several pages");
    })
    .await
}

pub(super) async fn w_051_a_page_is_asked_for_as_the_last_one_said(
    fixture: &dyn WireFixture,
) -> Outcome {
    let table = fixture.table();
    each_listing(table, any, |call, paging| async move {
        let seen = call.against(table).paged(call, paging, PAGES - 1).await;
        for (number, request) in seen.sent.iter().enumerate().take(PAGES).skip(1) {
            let told = next(paging, number, request);
            assert_asked(call, paging, number, request, &told);
        }
    })
    .await
}

#[track_caller]
fn assert_asked(call: &Call, paging: Paging, number: usize, request: &Recorded, told: &str) {
    let is_asked = match paging {
        Paging::Cursor(parameter) => request.query(parameter).as_deref() == Some(told),
        Paging::BodyCursor(pointer) => {
            request.json().pointer(pointer).and_then(|it| it.as_str()) == Some(told)
        }
        Paging::Page { parameter, first } => {
            request.query(parameter) == Some((first + number as u64).to_string())
        }
        Paging::Offset(parameter) => {
            let skipped = request
                .query(parameter)
                .and_then(|it| it.parse::<usize>().ok());
            skipped.is_some_and(|skipped| skipped >= number)
        }
        _ => told.ends_with(&request.path_and_query),
    };
    let sent = &request.path_and_query;
    assert!(
        is_asked,
        "{}: page {number} at {told}: asks for {sent}",
        call.id
    );
}

/// The listing must have been given up.
#[track_caller]
fn assert_given_up(call: &Call, seen: &Seen, most: usize, what: &str) {
    let err = seen.error(call, what);
    assert!(
        err.kind() == ErrorKind::Decode,
        "{}: {what}: {err:?}",
        call.id
    );
    let sent = seen.sent.len();
    assert!(sent <= most, "{}: {what}: sent {sent} times", call.id);
}

pub(super) async fn w_052_a_listing_that_comes_back_to_a_page_ends(
    fixture: &dyn WireFixture,
) -> Outcome {
    let table = fixture.table();
    each_listing(table, is_named, |call, paging| async move {
        let pages = call.clone();
        let seen = call.against(table).run(move |number, request, _| {
            if number > TOO_MANY {
                return Some(respond(400));
            }
            Some(page(&pages, number, Some(&next(paging, 1, request))))
        });
        assert_given_up(call, &seen.await, 3, "a page that leads to itself");
    })
    .await
}

pub(super) async fn w_053_a_listing_without_an_end_ends(fixture: &dyn WireFixture) -> Outcome {
    let table = fixture.table();
    each_listing(table, any, |call, paging| async move {
        let seen = call.against(table).paged(call, paging, TOO_MANY).await;
        assert_given_up(call, &seen, TOO_MANY - 1, "a listing without an end");
    })
    .await
}

pub(super) async fn w_054_a_page_that_fails_is_read_again_alone(
    fixture: &dyn WireFixture,
) -> Outcome {
    let table = fixture.table();
    each_listing(table, any, |call, paging| async move {
        let (pages, failure) = (call.clone(), table.failure(503));
        let seen = call.against(table).run(move |number, request, _| {
            let number = match number {
                0 => 0,
                1 => return Some(failure.clone()),
                number => number - 1,
            };
            let next = (number < PAGES - 1).then(|| next(paging, number + 1, request));
            Some(page(&pages, number, next.as_deref()))
        });
        let seen = seen.await;
        seen.assert_done(call, "a page that fails once");
        seen.assert_sent(call, PAGES + 1, "a page that fails once");
        let asked: Vec<_> = seen
            .sent
            .iter()
            .map(|it| (&it.path_and_query, &it.body))
            .collect();
        let is_the_same = asked.get(1) == asked.get(2) && asked.first() != asked.get(1);
        assert!(is_the_same, "{}: asks for {asked:?}", call.id);
    })
    .await
}

pub(super) async fn w_055_a_next_page_at_another_host_is_not_read(
    fixture: &dyn WireFixture,
) -> Outcome {
    let table = fixture.table();
    each_listing(table, is_url, |call, _| async move {
        let elsewhere = MockServer::serving(|_| respond(500));
        let (pages, foreign) = (call.clone(), format!("{}/things", elsewhere.base_url()));
        let seen = call
            .against(table)
            .run(move |number, _, _| Some(page(&pages, number, Some(&foreign))));
        assert_given_up(call, &seen.await, 1, "a next page at another host");
        let read = elsewhere.requests().len();
        assert!(read == 0, "{}: the other host is asked", call.id);
    })
    .await
}
