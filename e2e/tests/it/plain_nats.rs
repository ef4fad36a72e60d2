//! The plain NATS protocol: publishes what no client of ours would.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::ensure;

/// Messages sent before their acknowledgements are awaited: below what the server buffers for a stream.
const WINDOW: usize = 2_000;

/// A connection that publishes into streams.
pub struct PlainConnection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl PlainConnection {
    /// Connects to `nats://host:port`.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let writer = TcpStream::connect(url.trim_start_matches("nats://"))?;
        writer.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut connection = Self { reader: BufReader::new(writer.try_clone()?), writer };
        connection.line()?;
        connection.writer.write_all(b"CONNECT {\"verbose\":false}\r\nSUB acknowledged 1\r\n")?;
        Ok(connection)
    }

    /// Publishes one message and waits until the stream has it.
    pub fn publish(&mut self, subject: &str, payload: &[u8]) -> anyhow::Result<()> {
        self.writer.write_all(format!("PUB {subject} acknowledged {}\r\n", payload.len()).as_bytes())?;
        self.writer.write_all(payload)?;
        self.writer.write_all(b"\r\n")?;
        self.wait_for_acknowledgements(1)
    }

    /// Publishes empty messages and waits until the stream has all of them.
    pub fn publish_empty(&mut self, subject: &str, count: usize) -> anyhow::Result<()> {
        let message = format!("PUB {subject} acknowledged 0\r\n\r\n");
        let mut left = count;
        while left > 0 {
            let now = left.min(WINDOW);
            self.writer.write_all(message.repeat(now).as_bytes())?;
            self.wait_for_acknowledgements(now)?;
            left -= now;
        }
        Ok(())
    }

    fn wait_for_acknowledgements(&mut self, count: usize) -> anyhow::Result<()> {
        let mut acknowledged = 0;
        while acknowledged < count {
            let line = self.line()?;
            if line.starts_with("PING") {
                self.writer.write_all(b"PONG\r\n")?;
            } else if line.starts_with('{') {
                ensure!(line.contains("\"seq\""), "refused: {line}");
                acknowledged += 1;
            }
        }
        Ok(())
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line)? > 0, "the server closed the connection");
        Ok(line)
    }
}
