//! What buckets can do beside keeping objects.

use crate::kit::{BUCKET, ok, refusal, refused, send, shop};

const VERSIONING: &str =
    "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

#[tokio::test]
async fn a_deleted_version_can_be_had_again() {
    let (s3, client) = shop().await;
    ok(send(&client, "PUT /shop?versioning", &[], VERSIONING).await);
    let mut ids = Vec::new();
    for content in ["1", "2"] {
        let put = ok(send(&client, "PUT /shop/k", &[], content).await);
        ids.push(put.header("x-amz-version-id").unwrap().to_owned());
    }
    let deleted = ok(send(&client, "DELETE /shop/k", &[], "").await);
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    let marker = deleted.header("x-amz-version-id").unwrap().to_owned();
    let gone = send(&client, "GET /shop/k", &[], "").await;
    assert_eq!(refusal(&gone), refused(404, "NoSuchKey"));
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let old = format!("GET /shop/k?versionId={}", ids[0]);
    assert_eq!(ok(send(&client, &old, &[], "").await).text(), "1");

    let list = ok(send(&client, "GET /shop?versions", &[], "").await);
    let listed = list.texts_of("VersionId");
    assert!(
        ids.iter().chain([&marker]).all(|id| listed.contains(id)),
        "{listed:?}"
    );
    assert_eq!(
        list.texts_of("IsLatest")
            .iter()
            .filter(|it| *it == "true")
            .count(),
        1
    );

    ok(send(
        &client,
        &format!("DELETE /shop/k?versionId={marker}"),
        &[],
        "",
    )
    .await);
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "2");
}

#[tokio::test]
async fn a_bucket_that_holds_anything_stays() {
    let (_s3, client) = shop().await;
    ok(send(&client, "PUT /shop/k", &[], "x").await);
    let full = send(&client, "DELETE /shop", &[], "").await;
    assert_eq!(refusal(&full), refused(409, "BucketNotEmpty"));
    ok(send(&client, "DELETE /shop/k", &[], "").await);
    assert_eq!(send(&client, "DELETE /shop", &[], "").await.status, 204);
    assert_eq!(send(&client, "HEAD /shop", &[], "").await.status, 404);
    let again = ok(send(&client, "PUT /shop", &[], "").await);
    assert_eq!(again.header("location"), Some("/shop"));
    let twice = send(&client, "PUT /shop", &[], "").await;
    assert_eq!(refusal(&twice), refused(409, "BucketAlreadyOwnedByYou"));
}

#[tokio::test]
async fn what_is_locked_cannot_be_removed() {
    let (_s3, client) = shop().await;
    let locked = [("x-amz-bucket-object-lock-enabled", "true")];
    ok(send(&client, "PUT /safe", &locked, "").await);
    let retained = [
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        (
            "x-amz-object-lock-retain-until-date",
            "2100-01-01T00:00:00Z",
        ),
    ];
    let put = ok(send(&client, "PUT /safe/k", &retained, "x").await);
    let version = put.header("x-amz-version-id").unwrap().to_owned();
    let delete = format!("DELETE /safe/k?versionId={version}");
    let denied = send(&client, &delete, &[], "").await;
    assert_eq!(refusal(&denied), refused(403, "AccessDenied"));

    let hold_on = "<LegalHold><Status>ON</Status></LegalHold>";
    ok(send(&client, "PUT /safe/k?legal-hold", &[], hold_on).await);
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    let refused_again = send(&client, &delete, &bypass, "").await;
    assert_eq!(refusal(&refused_again), refused(403, "AccessDenied"));
    let free = "<LegalHold><Status>OFF</Status></LegalHold>";
    ok(send(&client, "PUT /safe/k?legal-hold", &[], free).await);
    ok(send(&client, &delete, &bypass, "").await);
}

#[tokio::test]
async fn settings_are_kept_and_their_absence_is_told() {
    let (_s3, client) = shop().await;
    for (resource, body, missing) in [
        (
            "lifecycle",
            "<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter>\
             <Prefix>p/</Prefix></Filter><Expiration><Days>7</Days></Expiration></Rule>\
             </LifecycleConfiguration>",
            "NoSuchLifecycleConfiguration",
        ),
        (
            "cors",
            "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod>\
             <AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>",
            "NoSuchCORSConfiguration",
        ),
        (
            "tagging",
            "<Tagging><TagSet><Tag><Key>team</Key><Value>ops</Value></Tag></TagSet></Tagging>",
            "NoSuchTagSet",
        ),
        (
            "publicAccessBlock",
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
             </PublicAccessBlockConfiguration>",
            "NoSuchPublicAccessBlockConfiguration",
        ),
    ] {
        let line = |method: &str| format!("{method} /shop?{resource}");
        let absent = send(&client, &line("GET"), &[], "").await;
        assert_eq!(refusal(&absent), refused(404, missing));
        ok(send(&client, &line("PUT"), &[], body).await);
        let kept = ok(send(&client, &line("GET"), &[], "").await).text();
        let inner = body.split_once('>').unwrap().1.rsplit_once("</").unwrap().0;
        let told = ["Days", "AllowedMethod", "Value", "BlockPublicAcls"];
        let told = told.iter().find(|it| inner.contains(*it)).unwrap();
        assert!(kept.contains(&format!("<{told}>")), "{kept}");
        ok(send(&client, &line("DELETE"), &[], "").await);
        assert_eq!(send(&client, &line("GET"), &[], "").await.status, 404);
    }
}

#[tokio::test]
async fn objects_have_tags() {
    let (_s3, client) = shop().await;
    ok(send(
        &client,
        "PUT /shop/k",
        &[("x-amz-tagging", "a=1&b=two%20words")],
        "x",
    )
    .await);
    let tags = ok(send(&client, "GET /shop/k?tagging", &[], "").await);
    assert_eq!(tags.texts_of("Value"), ["1", "two words"]);
    let get = ok(send(&client, "GET /shop/k", &[], "").await);
    assert_eq!(get.header("x-amz-tagging-count"), Some("2"));
    ok(send(&client, "DELETE /shop/k?tagging", &[], "").await);
    let none = ok(send(&client, "GET /shop/k?tagging", &[], "").await);
    assert_eq!(none.texts_of("Value"), Vec::<String>::new());
}
