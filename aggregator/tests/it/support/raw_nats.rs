//! A client that knows nothing of us: it speaks the server's text protocol, as somebody publishing by hand would.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};

/// Messages heard, by subject.
type Heard = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A connection.
pub struct RawNats {
    writer: OwnedWriteHalf,
    pongs: UnboundedReceiver<()>,
    heard: Heard,
    reader: JoinHandle<()>,
}

impl Drop for RawNats {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl RawNats {
    pub async fn connect(port: u16) -> anyhow::Result<Self> {
        let (reader, mut writer) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
        writer.write_all(b"CONNECT {\"verbose\":false,\"headers\":false}\r\n").await?;
        let (pong, pongs) = unbounded_channel();
        let heard = Heard::default();
        let reading = read(BufReader::new(reader), Arc::clone(&heard), pong);
        let reader = tokio::spawn(async move {
            let _ended = reading.await;
        });
        let mut this = Self { writer, pongs, heard, reader };
        this.flush().await?;
        Ok(this)
    }

    /// Publishes without waiting for the log.
    pub async fn publish(&mut self, subject: &str, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
        frame.extend_from_slice(payload);
        frame.extend_from_slice(b"\r\n");
        Ok(self.writer.write_all(&frame).await?)
    }

    /// The server has taken everything published before.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.write_all(b"PING\r\n").await?;
        self.pongs.recv().await.context("the server closed the connection")
    }

    /// Hears what is published from now on.
    pub async fn subscribe(&mut self, pattern: &str) -> anyhow::Result<()> {
        self.writer.write_all(format!("SUB {pattern} 1\r\n").as_bytes()).await?;
        self.flush().await
    }

    /// The last message heard of each subject.
    pub fn heard(&self) -> BTreeMap<String, Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

async fn read(
    mut reader: BufReader<OwnedReadHalf>,
    heard: Heard,
    pong: tokio::sync::mpsc::UnboundedSender<()>,
) -> anyhow::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        anyhow::ensure!(reader.read_line(&mut line).await? > 0, "closed");
        if line.starts_with("PONG") {
            pong.send(())?;
        }
        let Some(head) = line.strip_prefix("MSG ") else { continue };
        let fields: Vec<&str> = head.split_whitespace().collect();
        let (subject, length) = (fields[0].to_owned(), fields.last().context("a length")?.parse::<usize>()?);
        let mut payload = vec![0; length + 2];
        reader.read_exact(&mut payload).await?;
        payload.truncate(length);
        heard.lock().unwrap().insert(subject, payload);
    }
}
