//! What is accepted and what is refused by the service models of AWS.

use http::Method;
use ops_conformance::contract::{Description, Place, Request, Rule};
use ops_conformance::description_or_skip;
use serde_json::{Value, json};

#[track_caller]
fn refused(description: &Description, request: &Request) -> (Place, String, Rule) {
    let violations = description.check(request).expect_err("it must be refused");
    assert_eq!(
        violations.len(),
        1,
        "{}",
        ops_conformance::contract::lines(&violations)
    );
    let one = violations.into_iter().next().expect("one");
    (one.place, one.pointer, one.rule)
}

#[track_caller]
fn accepted(description: &Description, request: &Request) -> String {
    let checked = description.check(request);
    let checked = checked.map_err(|violations| ops_conformance::contract::lines(&violations));
    checked.expect("it must be accepted").operation_id
}

fn ecs(target: &str, body: &Value) -> Request {
    let target = format!("AmazonEC2ContainerServiceV20141113.{target}");
    Request::new(Method::POST, "/")
        .with_header("x-amz-target", &target)
        .with_body("application/x-amz-json-1.1", body.to_string())
}

#[test]
fn json_calls_are_told_by_their_target_and_checked_by_shape() {
    let description = description_or_skip!("aws-ecs.c2j.json");
    let update = |body: Value| ecs("UpdateService", &body);
    let good = json!({ "service": "s", "desiredCount": 2, "deploymentConfiguration": { "maximumPercent": 200 } });
    assert_eq!(accepted(&description, &update(good)), "UpdateService");
    let of = |body: Value| refused(&description, &update(body));
    let body = |pointer: &str, rule| (Place::Body, pointer.to_owned(), rule);
    let nested = json!({ "service": "s", "deploymentConfiguration": { "alarms": { "alarmNames": [], "enable": true, "rollback": true, "names": [] } } });
    assert_eq!(
        of(nested),
        body("/deploymentConfiguration/alarms/names", Rule::Unknown)
    );
    assert_eq!(
        of(json!({ "desiredCount": 2 })),
        body("/service", Rule::Required)
    );
    assert_eq!(
        of(json!({ "service": "s", "desiredCount": "2" })),
        body("/desiredCount", Rule::Type)
    );
    let listed = json!({ "service": "s", "propagateTags": "ALL" });
    assert_eq!(of(listed), body("/propagateTags", Rule::Enum));
    let target = refused(&description, &ecs("UpdateServices", &json!({})));
    assert_eq!(
        target,
        (Place::Header, "/x-amz-target".to_owned(), Rule::Undescribed)
    );
    let other = ecs("UpdateService", &json!({})).with_body("application/x-amz-json-1.0", "{}");
    assert_eq!(refused(&description, &other).1, "/content-type");
}

fn rds(form: &str) -> Request {
    let form = format!("Version=2014-10-31&{form}");
    Request::new(Method::POST, "/").with_body("application/x-www-form-urlencoded", form)
}

#[test]
fn query_calls_are_put_back_into_a_tree() {
    let description = description_or_skip!("aws-rds.c2j.json");
    let good = "Action=CreateDBSnapshot&DBSnapshotIdentifier=s&DBInstanceIdentifier=i&Tags.Tag.1.Key=a&Tags.Tag.1.Value=b";
    assert_eq!(accepted(&description, &rds(good)), "CreateDBSnapshot");
    let of = |more: &str| refused(&description, &rds(&format!("{good}&{more}")));
    let body = |pointer: &str, rule| (Place::Body, pointer.to_owned(), rule);
    assert_eq!(of("Tags.Tag.1.Kee=c"), body("/Tags/0/Kee", Rule::Unknown));
    assert_eq!(
        of("SnapshotType=manual"),
        body("/SnapshotType", Rule::Unknown)
    );
    assert_eq!(
        of("Tags.member.2.Key=c"),
        body("/Tags.member.2.Key", Rule::Unknown)
    );
    let missing = rds("Action=CreateDBSnapshot&DBSnapshotIdentifier=s");
    assert_eq!(
        refused(&description, &missing),
        body("/DBInstanceIdentifier", Rule::Required)
    );
    let typed = rds("Action=DescribeDBInstances&MaxRecords=many");
    assert_eq!(
        refused(&description, &typed),
        body("/MaxRecords", Rule::Type)
    );
    let action = refused(&description, &rds("Action=CreateSnapshot"));
    assert_eq!(action, body("/Action", Rule::Undescribed));
}

#[test]
fn buckets_stand_in_the_path_or_in_the_host() {
    let s3 = description_or_skip!("aws-s3.c2j.json");
    let get = |path: &str| Request::new(Method::GET, path);
    assert_eq!(
        accepted(&s3, &get("/bucket/a/b%20c?x-id=GetObject")),
        "GetObject"
    );
    assert_eq!(
        accepted(&s3, &get("/bucket?list-type=2&prefix=a")),
        "ListObjectsV2"
    );
    assert_eq!(
        accepted(&s3, &get("/bucket/?list-type=2&prefix=a")),
        "ListObjectsV2"
    );
    let hosted = s3.clone().with_bucket_in_host();
    let at = |path: &str| get(path).with_header("host", "bucket.s3.example.com");
    assert_eq!(accepted(&hosted, &at("/a/b")), "GetObject");
    assert_eq!(accepted(&hosted, &at("/?list-type=2")), "ListObjectsV2");
    let unknown = refused(&s3, &get("/bucket?list-type=2&prefx=a"));
    assert_eq!(unknown, (Place::Query, "/prefx".to_owned(), Rule::Unknown));
    let typed = refused(&s3, &get("/bucket?list-type=2&max-keys=all"));
    assert_eq!(typed, (Place::Query, "/max-keys".to_owned(), Rule::Type));
}

#[test]
fn operations_of_one_template_are_told_apart() {
    let s3 = description_or_skip!("aws-s3.c2j.json");
    let put = |query: &str| Request::new(Method::PUT, format!("/bucket/key{query}"));
    assert_eq!(
        accepted(&s3, &put("").with_body("text/plain", "x")),
        "PutObject"
    );
    let part = put("?partNumber=1&uploadId=u").with_body("text/plain", "x");
    assert_eq!(accepted(&s3, &part), "UploadPart");
    let copy = put("").with_header("x-amz-copy-source", "other/key");
    assert_eq!(accepted(&s3, &copy), "CopyObject");
}

#[test]
fn headers_that_are_not_described_are_refused_and_those_of_signatures_are_not() {
    let s3 = description_or_skip!("aws-s3.c2j.json");
    let put = |name: &str, value: &str| {
        Request::new(Method::PUT, "/bucket/key")
            .with_body("text/plain", "x")
            .with_header(name, value)
    };
    for (name, value) in [
        ("x-amz-meta-anything", "a"),
        ("x-amz-checksum-crc32c", "AAAAAA=="),
        ("if-none-match", "*"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("authorization", "AWS4-HMAC-SHA256"),
    ] {
        assert_eq!(accepted(&s3, &put(name, value)), "PutObject", "{name}");
    }
    for name in ["x-amz-checksum-crc32d", "if-none-matches", "x-amz-metadata"] {
        let unknown = refused(&s3, &put(name, "a"));
        assert_eq!(unknown, (Place::Header, format!("/{name}"), Rule::Unknown));
    }
}

#[test]
fn xml_bodies_are_checked_by_shape() {
    let s3 = description_or_skip!("aws-s3.c2j.json");
    let complete = |xml: &str| {
        Request::new(Method::POST, "/bucket/key?uploadId=u")
            .with_body("application/xml", xml.to_owned())
    };
    let good = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part><Part><PartNumber>2</PartNumber><ETag>f</ETag></Part></CompleteMultipartUpload>";
    assert_eq!(accepted(&s3, &complete(good)), "CompleteMultipartUpload");
    let of = |xml: &str| refused(&s3, &complete(xml));
    let body = |pointer: &str, rule| (Place::Body, pointer.to_owned(), rule);
    assert_eq!(
        of(&good.replace("ETag", "Etag").replacen("Etag", "ETag", 2)),
        body("/Part/1/Etag", Rule::Unknown)
    );
    assert_eq!(
        of(&good.replace(">2<", ">two<")),
        body("/Part/1/PartNumber", Rule::Type)
    );
    assert_eq!(of("<Complete/>"), body("", Rule::Undescribed));
    assert_eq!(of("<CompleteMultipartUpload>"), body("", Rule::Syntax));
    let delete = Request::new(Method::POST, "/bucket?delete");
    assert_eq!(refused(&s3, &delete), body("", Rule::Required));
}

#[test]
fn xml_answers_are_made_and_checked() {
    let rds = description_or_skip!("aws-rds.c2j.json");
    let answers = rds.answers("DescribeDBInstances");
    let full = answers
        .iter()
        .find(|it| it.label == "200 full")
        .expect("a full answer");
    let text = String::from_utf8_lossy(&full.body).into_owned();
    assert!(text.contains("<DBInstance><"), "{text}");
    let check = |text: &str| rds.check_answer("DescribeDBInstances", 200, text.as_bytes());
    assert_eq!(check(&text), Ok(()));
    let invented = text.replace("DBInstanceStatus>", "DBInstanceState>");
    let violations = check(&invented).expect_err("an element that is not described");
    assert_eq!(violations[0].pointer, "/DBInstances/0/DBInstanceState");
    let missing = answers
        .iter()
        .find(|it| it.label == "404 DBInstanceNotFound")
        .expect("a failure");
    assert_eq!(missing.status, 404);
    assert!(String::from_utf8_lossy(&missing.body).contains("<Code>DBInstanceNotFound</Code>"));
}

#[test]
fn cloudwatch_is_spoken_in_two_protocols() {
    let cloudwatch = description_or_skip!("aws-cloudwatch.c2j.json");
    let json = Request::new(Method::POST, "/")
        .with_header("x-amz-target", "GraniteServiceVersion20100801.DeleteAlarms")
        .with_body("application/x-amz-json-1.0", r#"{"AlarmNames":["a"]}"#);
    assert_eq!(accepted(&cloudwatch, &json), "DeleteAlarms");
    let form = "Action=DeleteAlarms&Version=2010-08-01&AlarmNames.member.1=a";
    let query =
        Request::new(Method::POST, "/").with_body("application/x-www-form-urlencoded", form);
    assert_eq!(accepted(&cloudwatch, &query), "DeleteAlarms");
}

#[test]
fn of_operations_that_accept_a_request_the_one_that_requires_most_is_meant() {
    let http = json!({ "method": "PUT", "requestUri": "/{Bucket}" });
    let source = json!({ "shape": "S", "location": "header", "locationName": "x-source" });
    let bucket = json!({ "shape": "S", "location": "uri", "locationName": "Bucket" });
    let shape = |required: Value, members: Value| json!({ "type": "structure", "required": required, "members": members });
    let model = json!({
        "metadata": { "protocol": "rest-xml" },
        "operations": {
            "Put": { "http": http, "input": { "shape": "PutInput" } },
            "PutCopy": { "http": http, "input": { "shape": "CopyInput" } },
        },
        "shapes": {
            "S": { "type": "string" },
            "PutInput": shape(json!(["Bucket"]), json!({ "Bucket": bucket })),
            "CopyInput": shape(json!(["Bucket", "Source"]), json!({ "Bucket": bucket, "Source": source })),
        },
    });
    let description = Description::parse("store.c2j.json", &model.to_string()).expect("valid");
    let put = Request::new(Method::PUT, "/bucket");
    assert_eq!(accepted(&description, &put), "Put");
    assert_eq!(
        accepted(&description, &put.with_header("x-source", "a")),
        "PutCopy"
    );
}
