//! Listings, and vendors that go round in circles.

use futures_util::TryStreamExt as _;
use ops_core::{ErrorKind, Result};
use ops_http::test_util::{MockServer, Reply, respond};
use ops_http::{ApiRequest, Next, Operation, PageOf, Paging};
use serde::Deserialize;
use serde_json::json;

use crate::support::client;

type Split = fn(Page) -> Result<PageOf<u32>>;

static LIST: Operation = Operation::get("list", "/things");
static SEARCH: Operation = Operation::post("search", "/search").safe();

#[derive(Deserialize)]
struct Page {
    items: Vec<u32>,
    next: Option<String>,
    #[serde(default)]
    more: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "taking a page apart may fail")]
fn by_cursor(page: Page) -> Result<PageOf<u32>> {
    let next = match page.next {
        Some(cursor) => Next::Cursor(cursor),
        None if page.more => Next::More,
        None => Next::End,
    };
    Ok(PageOf {
        items: page.items,
        next,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "taking a page apart may fail")]
fn by_number(page: Page) -> Result<PageOf<u32>> {
    let next = if page.more { Next::More } else { Next::End };
    Ok(PageOf {
        items: page.items,
        next,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "taking a page apart may fail")]
fn by_url(page: Page) -> Result<PageOf<u32>> {
    let next = page.next.map_or(Next::End, Next::Url);
    Ok(PageOf {
        items: page.items,
        next,
    })
}

fn page(items: &[u32], next: Option<&str>, more: bool) -> Reply {
    respond(200).json(&json!({ "items": items, "next": next, "more": more }))
}

async fn list(
    server: &MockServer,
    paging: Paging,
    split: fn(Page) -> Result<PageOf<u32>>,
) -> Result<Vec<u32>> {
    let request = ApiRequest::new(&LIST)
        .query("limit", 2)
        .json::<Page>()
        .paged(paging, split);
    client(server).pages(request).try_collect().await
}

#[tokio::test]
async fn a_cursor_is_followed_to_the_end_and_encoded() {
    let server = MockServer::start([
        page(&[1, 2], Some("a/b +é"), false),
        page(&[], Some("c"), false),
        page(&[3], None, false),
    ]);
    let all = list(&server, Paging::Cursor("cursor"), by_cursor)
        .await
        .unwrap();
    assert_eq!(all, [1, 2, 3]);
    server.assert_requests([
        "GET /things?limit=2",
        "GET /things?limit=2&cursor=a%2Fb%20%2B%C3%A9",
        "GET /things?limit=2&cursor=c",
    ]);
}

#[tokio::test]
async fn numbers_and_offsets_go_on() {
    let server = MockServer::start([
        page(&[1, 2], None, true),
        page(&[3], None, true),
        page(&[4], None, false),
    ]);
    let paging = Paging::Page {
        parameter: "page",
        first: 1,
    };
    assert_eq!(
        list(&server, paging, by_number).await.unwrap(),
        [1, 2, 3, 4]
    );
    server.assert_requests([
        "GET /things?limit=2",
        "GET /things?limit=2&page=2",
        "GET /things?limit=2&page=3",
    ]);

    let server = MockServer::start([
        page(&[1, 2], None, true),
        page(&[3], None, true),
        page(&[4], None, false),
    ]);
    assert_eq!(
        list(&server, Paging::Offset("offset"), by_number)
            .await
            .unwrap(),
        [1, 2, 3, 4]
    );
    server.assert_requests([
        "GET /things?limit=2",
        "GET /things?limit=2&offset=2",
        "GET /things?limit=2&offset=3",
    ]);
}

#[tokio::test]
async fn links_and_urls_are_followed_at_the_same_host() {
    let link = r#"</things?page=2>; rel="next""#;
    let server = MockServer::start([
        page(&[1], None, false).header("link", link),
        page(&[2], None, false),
    ]);
    assert_eq!(
        list(&server, Paging::LinkHeader, by_number).await.unwrap(),
        [1, 2]
    );
    server.assert_requests(["GET /things?limit=2", "GET /things?page=2"]);

    let server = MockServer::serving(|request| match request.query("after") {
        None => {
            let next = format!("http://{}/things?after=1", request.header("host").unwrap());
            page(&[1], Some(&next), false)
        }
        Some(_) => page(&[2], None, false),
    });
    assert_eq!(
        list(&server, Paging::NextUrl, by_url).await.unwrap(),
        [1, 2]
    );
}

#[tokio::test]
async fn a_cursor_may_stand_in_the_body() {
    let server = MockServer::start([page(&[1], Some("x"), false), page(&[2], None, false)]);
    let request = ApiRequest::new(&SEARCH)
        .body_json(&json!({ "variables": { "first": 1 } }))
        .json::<Page>()
        .paged(Paging::BodyCursor("/variables/after"), by_cursor);
    let all: Vec<u32> = client(&server).pages(request).try_collect().await.unwrap();
    assert_eq!(all, [1, 2]);
    let body = server.requests()[1].json();
    assert_eq!(body, json!({ "variables": { "first": 1, "after": "x" } }));
}

#[tokio::test]
async fn a_vendor_that_goes_round_in_circles_is_an_error() {
    let elsewhere = MockServer::start([]);
    let foreign = format!("{}/things", elsewhere.base_url());
    let round = "the listing comes back to a page that was read";
    let foreign_link = format!("<{foreign}>; rel=\"next\"");
    let cases: [(Paging, Split, Reply, &str); 9] = [
        (
            Paging::Cursor("cursor"),
            by_cursor,
            page(&[1], Some("same"), false),
            round,
        ),
        (
            Paging::NextUrl,
            by_url,
            page(&[1], Some("/things?page=2"), false),
            round,
        ),
        (
            Paging::LinkHeader,
            by_number,
            page(&[], None, false).header("link", "</things?page=2>; rel=next"),
            round,
        ),
        (
            Paging::LinkHeader,
            by_number,
            page(&[1], None, false).header("link", foreign_link),
            "the next page is at another host, which is not followed",
        ),
        (
            Paging::NextUrl,
            by_url,
            page(&[1], Some("https://"), false),
            "the next page is at something that is no URL",
        ),
        (
            Paging::Cursor("cursor"),
            by_cursor,
            page(&[1], Some(""), false),
            "there are more pages, but not where",
        ),
        (
            Paging::Cursor("cursor"),
            by_cursor,
            page(&[1], None, true),
            "there are more pages, but not where",
        ),
        (
            Paging::Offset("offset"),
            by_number,
            page(&[], None, true),
            "a page is empty, and is not the last",
        ),
        (
            Paging::NextUrl,
            by_url,
            page(&[1], Some(&foreign), false),
            "the next page is at another host, which is not followed",
        ),
    ];
    for (paging, split, reply, message) in cases {
        let server = MockServer::serving(move |_| reply.clone());
        let err = list(&server, paging, split).await.unwrap_err();
        assert_eq!((err.kind(), err.message()), (ErrorKind::Decode, message));
        assert_eq!(err.operation(), Some("list"));
    }
}

#[tokio::test]
async fn a_circle_of_several_pages_is_found_as_well() {
    let server = MockServer::serving(|request| {
        let next = match request.query("cursor").as_deref() {
            Some("a") => "b",
            Some("b") => "c",
            _ => "a",
        };
        page(&[1], Some(next), false)
    });
    let err = list(&server, Paging::Cursor("cursor"), by_cursor)
        .await
        .unwrap_err();
    assert_eq!(
        err.message(),
        "the listing comes back to a page that was read"
    );
    assert_eq!(server.requests().len(), 4);

    let server = MockServer::serving(|_| page(&[1], Some("same"), false));
    let request = ApiRequest::new(&SEARCH)
        .body_json(&json!({ "after": null }))
        .json::<Page>()
        .paged(Paging::BodyCursor("/after"), by_cursor);
    let items = client(&server).pages(request).try_collect::<Vec<_>>();
    assert_eq!(items.await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn another_port_and_another_scheme_are_another_host() {
    for foreign in [
        "https://127.0.0.1/things",
        "http://127.0.0.1:1/",
        "//else.example/",
        "ftp://127.0.0.1/",
    ] {
        let server = MockServer::serving(move |_| page(&[1], Some(foreign), false));
        let err = list(&server, Paging::NextUrl, by_url).await.unwrap_err();
        assert_eq!(
            err.message(),
            "the next page is at another host, which is not followed"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_listing_ends_somewhere() {
    let server = MockServer::serving(|_| page(&[1], None, true));
    let paging = Paging::Page {
        parameter: "page",
        first: 1,
    };
    let request = ApiRequest::new(&LIST)
        .json::<Page>()
        .paged(paging, by_number);
    let items = client(&server).pages(request.max_pages(5));
    let err = items.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(err.message(), "the listing has more than 5 pages");
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn each_page_is_retried_alone_and_read_when_it_is_needed() {
    let server = MockServer::start([
        page(&[1], Some("a"), false),
        respond(503),
        page(&[2], Some("b"), false),
    ]);
    let request = ApiRequest::new(&LIST)
        .json::<Page>()
        .paged(Paging::Cursor("cursor"), by_cursor);
    let mut items = client(&server).pages(request);
    assert_eq!(items.try_next().await.unwrap(), Some(1));
    server.assert_requests(["GET /things"]);
    assert_eq!(items.try_next().await.unwrap(), Some(2));
    server.assert_requests([
        "GET /things",
        "GET /things?cursor=a",
        "GET /things?cursor=a",
    ]);
}
