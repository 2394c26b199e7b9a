//! What the seed decides outside of the play itself: how long things take and what becomes of them.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use tidegate_types::Random;

use super::clock::PlayClock;

/// How likely trouble is, from 0 to 1 per occasion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Troubles {
    /// Something that is asked of the store or the target fails; whether it happened all the same is even
    /// odds.
    pub(crate) failure: f64,
    /// It takes much longer than it should.
    pub(crate) slowness: f64,
    /// A sink takes no more for a moment.
    pub(crate) pause: f64,
    /// How long it takes on average until nothing outside answers for a while, if that happens.
    pub(crate) outages: Option<Duration>,
}

/// How long an outage lasts at most, in milliseconds.
const OUTAGE: u64 = 4_000;

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Success,
    /// It does not happen.
    Before,
    /// It happens, and reports failure.
    After,
}

/// What the seed decides. Clones draw from one sequence, whose order is that of the play.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    random: Arc<Mutex<Xoshiro256PlusPlus>>,
    troubles: Troubles,
    clock: PlayClock,
    /// From when until when nothing outside answers.
    outage: Arc<Mutex<Range<Duration>>>,
    is_calm: Arc<AtomicBool>,
    /// The only number that there is, if there is only one.
    number: Option<u64>,
}

impl Chance {
    pub(crate) fn new(
        seed: u64,
        troubles: Troubles,
        clock: PlayClock,
        number: Option<u64>,
    ) -> Self {
        let random = Arc::new(Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed)));
        let outage = Arc::new(Mutex::new(Duration::ZERO..Duration::ZERO));
        Self { random, troubles, clock, outage, is_calm: Arc::default(), number }
    }

    /// Whether nothing outside answers now.
    fn is_out(&self) -> bool {
        let Some(mean) = self.troubles().and_then(|troubles| troubles.outages) else {
            return false;
        };
        let now = self.clock.elapsed();
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if outage.end <= now {
            let (until, millis) =
                self.draw(|random| (random.random_range(0.0..2.0), random.random_range(1..OUTAGE)));
            let begin = now + mean.mul_f64(until);
            *outage = begin..begin + Duration::from_millis(millis);
        }
        outage.contains(&now)
    }

    /// From now on all goes well.
    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    fn troubles(&self) -> Option<&Troubles> {
        (!self.is_calm.load(Ordering::Relaxed)).then_some(&self.troubles)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Xoshiro256PlusPlus) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn happens(&self, likely: impl Fn(&Troubles) -> f64) -> bool {
        self.troubles().is_some_and(|troubles| {
            let likely = likely(troubles);
            self.draw(|random| random.random_bool(likely))
        })
    }

    /// Whether something takes much longer than it should.
    pub(crate) fn is_slow(&self) -> bool {
        self.happens(|troubles| troubles.slowness)
    }

    /// How long something takes that is asked of the outside.
    pub(crate) fn delay(&self) -> Duration {
        self.delay_if(self.is_slow())
    }

    /// The same, if that is slow.
    pub(crate) fn delay_if(&self, is_slow: bool) -> Duration {
        let times = if is_slow { 100 } else { 1 };
        Duration::from_micros(self.draw(|random| random.random_range(100..3_000))) * times
    }

    /// Even odds.
    pub(crate) fn coin(&self) -> bool {
        self.draw(|random| random.random_bool(0.5))
    }

    /// What becomes of it.
    pub(crate) fn fate(&self) -> Fate {
        if self.is_out() {
            Fate::Before
        } else if !self.happens(|troubles| troubles.failure) {
            Fate::Success
        } else if self.coin() {
            Fate::Before
        } else {
            Fate::After
        }
    }

    /// For how long a sink takes no more, if it does not.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let pauses = self.happens(|troubles| troubles.pause);
        pauses.then(|| Duration::from_micros(self.draw(|random| random.random_range(100..20_000))))
    }
}

impl Random for Chance {
    fn number(&self) -> u64 {
        self.number.unwrap_or_else(|| self.draw(|random| random.random()))
    }
}
