//! Each provider by its settings.

use ops_core::ErrorKind;
use serde_json::{Value, json};

use crate::support::{CANARY, open, registry};

#[tokio::test]
async fn what_is_in_memory_opens_without_settings() {
    let known: Vec<_> = registry().known().collect();
    for it in known {
        if it.name != "memory" || it.missing_feature.is_some() {
            continue;
        }
        let settings = match it.trait_name {
            "Cdn" => json!({ "host": "shop.example" }),
            _ => json!({}),
        };
        assert_opens(it.trait_name, "memory", settings).await;
        if it.trait_name != "Cdn" {
            let unknown = json!({ "capacity": 1 });
            let problem = "\"capacity\" is no setting; there are none";
            assert_refused(it.trait_name, "memory", unknown, &[problem]).await;
        }
    }
}

async fn assert_opens(trait_name: &str, name: &str, json: Value) {
    let provider = open(trait_name, name, json).await.unwrap();
    assert_eq!(provider.as_str(), name);
}

async fn assert_refused(trait_name: &str, name: &str, json: Value, problems: &[&str]) {
    let err = open(trait_name, name, json).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert_eq!(err.message(), problems.join("; "));
    assert_eq!(err.provider().unwrap().as_str(), name);
    assert!(!format!("{err:?}").contains(CANARY));
}

#[cfg(feature = "local")]
#[tokio::test]
async fn a_folder_is_made_only_where_nothing_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let wrong = json!({ "path": path, "create": true, "readonly": true });
    let problem = "\"readonly\" is no setting; there are create, path, read_only";
    assert_refused("ObjectStore", "local", wrong, &[problem]).await;
    assert!(!path.exists());
    assert_opens(
        "ObjectStore",
        "local",
        json!({ "path": path, "create": true }),
    )
    .await;
    assert!(path.exists());
    let missing = json!({ "create": "yes", "path": "" });
    let problems = ["path is not a path", "create is not true or false"];
    assert_refused("ObjectStore", "local", missing, &problems).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_is_opened_by_a_url_that_is_a_secret() {
    let url = json!({ "env": "URL" });
    assert_opens(
        "Database",
        "postgres",
        json!({ "url": url, "timeout": "2s" }),
    )
    .await;
    let wrong = json!({ "url": { "env": "SECRET" }, "timeout": "0s", "pool": 5 });
    let err = open("Database", "postgres", wrong).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let problems: Vec<&str> = err.message().split("; ").collect();
    assert_eq!(problems[0], "\"pool\" is no setting");
    assert!(problems.last().unwrap().contains("connection URL"), "{err}");
    assert!(!format!("{err:?}").contains(CANARY));
    let literal = json!({ "url": format!("postgres://app:{CANARY}@db.internal/shop") });
    let err = open("Database", "postgres", literal).await.unwrap_err();
    assert!(!format!("{err:?}").contains(CANARY), "{err:?}");
    let zero = json!({ "url": url, "timeout": "0s" });
    assert_refused("Database", "postgres", zero, &["the timeout is zero"]).await;
}

#[cfg(feature = "neon")]
#[tokio::test]
async fn neon_is_opened_by_a_key_and_a_project() {
    let key = json!({ "env": "SECRET" });
    let full = json!({
        "api_key": key, "project": "p-1", "branch": "main", "database": "shop", "role": "app",
        "organization": "org-1", "pooled": true, "ping_timeout": "5s",
        "base_url": "http://127.0.0.1:9/api", "allow_http": true,
    });
    assert_opens("Database", "neon", full).await;
    assert_opens(
        "Database",
        "neon",
        json!({ "api_key": key, "project": "p-1" }),
    )
    .await;
    let wrong = json!({
        "api_key": { "env": "UNSET" }, "branch": "", "ping_timeout": "0s",
        "base_url": "http://host",
    });
    let problems = [
        "api_key: the variable UNSET is not set",
        "project is missing",
        "the branch is empty",
        "the timeout of pings is zero",
        "the base URL is http, and allow_http is not set",
    ];
    assert_refused("Database", "neon", wrong, &problems).await;
    let credentials = json!({
        "api_key": key, "project": "p-1", "base_url": format!("https://u:{CANARY}@host"),
    });
    let problem = "base_url looks like a secret, and is not one of the settings that hold one";
    assert_refused("Database", "neon", credentials, &[problem]).await;
}

#[cfg(feature = "cloudflare")]
#[tokio::test]
async fn cloudflare_is_opened_by_a_token() {
    let token = json!({ "env": "SECRET" });
    assert_opens("Dns", "cloudflare", json!({ "api_token": token })).await;
    let zone = json!({ "api_token": token, "zone_id": "z1", "zone": "shop.example" });
    assert_opens("Cdn", "cloudflare", zone).await;
    let wrong = json!({ "api_token": {}, "zone": "no name", "base_url": "ftp://host" });
    let err = open("Cdn", "cloudflare", wrong).await.unwrap_err();
    let message = err.message();
    for part in [
        "api_token: a secret is not written here",
        "zone_id is missing",
        "zone: ",
        "the base URL is neither https nor http",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[cfg(feature = "cloudflare-r2")]
#[tokio::test]
async fn r2_is_opened_by_an_access_key() {
    let secret = json!({ "env": "SECRET" });
    let least = json!({
        "account": "a1", "bucket": "backups",
        "access_key_id": secret, "secret_access_key": secret,
    });
    assert_opens("ObjectStore", "cloudflare", least).await;
    let full = json!({
        "account": "a1", "bucket": "backups", "jurisdiction": "eu", "prefix": "shop/",
        "access_key_id": secret, "secret_access_key": secret, "api_token": secret,
        "endpoint": "http://127.0.0.1:9", "base_url": "http://127.0.0.1:9", "allow_http": true,
        "part_bytes": 16_777_216, "concurrency": 2, "byte_budget": 67_108_864,
        "attempt_timeout": "10s",
    });
    assert_opens("ObjectStore", "cloudflare", full).await;
    let wrong = json!({
        "account": "a1", "bucket": "no bucket", "jurisdiction": "mars",
        "access_key_id": secret, "secret_access_key": secret, "concurrency": 0,
    });
    let problems = [
        "jurisdiction is none of eu, us, fedramp, fedramp-high",
        "bucket is not made of letters, digits, '-', '.' and '_'",
        "concurrency is not between 1 and 1024",
    ];
    assert_refused("ObjectStore", "cloudflare", wrong, &problems).await;
}

#[cfg(feature = "aws-s3")]
#[tokio::test]
async fn s3_is_opened_by_an_access_key() {
    let secret = json!({ "env": "SECRET" });
    let least = json!({
        "bucket": "backups", "region": "eu-central-1",
        "access_key_id": secret, "secret_access_key": secret, "session_token": secret,
    });
    assert_opens("ObjectStore", "aws", least).await;
    let problems = [
        "bucket is missing",
        "region is missing",
        "access_key_id is missing",
        "secret_access_key is missing",
        "byte_budget is zero",
    ];
    let nothing = json!({ "byte_budget": 0 });
    assert_refused("ObjectStore", "aws", nothing, &problems).await;
}

#[cfg(feature = "aws-s3")]
#[tokio::test]
async fn a_server_is_not_tried_where_something_is_wrong() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let secret = json!({ "env": "SECRET" });
    let wrong = json!({
        "bucket": "backups", "region": "here", "allow_http": true, "color": "red",
        "endpoint": format!("http://{}", listener.local_addr().unwrap()),
        "access_key_id": secret, "secret_access_key": secret,
    });
    let err = open("ObjectStore", "aws", wrong).await.unwrap_err();
    assert!(
        err.message().starts_with("\"color\" is no setting"),
        "{err}"
    );
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[cfg(feature = "fly")]
#[tokio::test]
async fn fly_is_opened_by_a_token() {
    let token = json!({ "env": "SECRET" });
    assert_opens("Hosting", "fly", json!({ "token": token })).await;
    let full = json!({
        "token": token, "organization": "acme", "region": "fra", "port": 3000,
        "start_timeout": "2m", "interval": "500ms", "base_url": "http://127.0.0.1:9/v1",
        "platform_url": "http://127.0.0.1:9", "allow_http": true,
    });
    assert_opens("Hosting", "fly", full).await;
    let wrong = json!({ "region": "", "port": 0.5, "base_url": "http://host", "size": "big" });
    let err = open("Hosting", "fly", wrong).await.unwrap_err();
    for part in [
        "token is missing",
        "region: ",
        "port is not a whole number",
        "\"size\" is no setting",
        "the base URL is http, and allow_http is not set",
    ] {
        assert!(err.message().contains(part), "{part}: {err}");
    }
}

#[cfg(feature = "uptimerobot")]
#[tokio::test]
async fn uptimerobot_is_opened_by_a_key() {
    let key = json!({ "env": "SECRET" });
    assert_opens("Monitor", "uptimerobot", json!({ "api_key": key })).await;
    let full = json!({
        "api_key": key, "min_interval": "5m", "utc_offset_minutes": -300, "allow_http": true,
        "base_url": "http://127.0.0.1:9/v3", "heartbeat_url": "http://127.0.0.1:9",
    });
    assert_opens("Monitor", "uptimerobot", full).await;
    let wrong = json!({ "api_key": { "env": "EMPTY" }, "utc_offset_minutes": 5000, "key": 1 });
    let err = open("Monitor", "uptimerobot", wrong).await.unwrap_err();
    for part in [
        "api_key: the variable EMPTY is empty",
        "\"key\" is no setting",
        "UTC",
    ] {
        assert!(err.message().contains(part), "{part}: {err}");
    }
}
