//! A stop while the log is silent and many callers wait for it.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use testkit::NatsServer;

use crate::pipeline::{PATIENCE, ingest};

/// Callers that wait; what each of them sent is unknown when ingest ends.
const CALLERS: usize = 800;

/// Callers are cut while their launches still wait for the log.
const PATIENT: [(&str, &str); 3] =
    [("SALDO_HTTP_DRAIN_MS", "200"), ("SALDO_INGEST_ACK_TIMEOUT_MS", "60000"), ("SALDO_INGEST_GIVE_UP_MS", "60000")];

/// Posts a launch and does not wait for the answer.
fn post(address: &str, number: usize) -> TcpStream {
    let launch = format!(
        r#"{{"id":"s-{number}","account":"a-{number}","date":"2026-11-22","kind":"credit","amount":"1.00","currency":"BRL"}}"#
    );
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/launches HTTP/1.1\r\nHost: {address}\r\nSaldo-Tenant: acme\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{launch}",
        launch.len()
    )
    .unwrap();
    stream
}

/// Asks for the health of ingest: it has read what was sent before.
fn until_alive(address: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_stop_while_the_log_is_silent_ends_with_the_code_of_a_good_end() {
    let mut nats = NatsServer::start().unwrap();
    let (mut process, address) = ingest(&nats, &PATIENT);
    nats.stop_signal().unwrap();
    let waiting: Vec<_> = (0..CALLERS).map(|number| post(&address, number)).collect();
    until_alive(&address);
    process.terminate().unwrap();
    let status = process.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(0), "{status}: {}", process.output());
    drop(waiting);
    nats.continue_signal().unwrap();
}
