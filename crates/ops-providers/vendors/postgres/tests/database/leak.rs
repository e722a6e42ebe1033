//! The password is seen nowhere.

use ops_conformance::leak::assert_no_leak;
use ops_core::Database;
use ops_postgres::Postgres;
use ops_testkit::Pg;

#[test]
fn a_password_that_is_refused_or_never_asked_for_is_kept() {
    let canary = "canary-postgres-5f3a9c0e71d2";
    assert_no_leak(canary, |texts| async move {
        // Nobody listens there.
        let refused = format!("postgres://app:{canary}@127.0.0.1:1/shop?sslmode=disable");
        let mut urls = vec![("a closed port", refused)];
        let pg = Pg::start().await;
        if let Some(pg) = &pg {
            let url = pg.url("postgres");
            let with_password = url.replacen("://", &format!("://nobody:{canary}@"), 1);
            urls.push(("a user that is not there", with_password));
        }
        for (what, url) in urls {
            let postgres = match Postgres::from_url(&url) {
                Ok(postgres) => postgres,
                Err(err) => {
                    texts.error(what, &err);
                    continue;
                }
            };
            let info = postgres.connect_info().await.unwrap();
            texts.text(what, &info.to_string());
            texts.debug(what, &(&postgres, info));
            if let Err(err) = postgres.describe().await {
                texts.error(what, &err);
            }
            if let Err(err) = postgres.ping().await {
                texts.error(what, &err);
            }
        }
    });
}
