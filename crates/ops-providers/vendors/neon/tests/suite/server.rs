//! A real PostgreSQL that is started when somebody connects to it first.

use std::sync::Arc;

use ops_core::database::Host;
use ops_testkit::Pg;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

use crate::fake::{DATABASE, PASSWORD, ROLE};

/// The loopback port that leads to a server with the fake's role and database. Most tests
/// never connect, and starting a server takes a second.
pub(crate) async fn on_demand() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let server = Arc::new(OnceCell::new());
        while let Ok((client, _)) = listener.accept().await {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                if let Some(pg) = server.get_or_init(start).await {
                    forward(client, pg).await;
                }
            });
        }
    });
    port
}

async fn start() -> Option<Pg> {
    let builder = Pg::builder().tcp(true);
    let builder = builder.with(|server| server.superuser(ROLE).password(PASSWORD));
    let pg = builder.start().await?;
    pg.create_database(DATABASE).await;
    Some(pg)
}

async fn forward(mut client: TcpStream, pg: &Pg) {
    let info = pg.connect_info(DATABASE);
    let Host::Tcp(host) = info.host else {
        return;
    };
    let mut server = TcpStream::connect((host.as_str(), info.port))
        .await
        .unwrap();
    // A side that closes ends it.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
