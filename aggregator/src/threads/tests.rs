use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    mode: watch::Sender<Mode>,
    places: Places,
    runtimes: [Runtime; 2],
}

impl World {
    fn new() -> Self {
        let runtime = |name| Builder::new_multi_thread().worker_threads(2).enable_all().thread_name(name).build();
        let runtimes = ["patient", "insistent"].map(|name| runtime(name).unwrap());
        let threads = Threads { patient: runtimes[0].handle().clone(), insistent: runtimes[1].handle().clone() };
        let (sender, mode) = watch::channel(Mode::Insistent);
        let places = Places(Some(Arc::new(Moves { threads, mode, _watching: None })));
        Self { mode: sender, places, runtimes }
    }

    fn wait<T: Send + 'static>(&self, work: Moving<T>) -> Result<T, String> {
        self.runtimes[1].block_on(async { tokio::time::timeout(PATIENCE, work.ended()).await.unwrap() })
    }
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn work_goes_on_where_it_was_on_other_threads() {
    let world = World::new();
    let (says, hears) = mpsc::sync_channel(1);
    let work = world.places.spawn(async move {
        for turn in 0_u64.. {
            if matches!(says.try_send((turn, thread_name())), Err(mpsc::TrySendError::Disconnected(_))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        "done"
    });
    let mut last_turn = None;
    for (mode, name) in [
        (Mode::Insistent, "insistent"),
        (Mode::Patient, "patient"),
        (Mode::Resting, "patient"),
        (Mode::Insistent, "insistent"),
    ] {
        world.mode.send_replace(mode);
        // What was said before the move may still be on its way.
        loop {
            let (turn, heard_from) = hears.recv_timeout(PATIENCE).unwrap();
            assert!(last_turn.is_none_or(|last| turn > last), "it began anew");
            last_turn = Some(turn);
            if heard_from == name {
                break;
            }
        }
    }
    drop(hears);
    assert_eq!(world.wait(work), Ok("done"));
}

#[test]
fn no_wake_is_lost_in_a_move() {
    let world = World::new();
    for mode in [Mode::Patient, Mode::Insistent].into_iter().cycle().take(100) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (has_begun, begun) = mpsc::sync_channel(1);
        let work = world.places.spawn(async move {
            has_begun.send(()).unwrap();
            receiver.await
        });
        begun.recv_timeout(PATIENCE).unwrap();
        world.mode.send_replace(mode);
        sender.send(7).unwrap();
        assert_eq!(world.wait(work), Ok(Ok(7)));
    }
}

#[test]
fn what_is_done_is_not_begun_again_by_the_others() {
    let world = World::new();
    for _ in 0..100 {
        let mut work = world.places.spawn(async { 7 });
        let (mut ends, begun) = (Vec::new(), Instant::now());
        // Whichever of the two it was, the other one's turn comes, too.
        for mode in [Mode::Patient, Mode::Insistent].into_iter().cycle() {
            world.mode.send_replace(mode);
            std::thread::yield_now();
            ends.extend(work.0.try_join_next());
            assert!(begun.elapsed() < PATIENCE, "{ends:?}");
            if work.0.is_empty() {
                break;
            }
        }
        let ends: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
        assert_eq!(ends.iter().flatten().collect::<Vec<_>>(), [&7]);
    }
}

#[test]
fn who_asks_waits_while_lanes_rest() {
    let world = World::new();
    let places = &world.places;
    let ends =
        || world.runtimes[1].block_on(async { tokio::time::timeout(Duration::ZERO, places.rested()).await.is_ok() });
    for (mode, expected) in [(Mode::Insistent, true), (Mode::Resting, false), (Mode::Patient, true)] {
        world.mode.send_replace(mode);
        assert_eq!(ends(), expected, "{mode:?}");
    }
    world.mode.send_replace(Mode::Resting);
    let (has_begun, begun) = mpsc::sync_channel(1);
    let waiting = places.spawn({
        let places = places.clone();
        async move {
            has_begun.send(()).unwrap();
            places.rested().await;
        }
    });
    begun.recv_timeout(PATIENCE).unwrap();
    world.mode.send_replace(Mode::Insistent);
    assert_eq!(world.wait(waiting), Ok(()));
}

#[test]
fn each_rest_is_told_when_it_begins() {
    let world = World::new();
    let mut rests = world.places.rests();
    let mut is_rung =
        || world.runtimes[1].block_on(async { tokio::time::timeout(Duration::ZERO, rests.rung()).await.is_ok() });
    for (mode, expected) in
        [(Mode::Patient, false), (Mode::Resting, true), (Mode::Patient, false), (Mode::Resting, true)]
    {
        world.mode.send_replace(mode);
        assert_eq!(is_rung(), expected, "{mode:?}");
        assert!(!is_rung(), "it was told");
    }
}

#[test]
fn a_panic_is_told() {
    let world = World::new();
    let work = world.places.spawn(async {
        tokio::task::yield_now().await;
        assert!(std::hint::black_box(false), "a fault");
    });
    assert!(world.wait(work).unwrap_err().contains("panicked"));
}

#[test]
fn work_ends_with_its_handle() {
    let world = World::new();
    for mode in [Mode::Insistent, Mode::Patient] {
        world.mode.send_replace(mode);
        let (held, dropped) = mpsc::channel::<()>();
        let work = world.places.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(work);
        assert_eq!(dropped.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

#[tokio::test]
async fn without_threads_to_choose_from_it_works_where_it_is_spawned() {
    let places = Places(None);
    assert!(!places.are_patient());
    places.rested().await;
    let here = thread_name();
    assert_eq!(places.spawn(async { thread_name() }).ended().await, Ok(here));
}

#[test]
fn the_canary_is_heard_again_and_again_until_it_is_dropped() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let canary = Canary::start(runtime.handle());
    let begun = Instant::now();
    for _ in 0..3 {
        let heard_before = begun + PATIENCE - canary.silent_for(begun + PATIENCE);
        while begun + PATIENCE - canary.silent_for(begun + PATIENCE) <= heard_before {
            assert!(begun.elapsed() < PATIENCE, "it is silent");
            std::thread::yield_now();
        }
    }
    drop(canary);
    // Waits for its thread.
    drop(runtime);
}
