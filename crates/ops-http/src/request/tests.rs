use proptest::prelude::*;

use super::*;

static SHOW: Operation = Operation::get("show", "/apps/{app}/machines/{id}");

#[test]
fn ids_are_encoded_once() {
    let call = ApiRequest::new(&SHOW)
        .segment("app", "a/b?c#d%e+f g")
        .segment("id", "münchen")
        .query("cursor", "a=b&c d+é")
        .query("limit", 5);
    assert_eq!(
        call.path_and_query(),
        "/apps/a%2Fb%3Fc%23d%25e%2Bf%20g/machines/m%C3%BCnchen\
         ?cursor=a%3Db%26c%20d%2B%C3%A9&limit=5"
    );
}

#[test]
fn a_segment_that_would_change_the_path_is_refused() {
    for bad in ["", ".", ".."] {
        let call = ApiRequest::new(&SHOW)
            .segment("app", bad)
            .segment("id", "1");
        let err = call.checked_path_and_query().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
        assert!(err.message().starts_with("the segment app"), "{err}");
    }
    let err = ApiRequest::new(&SHOW)
        .segment("app", "a")
        .checked_path_and_query();
    assert_eq!(err.unwrap_err().message(), "the segment id is not there");
}

#[test]
fn a_header_that_is_none_fails_the_request_without_its_value() {
    let call = ApiRequest::new(&SHOW)
        .segment("app", "a")
        .segment("id", "b")
        .secret_header(http::header::COOKIE, &Secret::from("hunter2\n"));
    let err = call.checked_path_and_query().unwrap_err();
    assert_eq!(err.message(), "the value of header cookie is not valid");
}

#[test]
fn debug_shows_no_value() {
    let call = ApiRequest::new(&SHOW)
        .segment("app", "hunter2")
        .query("token", "hunter2")
        .header(http::header::FROM, "hunter2")
        .body_json(&"hunter2");
    let text = format!("{call:?}");
    assert!(text.contains("/apps/{app}/machines/{id}"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_form_is_encoded_as_forms_are() {
    let call = ApiRequest::new(&SHOW).body_form([("To", "+49 1"), ("Body", "a&b=ü")]);
    assert_eq!(call.body(), Some(&b"To=%2B49+1&Body=a%26b%3D%C3%BC"[..]));
}

proptest! {
    #[test]
    fn every_value_survives_the_url(app in "[^\\p{Cc}]{1,40}", cursor in "\\PC{0,40}") {
        prop_assume!(app != "." && app != "..");
        let call = ApiRequest::new(&SHOW)
            .segment("app", app.as_str())
            .segment("id", "1")
            .query("cursor", &cursor);
        let url = Url::parse(&format!("https://api.example/v1{}", call.path_and_query())).unwrap();
        let segments: Vec<&str> = url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 5);
        let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
        prop_assert_eq!(decoded, app.as_str());
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(pairs, vec![("cursor".to_owned(), cursor)]);
    }
}
