//! The connections that are open, and which of them makes room when there are as many as there may be.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::activity::Activity;

/// A connection makes room only when it has been quiet for so long: one that was just made is about to ask.
const MIN_QUIET: Duration = Duration::from_secs(1);
/// How long to wait for a place before another connection is asked to make room, or is looked for.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Places for connections. A new connection finds one as long as any other is quiet: of those the one that has been quiet
/// for longest ends.
pub(super) struct OpenConnections {
    places: Arc<Semaphore>,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
}

/// A connection's place, until it ends.
pub(super) struct Place {
    connections: Arc<OpenConnections>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl OpenConnections {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let (open, next) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { places: Arc::new(Semaphore::new(places)), open, next })
    }

    /// A place if one is free.
    pub(super) fn try_place(self: &Arc<Self>, activity: &Arc<Activity>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.seat(activity, permit))
    }

    /// A place, for which quiet connections make room. Cancel safe.
    pub(super) async fn place(self: &Arc<Self>, activity: &Arc<Activity>) -> Place {
        loop {
            if let Some(place) = self.try_place(activity) {
                return place;
            }
            self.end_quietest(Instant::now());
            if let Ok(Ok(permit)) = timeout(ROOM_PAUSE, Arc::clone(&self.places).acquire_owned()).await {
                return self.seat(activity, permit);
            }
        }
    }

    fn seat(self: &Arc<Self>, activity: &Arc<Activity>, permit: OwnedSemaphorePermit) -> Place {
        let number = self.next.fetch_add(1, Relaxed);
        self.lock().insert(number, Arc::clone(activity));
        Place { connections: Arc::clone(self), number, _permit: permit }
    }

    fn end_quietest(&self, now: Instant) {
        let open = self.lock();
        let quiet = open.values().filter_map(|activity| Some((activity.quiet_for(now)?, activity)));
        let quietest = quiet.filter(|(quiet, _)| *quiet >= MIN_QUIET).max_by_key(|(quiet, _)| *quiet);
        if let Some((_, activity)) = quietest {
            activity.make_room();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_quiet_makes_room_and_a_busy_or_new_one_does_not() {
        let connections = OpenConnections::new(3);
        let activities: Vec<_> = std::iter::repeat_with(|| Arc::new(Activity::new())).take(3).collect();
        let mut places: Vec<_> =
            activities.iter().map(|activity| connections.try_place(activity).expect("a place")).collect();
        let _busy = activities[0].begin();
        let late = Arc::new(Activity::new());
        let wanted = connections.place(&late);
        let ended = async {
            tokio::select! {
                () = activities[0].asked_to_make_room() => 0,
                () = activities[1].asked_to_make_room() => 1,
                () = activities[2].asked_to_make_room() => 2,
            }
        };
        let (begun, ended) = tokio::join!(
            async {
                let begun = Instant::now();
                let _place = wanted.await;
                begun.elapsed()
            },
            async {
                let ended = ended.await;
                drop(places.remove(ended));
                ended
            }
        );
        assert!(ended != 0 && begun >= MIN_QUIET, "{ended} {begun:?}");
    }
}
