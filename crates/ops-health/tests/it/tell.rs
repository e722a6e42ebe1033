//! Talks to a Redis server by hand.

use ops_testkit::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Sends a command by hand, and returns the answer's beginning.
pub(crate) async fn tell(server: &Redis, command: &str) -> String {
    let mut stream = UnixStream::connect(server.socket()).await.unwrap();
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = vec![0; 16 * 1024];
    let n = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..n]).into_owned()
}
