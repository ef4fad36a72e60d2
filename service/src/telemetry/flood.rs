//! Keeps a flood out of the log. What a caller, a tenant or a broker causes is logged, and may be caused thousands of times a
//! second; the log goes to the very disk whose lack of space may be the reason.
//!
//! Each place of the program may write so many lines a minute; the others are counted, and one line a minute tells how many
//! they were. A place whose lines are all alike names the field `recurs`: the first is written, the others only counted.
//! Lines that a person asks for by the levels `debug` and `trace` are left alone.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// The field that marks a line that says the same each time: `warn!(recurs = tracing::field::Empty, …)`. It is not written.
const RECURS: &str = "recurs";

/// Lines a minute of one place: enough for each lane of a usual log, and for the entries of a message that are parked.
const MOST_LINES: u32 = 64;
/// The time that [`Window`] counts for, and between two summaries.
const WINDOW: Duration = Duration::from_secs(60);
/// Characters of a left-out line that the summary shows.
const SHOWN_CHARACTERS: usize = 200;
/// Where the summaries come from. They are never left out.
const SUMMARY: &str = "summary";

/// Counts the lines of each place within one span of time.
#[derive(Debug)]
struct Window<P> {
    places: HashMap<P, Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    written: u32,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Written,
    /// Left out, as the first one of its place.
    FirstLeftOut,
    LeftOut,
}

impl<P: std::hash::Hash + Eq> Window<P> {
    fn new() -> Self {
        Self { places: HashMap::new() }
    }

    /// A line of `place`, which may write `most` of them.
    fn line(&mut self, place: P, most: u32) -> Fate {
        let counts = self.places.entry(place).or_default();
        if counts.written < most {
            counts.written += 1;
            return Fate::Written;
        }
        counts.left_out += 1;
        if counts.left_out == 1 { Fate::FirstLeftOut } else { Fate::LeftOut }
    }

    /// The span of time is over: how many lines were left out, and of which places. A place of which some were is not given its
    /// full number again at once: while the flood goes on, the summaries speak for it.
    fn end(&mut self) -> Vec<(P, u64)>
    where
        P: Clone,
    {
        self.places.retain(|_, counts| counts.left_out > 0);
        let summaries = self.places.iter().map(|(place, counts)| (place.clone(), counts.left_out)).collect();
        self.places.values_mut().for_each(|counts| counts.left_out = 0);
        summaries
    }
}

/// The layer that leaves lines out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Flood {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    window: Window<Identifier>,
    /// The first line left out of each place that has any.
    samples: HashMap<Identifier, (Level, String)>,
}

impl Flood {
    /// Nothing was written yet.
    pub fn new() -> Self {
        Self { state: Arc::new(Mutex::new(State { window: Window::new(), samples: HashMap::new() })) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the line is written.
    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == SUMMARY {
            return true;
        }
        let place = metadata.callsite();
        let mut state = self.state();
        let fate = state.window.line(place.clone(), most_lines(metadata));
        if fate == Fate::FirstLeftOut {
            state.samples.insert(place, (*metadata.level(), shown(event)));
        }
        fate == Fate::Written
    }

    /// Ends the window; how many lines like which one were left out.
    fn summaries(&self) -> Vec<(Level, String, u64)> {
        let mut state = self.state();
        let ended = state.window.end();
        let mut samples = std::mem::take(&mut state.samples);
        let summary = |(place, left_out)| samples.remove(&place).map(|(level, sample)| (level, sample, left_out));
        ended.into_iter().filter_map(summary).collect()
    }
}

fn most_lines(metadata: &Metadata<'_>) -> u32 {
    if metadata.fields().field(RECURS).is_some() { 1 } else { MOST_LINES }
}

/// The line as the summary quotes it.
fn shown(event: &Event<'_>) -> String {
    let mut sample = Sample::default();
    event.record(&mut sample);
    let Sample { message, fields } = sample;
    format!("{message}{fields}").chars().take(SHOWN_CHARACTERS).collect()
}

#[derive(Default)]
struct Sample {
    message: String,
    fields: String,
}

impl Visit for Sample {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admits(event)
    }
}

/// Writes the summaries, for ever: to be run on a thread of its own.
pub fn summarise(flood: &Flood) {
    loop {
        std::thread::sleep(WINDOW);
        for (level, sample, left_out) in flood.summaries() {
            write(level, &sample, left_out);
        }
    }
}

fn write(level: Level, sample: &str, left_out: u64) {
    let seconds = WINDOW.as_secs();
    match level {
        Level::ERROR => {
            tracing::error!(target: SUMMARY, "{left_out} lines were left out in {seconds} s, the first: {sample}")
        }
        Level::WARN => {
            tracing::warn!(target: SUMMARY, "{left_out} lines were left out in {seconds} s, the first: {sample}")
        }
        _ => tracing::info!(target: SUMMARY, "{left_out} lines were left out in {seconds} s, the first: {sample}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::{debug, field::Empty, info, warn};
    use tracing_subscriber::{fmt, layer::SubscriberExt};

    use super::*;

    #[test]
    fn a_place_writes_so_many_lines_and_the_others_are_counted() {
        let mut window = Window::new();
        let fates: Vec<Fate> = (0..5).map(|_| window.line("full", 2)).collect();
        assert_eq!(fates, [Fate::Written, Fate::Written, Fate::FirstLeftOut, Fate::LeftOut, Fate::LeftOut]);
        assert_eq!(window.line("other", 2), Fate::Written, "one place does not speak for another");
        assert_eq!(window.end(), [("full", 3)]);
        assert_eq!(window.end(), []);
    }

    #[test]
    fn a_flood_that_goes_on_is_summaries_only_and_one_that_is_over_begins_anew() {
        let mut window = Window::new();
        for _ in 0..10 {
            window.line("full", 1);
        }
        assert_eq!(window.end(), [("full", 9)]);
        assert_eq!(window.line("full", 1), Fate::FirstLeftOut);
        assert_eq!(window.end(), [("full", 1)]);
        assert_eq!(window.end(), []);
        assert_eq!(window.line("full", 1), Fate::Written, "a quiet span of time ends the flood");
    }

    /// Lines as they are written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }

        fn lines_with(&self, text: &str) -> usize {
            String::from_utf8(self.bytes().clone()).unwrap().lines().filter(|line| line.contains(text)).count()
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.bytes().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_recurs_is_written_once_and_what_was_asked_for_is_never_left_out() {
        let (flood, written) = (Flood::new(), Written::default());
        let writer = written.clone();
        let layer = fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(flood.clone()).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..1_000 {
                warn!(recurs = Empty, number, "refused");
                info!("usual");
                debug!("asked for");
            }
            for (level, sample, left_out) in flood.summaries() {
                write(level, &sample, left_out);
            }
        });
        assert_eq!(written.lines_with("asked for"), 1_000);
        assert_eq!(written.lines_with("INFO"), 64 + 1);
        assert_eq!(written.lines_with("WARN"), 1 + 1);
        assert_eq!(written.lines_with("999 lines were left out in 60 s, the first: refused number=1"), 1);
        assert_eq!(written.lines_with("recurs"), 0);
    }
}
