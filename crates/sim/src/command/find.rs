//! Plays seed after seed until one fails, on all cores.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failed,
    shipped::{self, Activity, Aim, Fault, Mutation, Setup},
};

/// How long each fault that is put in may take to be found.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Plays seeds from `first` on until one fails; every other one aims at something.
pub(super) fn find(
    first: u64,
    mutation: Option<Mutation>,
    patience: Duration,
) -> Option<Box<Failed>> {
    let (begun, next, found) = (Instant::now(), AtomicU64::new(first), Mutex::new(None));
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    let search = || {
        while lock().is_none() && begun.elapsed() < patience {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let aim = (seed % 2 == 1).then(|| aim_of(seed / 2));
            let setup = Setup { mutation, aim, ..Setup::default() };
            if let Err(failed) = shipped::play(seed, &setup) {
                lock().get_or_insert(failed);
            }
        }
    };
    thread::scope(|scope| (0..super::cores()).for_each(|_| _ = scope.spawn(search)));
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn aim_of(number: u64) -> Aim {
    let (faults, activities) = (Fault::ALL.len() as u64, Activity::ALL.len() as u64);
    let fault = Fault::ALL[(number % faults) as usize];
    // Both numbers have no factor in common, so that all pairs come.
    let activity = Activity::ALL[(number % activities) as usize];
    Aim { fault, activity }
}
