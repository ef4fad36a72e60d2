//! Tenants against each other: whoever holds or computes much leaves the others what they need.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use ingest::IngestConfig;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use testkit::wait_until_async;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::support::{Answer, DEADLINE, Setup, TestIngest, answer, launch, lines};

const LINES: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// A request whose body has begun.
async fn open(ingest: &TestIngest, tenant: &str, media_type: &str, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(ingest.address).await.unwrap();
    let head = format!(
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: {tenant}\r\nContent-Type: {media_type}\r\n\
         Content-Length: 4000000\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), part].concat()).await.unwrap();
    stream
}

/// The status of a refusal, `None` while the body is still read.
fn refused(stream: &mut TcpStream) -> Option<String> {
    let mut text = [0; 12];
    let read = stream.read_exact(&mut text).now_or_never()?;
    read.ok().map(|_| String::from_utf8_lossy(&text[9..]).into_owned())
}

/// Opens requests until one is refused; those that were not, and the refusal.
async fn open_until_refused(ingest: &TestIngest, tenant: &str, media_type: &str, part: &[u8]) -> (usize, String) {
    let mut held: Vec<TcpStream> = Vec::new();
    let status = timeout(DEADLINE, async {
        loop {
            held.push(open(ingest, tenant, media_type, part).await);
            sleep(Duration::from_millis(10)).await;
            if let Some(status) = held.iter_mut().find_map(refused) {
                return status;
            }
        }
    });
    let status = status.await.expect("a refusal");
    let count = held.len();
    // They stay open until the test ends.
    held.into_iter().for_each(std::mem::forget);
    (count, status)
}

/// The head of a post of one launch, whose body follows.
async fn head_of(ingest: &TestIngest, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(ingest.address).await.unwrap();
    let head = format!(
        "POST /v1/launches HTTP/1.1\r\nHost: localhost\r\nSaldo-Tenant: acme\r\nContent-Type: {JSON}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_launches_whose_bodies_follow_their_heads_are_all_taken() {
    let ingest = TestIngest::start().await;
    let bodies: Vec<String> = (0..1_200).map(|number| launch(&format!("late-{number}")).to_string()).collect();
    let mut streams = Vec::new();
    // One after the other: a burst of connections overflows the system's backlog, which resets some.
    for body in &bodies {
        streams.push(head_of(&ingest, body).await);
    }
    // One that came after them all is answered: their heads have been read.
    assert_eq!(ingest.post(&launch("after-them")).await.status, 201);
    for (stream, body) in streams.iter_mut().zip(&bodies) {
        stream.write_all(body.as_bytes()).await.unwrap();
    }
    for stream in &mut streams {
        let mut status = [0; 12];
        timeout(DEADLINE, stream.read_exact(&mut status)).await.expect("an answer").unwrap();
        assert_eq!(String::from_utf8_lossy(&status[9..]), "201");
    }
}

async fn post_as(ingest: &TestIngest, tenant: &str, media_type: &str, body: String) -> Answer {
    let request = ingest.http.post(ingest.url("/v1/launches")).header("saldo-tenant", tenant);
    answer(request.header("content-type", media_type).body(body)).await
}

#[tokio::test]
async fn bulks_that_drip_take_places_of_their_own_tenant_only() {
    let mut config = IngestConfig::default();
    config.bodies.max_bulks = 8;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let line = format!("{}\n", launch("a"));
    let (count, status) = open_until_refused(&ingest, "acme", LINES, line.as_bytes()).await;
    assert!(status == "429" && count > 6, "{count} {status}");
    assert_eq!(post_as(&ingest, "acme", LINES, line.clone()).await.status, 429);
    assert_eq!(post_as(&ingest, "other", LINES, line).await.status, 200);
}

#[tokio::test]
async fn bodies_that_stand_still_hold_room_of_their_own_tenant_only() {
    let mut config = IngestConfig::default();
    config.bodies.max_bodies_bytes = 4 * 1024 * 1024;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let long = [b"[".as_slice(), &b" ".repeat(200_000)].concat();
    let (_, status) = open_until_refused(&ingest, "acme", JSON, &long).await;
    assert_eq!(status, "503", "room for long bodies");
    let (_, status) = open_until_refused(&ingest, "acme", JSON, b"{\"id\":").await;
    assert_eq!(status, "503", "places for short ones");
    assert_eq!(post_as(&ingest, "acme", JSON, launch("a").to_string()).await.status, 201, "it comes at once");
    let array = format!("[{}{}]", " ".repeat(200_000), launch("b"));
    assert_eq!(post_as(&ingest, "other", JSON, array).await.status, 200);
    let mut slow = open(&ingest, "other", JSON, b"{\"id\":").await;
    assert_eq!(post_as(&ingest, "other", JSON, launch("c").to_string()).await.status, 201);
    assert_eq!(refused(&mut slow), None, "a short body of another tenant has a place");
}

/// What a client is told that sends `part` and then a little again and again.
async fn drip(ingest: &TestIngest, part: &[u8], bytes: usize, pause_ms: u64) -> String {
    let (mut reader, mut writer) = open(ingest, "acme", JSON, part).await.into_split();
    let drips = async {
        while writer.write_all(&b" ".repeat(bytes)).await.is_ok() {
            sleep(Duration::from_millis(pause_ms)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut status = [0; 12];
    tokio::select! {
        () = drips => unreachable!(),
        read = timeout(DEADLINE, reader.read_exact(&mut status)) => read.expect("an end").unwrap(),
    };
    String::from_utf8_lossy(&status[9..]).into_owned()
}

#[tokio::test]
async fn a_body_that_holds_much_must_not_be_slow_and_none_may_take_for_ever() {
    let mut config = IngestConfig::default();
    config.bodies.patience_ms = 500;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let long = [b"[".as_slice(), &b" ".repeat(256 * 1024)].concat();
    assert_eq!(drip(&ingest, &long, 1_500, 100).await, "408", "seven and a half KiB in half a second, of 256");
    let mut config = IngestConfig::default();
    config.bodies.whole_ms = 1_000;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    assert_eq!(drip(&ingest, b"[", 1_500, 20).await, "408");
}

/// Launches at the beginning of each array of rubbish: so many that they are on the log long before the array is read.
const LAUNCHES: usize = 1_100;

/// An array of so many elements that are no launches behind some that are.
fn rubbish(number: usize, elements: usize) -> String {
    let launches = lines(number * LAUNCHES..(number + 1) * LAUNCHES).join(",");
    format!("[{launches}{}]", r#",{"a":1,"b":2,"c":3,"d":"e"}    "#.repeat(elements))
}

fn post_rubbish(ingest: &TestIngest, number: usize, elements: usize) -> JoinHandle<Answer> {
    let request = ingest.request(JSON).body(rubbish(number, elements));
    tokio::spawn(answer(request))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_of_rubbish_leave_the_processors_to_others() {
    let ingest = TestIngest::start().await;
    let arrays: Vec<_> = (0..6).map(|number| post_rubbish(&ingest, number, 200_000)).collect();
    let begun = async || (ingest.log.usage().await.ok()?.messages > 0).then_some(());
    wait_until_async("the first array in work", DEADLINE, begun).await.unwrap();
    let mut answered = 0;
    while !arrays.iter().all(JoinHandle::is_finished) {
        let live = ingest.http.get(ingest.url("/health/live")).send().await.unwrap();
        let posted = post_as(&ingest, "other", JSON, launch(&format!("o-{answered}")).to_string()).await;
        assert_eq!((live.status().as_u16(), posted.status), (200, 201));
        answered += 1;
    }
    assert!(answered >= 20, "only {answered} others were answered beside the arrays");
    for array in join_all(arrays).await {
        let array = array.unwrap();
        assert_eq!((array.status, &array.body["rejected"]), (200, &Value::from(200_000)));
    }
}

/// One thread for client, service and the ticks between: no single part of the work is a noticeable part of it. The thread's own
/// time counts, so that other programs on the machine make no difference.
#[tokio::test]
async fn bulks_of_any_kind_are_read_in_slices() {
    let ingest = TestIngest::start().await;
    let array = rubbish(0, 200_000);
    let ndjson = array.trim_matches(['[', ']']).replace(",{", "\n{");
    for (media_type, body) in [(JSON, array), (LINES, ndjson)] {
        let begun = time_of_thread();
        let (mut last, mut longest) = (begun, Duration::ZERO);
        let answered = answer(ingest.request(media_type).body(body));
        let ticks = async {
            loop {
                tokio::task::yield_now().await;
                let now = time_of_thread();
                longest = longest.max(now - last);
                last = now;
            }
        };
        let answered = tokio::select! {
            answered = answered => answered,
            () = ticks => unreachable!(),
        };
        assert_eq!((answered.status, &answered.body["rejected"]), (200, &Value::from(200_000)));
        let whole = time_of_thread() - begun;
        assert!(longest * 8 < whole, "{media_type}: nothing else ran for {longest:?} of {whole:?}");
    }
}

/// How long this thread has run.
fn time_of_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

#[tokio::test]
async fn an_array_of_more_elements_than_launches_fit_is_refused() {
    let ingest = TestIngest::start().await;
    let most = IngestConfig::default().bodies.max_body_bytes / 32;
    let body = |elements: usize| format!("[{}1]", "1,".repeat(elements - 1));
    let refused = ingest.post_text(body(most + 1)).await;
    assert_eq!((refused.status, refused.slug()), (413, "body_too_large"));
    let long_element = format!("[{},[{}1],{}]", launch("a"), "1,".repeat(100_000), launch("b"));
    let answer = ingest.post_text(long_element).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (200, &Value::from(2)), "{answer:?}");
    assert_eq!(answer.body["errors"][0]["type"], "line_too_long");
    let object = format!("{{\"id\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(ingest.post_text(object).await.slug(), "line_too_long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_cuts_arrays_short() {
    let mut config = IngestConfig::default();
    config.bodies.stop_bulk_ms = 1;
    let ingest = Setup { config, ..Setup::default() }.start().await;
    let arrays: Vec<_> = (0..8).map(|number| post_rubbish(&ingest, number, 200_000)).collect();
    let begun = async || (ingest.log.usage().await.ok()?.messages > 0).then_some(());
    wait_until_async("the first array in work", DEADLINE, begun).await.unwrap();
    ingest.shutdown.begin(DEADLINE);
    let answers: Vec<Answer> = join_all(arrays).await.into_iter().map(Result::unwrap).collect();
    let in_work = answers.into_iter().filter(|answer| answer.body["accepted"] == LAUNCHES);
    let cut = in_work.filter(|answer| answer.slug() == "shutting_down").collect::<Vec<_>>();
    assert!(!cut.is_empty() && cut.iter().all(|answer| answer.status == 503));
    assert!(cut.iter().all(|answer| answer.body["first_uncertain_line"].as_u64() > Some(LAUNCHES as u64)));
}
