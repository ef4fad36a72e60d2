//! A flood of empty messages, as `nats pub --send-on newline` without `--force-stdin` makes them.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::ensure;
use testkit::NatsServer;

use crate::{
    client::{Client, TENANT},
    model::{Model, random_launches},
    pipeline::Pipeline,
};

const EMPTY_MESSAGES: usize = 1_000_000;
/// Messages sent before their acknowledgements are awaited: below what the server buffers for a stream.
const WINDOW: usize = 2_000;

/// Speaks the plain NATS protocol: no client of ours would publish such a thing.
struct PlainConnection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl PlainConnection {
    fn open(address: &str) -> anyhow::Result<Self> {
        let writer = TcpStream::connect(address)?;
        writer.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut connection = Self { reader: BufReader::new(writer.try_clone()?), writer };
        connection.line()?;
        connection.writer.write_all(b"CONNECT {\"verbose\":false}\r\nSUB acknowledged 1\r\n")?;
        Ok(connection)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line)? > 0, "the server closed the connection");
        Ok(line)
    }

    /// Publishes empty messages and waits until the stream has acknowledged all of them.
    fn publish_empty(&mut self, subject: &str, count: usize) -> anyhow::Result<()> {
        let message = format!("PUB {subject} acknowledged 0\r\n\r\n");
        self.writer.write_all(message.repeat(count).as_bytes())?;
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
}

fn publish_flood(address: &str) -> anyhow::Result<()> {
    let mut connection = PlainConnection::open(address)?;
    for _ in 0..EMPTY_MESSAGES / WINDOW {
        connection.publish_empty("launches.in.acme.store-1", WINDOW)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_empty_messages_are_skipped() -> anyhow::Result<()> {
    let mut launches = random_launches(31, 1, 2);
    launches.iter_mut().for_each(|launch| "store-1".clone_into(&mut launch.account));
    let pipeline = Pipeline::start().await?;
    pipeline.nats_cli(&["pub", "-J", "--no-templates", "launches.in.acme.store-1", &wire(&launches[0])], None)?;
    let data = pipeline.stop_keeping_data().await?;
    // Stored without a sync for each message, to be quick; the pipeline then finds them in its log.
    let server = NatsServer::options().store_dir(data.path().join("nats")).without_sync().start()?;
    let address = server.url().trim_start_matches("nats://").to_owned();
    tokio::task::spawn_blocking(move || publish_flood(&address)).await??;
    drop(server);

    let pipeline = Pipeline::start_on(data).await?;
    pipeline.nats_cli(&["pub", "-J", "--no-templates", "launches.in.acme.store-1", &wire(&launches[1])], None)?;
    pipeline.wait_until_applied().await?;
    let mut model = Model::default();
    launches.iter().for_each(|launch| model.add(launch));
    Client::new(&pipeline)?.check(&model, None).await?;
    pipeline.stop().await
}

fn wire(launch: &crate::model::Launch) -> String {
    launch.wire(TENANT).to_string()
}
