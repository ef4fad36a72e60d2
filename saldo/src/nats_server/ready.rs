//! Whether the child answers.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of the greeting: far more than a server's INFO line has.
const GREETING_BYTES: u64 = 64 * 1024;

/// Returns when the server of this name greets on the address. It opens its port only after all its streams are loaded.
pub async fn answers(address: SocketAddr, server_name: &str) {
    let name = format!("\"server_name\":\"{server_name}\"");
    loop {
        if let Ok(Ok(greeting)) = timeout(LOOK, greeting(address)).await
            && greeting.starts_with("INFO ")
            && greeting.contains(&name)
        {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn greeting(address: SocketAddr) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_BYTES)).read_line(&mut line).await?;
    Ok(line)
}
