//! The pool's places: a job takes all that it needs at once, and waits its turn.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a job waits for places.
const PATIENCE: Duration = Duration::from_secs(60);

/// Places for guests that live at once.
#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// Places that are taken, until dropped.
#[derive(Debug)]
pub(crate) struct TakenPlaces {
    places: Arc<Places>,
    count: usize,
}

impl Places {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            all: count,
            free: Mutex::new(count),
            freed: Condvar::new(),
        })
    }

    /// Takes so many places together, so that no two jobs wait for each other's. Blocks while there
    /// are too few; nothing when that takes too long.
    pub(crate) fn take(self: &Arc<Self>, count: usize) -> Option<TakenPlaces> {
        let until = Instant::now() + PATIENCE;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < count {
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.freed.wait_timeout(free, left);
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= count;
        Some(self.taken(count))
    }

    /// The same without waiting; nothing when there are too few, or when others would be left with
    /// fewer than half of all.
    pub(crate) fn take_now(self: &Arc<Self>, count: usize) -> Option<TakenPlaces> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free < count + self.all / 2 {
            return None;
        }
        *free -= count;
        Some(self.taken(count))
    }

    fn taken(self: &Arc<Self>, count: usize) -> TakenPlaces {
        TakenPlaces {
            places: Arc::clone(self),
            count,
        }
    }
}

impl Drop for TakenPlaces {
    fn drop(&mut self) {
        *self.places.free.lock().unwrap_or_else(PoisonError::into_inner) += self.count;
        self.places.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_until_it_can_have_all_its_places() {
        let places = Places::new(2);
        let first = places.take(1).unwrap();
        let waiting = std::thread::spawn({
            let places = Arc::clone(&places);
            move || places.take(2).is_some()
        });
        drop(first);
        assert!(waiting.join().unwrap());
        assert_eq!(*places.free.lock().unwrap(), 2);
    }

    #[test]
    fn who_does_not_wait_leaves_half_of_the_places_to_others() {
        let places = Places::new(4);
        let first = places.take_now(2);
        assert!(first.is_some());
        assert!(places.take_now(1).is_none());
        drop(first);
        assert!(places.take_now(0).is_some_and(|none| none.count == 0));
    }
}
