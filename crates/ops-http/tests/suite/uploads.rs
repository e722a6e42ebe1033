//! Bodies that are put together or read while they are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use multer::Field;
use ops_core::object_store::ByteStream;
use ops_core::{Error, ErrorKind, Retry};
use ops_http::test_util::{MockServer, Recorded, respond};
use ops_http::{ApiRequest, Multipart, Part};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{GET, POST, PUT, builder, client};

const MIB: u64 = 1024 * 1024;

fn chunks(chunks: &[&'static str]) -> ByteStream {
    let chunks: Vec<_> = chunks.iter().copied().map(|it| Ok(it.into())).collect();
    stream::iter(chunks).boxed()
}

fn upload(form: Multipart) -> ApiRequest {
    ApiRequest::new(&POST)
        .segment("id", "1")
        .body_multipart(form)
}

/// What a reader of forms makes of a request: name, file name, content type, text.
type Parts = Vec<(String, Option<String>, Option<String>, String)>;

async fn parts(request: &Recorded) -> Parts {
    let boundary = multer::parse_boundary(request.header("content-type").unwrap()).unwrap();
    let body = request.body.clone();
    let body = stream::once(async { Ok::<_, std::io::Error>(body) });
    let mut form = multer::Multipart::new(body, boundary);
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        parts.push((
            field.name().unwrap().to_owned(),
            field.file_name().map(str::to_owned),
            field.content_type().map(ToString::to_string),
            field.text().await.unwrap(),
        ));
    }
    parts
}

#[tokio::test]
async fn a_form_arrives_part_by_part() {
    let server = MockServer::start([respond(204)]);
    let form = Multipart::new()
        .text("purpose", "ein Test\r\n--über zwei Zeilen--")
        .text("empty", "")
        .part("plain", Part::bytes("{}").content_type("application/json"))
        .part("file", Part::bytes("a\0b").file_name("a.bin"))
        .part(
            "streamed",
            Part::stream(5, chunks(&["ab", "", "cde"])).file_name("s.txt"),
        );
    client(&server).execute(upload(form)).await.unwrap();
    let request = &server.requests()[0];
    let octets = Some("application/octet-stream".to_owned());
    let text = |name: &str, text: &str| (name.to_owned(), None, None, text.to_owned());
    assert_eq!(
        parts(request).await,
        [
            text("purpose", "ein Test\r\n--über zwei Zeilen--"),
            text("empty", ""),
            (
                "plain".into(),
                None,
                Some("application/json".into()),
                "{}".into()
            ),
            (
                "file".into(),
                Some("a.bin".into()),
                octets.clone(),
                "a\0b".into()
            ),
            (
                "streamed".into(),
                Some("s.txt".into()),
                octets,
                "abcde".into()
            ),
        ]
    );
    let length = request.body.len().to_string();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
}

#[tokio::test]
async fn a_form_may_be_empty_or_of_unknown_length() {
    let server = MockServer::start([respond(204), respond(204)]);
    let client = client(&server);
    client.execute(upload(Multipart::new())).await.unwrap();
    let unknown = Part::stream(None, chunks(&["a", "b"]));
    let form = Multipart::new().part("log", unknown);
    client.execute(upload(form)).await.unwrap();
    let requests = server.requests();
    assert_eq!(parts(&requests[0]).await, []);
    assert_eq!(
        parts(&requests[1]).await,
        [("log".into(), None, None, "ab".into())]
    );
    assert_eq!(requests[1].header("content-length"), None);
    assert_eq!(requests[1].header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn awkward_names_arrive_and_bring_no_header_with_them() {
    for (name, arrives) in [
        ("Übersicht ✓ 100%.txt", "Übersicht ✓ 100%.txt"),
        ("with \"quotes\".txt", "with %22quotes%22.txt"),
        ("ends in a backslash\\", "ends in a backslash%5C"),
        (
            "a\r\nContent-Type: text/html\r\n\r\n<script>",
            "a%0D%0AContent-Type: text/html%0D%0A%0D%0A<script>",
        ),
        ("a; name=\"other\"", "a; name=%22other%22"),
    ] {
        let server = MockServer::start([respond(204)]);
        let form = Multipart::new().part(name, Part::bytes("x").file_name(name));
        client(&server).execute(upload(form)).await.unwrap();
        let octets = Some("application/octet-stream".to_owned());
        assert_eq!(
            parts(&server.requests()[0]).await,
            [(
                arrives.to_owned(),
                Some(arrives.to_owned()),
                octets,
                "x".to_owned()
            )]
        );
    }
}

#[tokio::test]
async fn a_form_in_memory_is_sent_again_and_one_with_a_stream_is_not() {
    let server = MockServer::start([respond(429), respond(204), respond(429)]);
    let client = client(&server);
    let form = Multipart::new().text("a", "b");
    client.execute(upload(form)).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].body, requests[1].body);
    let streamed = Multipart::new().part("a", Part::stream(1, chunks(&["b"])));
    let err = client.execute(upload(streamed)).await.unwrap_err();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::RateLimited, 1));
}

/// Takes one request and hands over its head; the rest is read from the connection.
async fn accept(listener: TcpListener) -> (String, BytesMut, TcpStream) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = BytesMut::new();
    loop {
        assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
        if let Some(end) = buffer.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = buffer.split_to(end + 4);
            return (String::from_utf8(head.to_vec()).unwrap(), buffer, stream);
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Reads the field in small steps; how much of it came, and how far ahead its sender was.
async fn drain(mut field: Field<'_>, sent: &AtomicU64) -> (u64, u64) {
    let (mut received, mut ahead) = (0, 0);
    while let Some(chunk) = field.chunk().await.unwrap() {
        ahead = ahead.max(sent.load(Ordering::SeqCst) - received);
        assert!(chunk.iter().all(|byte| *byte == 7));
        received += chunk.len() as u64;
    }
    (received, ahead)
}

#[tokio::test]
async fn a_part_of_64_mib_is_never_in_memory_whole() {
    let size = 64 * MIB;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn({
        let sent = Arc::clone(&sent);
        async move {
            let (head, first, stream) = accept(listener).await;
            let length: u64 = header(&head, "content-length").unwrap().parse().unwrap();
            let left = length - first.len() as u64;
            let boundary = header(&head, "content-type").unwrap();
            let boundary = multer::parse_boundary(boundary).unwrap();
            let (rest, mut answer) = stream.into_split();
            let rest = stream::try_unfold(rest.take(left), |mut rest| async move {
                let mut chunk = BytesMut::with_capacity(16 * 1024);
                let read = rest.read_buf(&mut chunk).await?;
                Ok::<_, std::io::Error>((read > 0).then(|| (chunk.freeze(), rest)))
            });
            let body = stream::once(async { Ok(first.freeze()) }).chain(rest);
            let mut form = multer::Multipart::new(body, boundary);
            let field = form.next_field().await.unwrap().unwrap();
            let outcome = drain(field, &sent).await;
            assert!(form.next_field().await.unwrap().is_none());
            let done = b"HTTP/1.1 204 Done\r\n\r\n";
            answer.write_all(done).await.unwrap();
            outcome
        }
    });
    let chunk = Bytes::from(vec![7; 64 * 1024]);
    let counted = Arc::clone(&sent);
    let chunks = stream::iter(0..size / chunk.len() as u64).map(move |_| {
        counted.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        Ok(chunk.clone())
    });
    let form = Multipart::new().part("file", Part::stream(size, chunks.boxed()));
    let client = builder(base_url).build().unwrap();
    client.execute(upload(form)).await.unwrap();
    let (received, ahead) = server.await.unwrap();
    assert_eq!(received, size);
    // What the sockets of both sides hold counts as well.
    assert!(ahead < 16 * MIB, "{ahead} bytes ahead of the reader");
}

fn failing() -> ByteStream {
    let broken = Error::new(ErrorKind::Unavailable, "the disk is gone");
    stream::iter([Ok("the first half".into()), Err(broken)]).boxed()
}

#[tokio::test]
async fn a_body_that_fails_midway_fails_the_request_with_its_own_reason() {
    for length in [Some(100), None] {
        for (operation, retry) in [(&PUT, Retry::Safe), (&POST, Retry::OutcomeUnknown)] {
            let server = MockServer::start([]);
            let request = || ApiRequest::new(operation).segment("id", "1");
            let form = Multipart::new()
                .text("a", "b")
                .part("file", Part::stream(length, failing()));
            for call in [
                request().body_multipart(form),
                request().body_stream("text/plain", length, failing()),
            ] {
                let err = client(&server).execute(call).await.unwrap_err();
                let shown = ops_core::Report(&err).to_string();
                assert_eq!(
                    err.message(),
                    "the body of the request could not be read to its end"
                );
                assert!(shown.ends_with("the disk is gone"), "{shown}");
                assert_eq!((err.kind(), err.retry()), (ErrorKind::Unavailable, retry));
                assert_eq!(err.attempts(), 1);
            }
            assert!(server.requests().is_empty(), "half a request is none");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_not_as_long_as_announced_is_no_request() {
    for (length, how) in [
        (5, "shorter than the 5 bytes that were announced"),
        (3, "longer than the 3 bytes that were announced"),
        (2, "longer than the 2 bytes that were announced"),
        (0, "longer than the 0 bytes that were announced"),
    ] {
        let server = MockServer::start([]);
        let request = || ApiRequest::new(&PUT).segment("id", "1");
        let text = || chunks(&["ab", "", "cd"]);
        let form = Multipart::new().part("file", Part::stream(length, text()));
        for call in [
            request().body_multipart(form),
            request().body_stream("text/plain", Some(length), text()),
        ] {
            let err = client(&server).execute(call).await.unwrap_err();
            let shown = ops_core::Report(&err).to_string();
            assert!(shown.ends_with(how), "{shown}");
            assert_eq!(
                (err.kind(), err.retry()),
                (ErrorKind::InvalidInput, Retry::Never)
            );
        }
        assert!(server.requests().is_empty(), "{how}");
    }
}

#[tokio::test]
async fn a_stream_of_the_announced_length_arrives_whole() {
    for text in [&["ab", "", "cd", ""][..], &[]] {
        let server = MockServer::start([respond(204)]);
        let length = text.concat().len() as u64;
        let call = ApiRequest::new(&PUT).segment("id", "1");
        let call = call.body_stream("text/plain", Some(length), chunks(text));
        client(&server).execute(call).await.unwrap();
        let request = &server.requests()[0];
        assert_eq!(request.body, text.concat());
        assert_eq!(
            request.header("content-length"),
            Some(length.to_string().as_str())
        );
        assert_eq!(request.header("content-type"), Some("text/plain"));
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_whole_body_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (_, _, mut stream) = accept(listener).await;
        let refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        stream
    });
    let endless = stream::once(async { Ok("begun".into()) }).chain(stream::pending());
    let call = ApiRequest::new(&PUT).segment("id", "1");
    let call = call.body_stream("text/plain", None, endless.boxed());
    let client = builder(base_url).build().unwrap();
    let err = client.execute(call).await.unwrap_err();
    assert_eq!(
        (err.kind(), err.status()),
        (ErrorKind::InvalidInput, Some(413))
    );
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_listing_by_a_form_can_be_asked_for_again() {
    use futures_util::TryStreamExt as _;
    use ops_http::{Next, PageOf, Paging};

    let server = MockServer::start([respond(200).json(&["a"]), respond(200).json(&["b"])]);
    let listing = ApiRequest::new(&GET)
        .segment("id", "1")
        .body_multipart(Multipart::new().text("filter", "all"))
        .json::<Vec<String>>()
        .paged(Paging::Cursor("after"), |items| {
            let next = match items.first().map(String::as_str) {
                Some("a") => Next::Cursor("a".to_owned()),
                _ => Next::End,
            };
            Ok(PageOf { items, next })
        });
    let items: Vec<String> = client(&server).pages(listing).try_collect().await.unwrap();
    assert_eq!(items, ["a", "b"]);
    for request in server.requests() {
        assert_eq!(parts(&request).await[0].3, "all");
    }
}
