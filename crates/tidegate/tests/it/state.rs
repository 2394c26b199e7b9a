//! Every kind of state survives a savepoint and another parallelism; what has expired does not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate::{EventTime, collect::Collector, prelude::*};

use crate::support::counting::{KEYS, RECORDS, SLOW, finish, job, numbers, stop};

/// Everything that is kept of a key: how many, the first few, how many of each last digit, the
/// greatest, how many by aggregation.
type All = (u64, Vec<u64>, Vec<(u64, u64)>, u64, u64);

/// How many numbers the list holds at most.
const FIRST: usize = 3;

struct EveryKind {
    count: ValueState<u64>,
    first: ListState<u64>,
    digits: MapState<u64, u64>,
    greatest: ReducingState<u64>,
    counted: AggregatingState<Count, u64>,
}

impl EveryKind {
    fn declare(states: &mut tidegate::States<'_, u64>) -> tidegate::Result<Self> {
        Ok(Self {
            count: states.value("count")?,
            first: states.list("first")?,
            digits: states.map("digits")?,
            greatest: states.reducing("greatest", |a: u64, b| Ok(a.max(b)))?,
            counted: states.aggregating("counted", Count)?,
        })
    }
}

impl KeyedProcess<u64, u64> for EveryKind {
    type Out = (u64, All);

    fn on_record(
        &mut self,
        number: u64,
        context: &mut ProcessContext<'_, u64, (u64, All)>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime::MAX);
        self.count.modify_or(|| 0, |count| *count += 1);
        if self.first.len() < FIRST {
            self.first.add(number / KEYS % 7);
        }
        let digit = number % 10;
        if self.digits.modify(&digit, |count| *count += 1).is_none() {
            self.digits.put(digit, 1);
        }
        self.greatest.add(number)?;
        self.counted.add(number)
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, u64, (u64, All)>,
    ) -> tidegate::Result<()> {
        let mut digits = self.digits.entries();
        digits.sort_unstable();
        let count = self.count.get().unwrap_or_default();
        let greatest = self.greatest.get().unwrap_or_default();
        let counted = self.counted.get()?.unwrap_or_default();
        let key = *context.key();
        context.emit((key, (count, self.first.get(), digits, greatest, counted)));
        Ok(())
    }
}

#[test]
fn every_kind_of_keyed_state_survives() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::<(u64, All)>::default();
    let run = |options: &[&str], rate| {
        let sink = results.clone();
        let started = job(folder.path()).start(options.iter().copied(), move |env| {
            numbers(env, rate)
                .key_by(|number: &u64| number % KEYS)
                .process("every-kind", EveryKind::declare)
                .sink("results", sink.exactly_once_sink());
            Ok(())
        });
        started.expect("it starts")
    };
    let savepoint = stop(&run(&["-p1"], Some(SLOW)));
    finish(&run(&["-p4", "-s", &savepoint], None));
    let mut found = results.take();
    found.sort_unstable();
    assert_eq!(found.len() as u64, KEYS);
    for (key, (count, first, digits, greatest, counted)) in found {
        let numbers = (key..RECORDS).step_by(KEYS as usize).collect::<Vec<_>>();
        let with = |digit| numbers.iter().filter(|number| *number % 10 == digit).count() as u64;
        let expected = (0..10).map(|digit| (digit, with(digit))).collect::<Vec<_>>();
        assert_eq!((count, counted), (numbers.len() as u64, numbers.len() as u64));
        // Splits of the source come one after the other, at parallelism 1 in order.
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(digits, expected);
        assert_eq!(Some(&greatest), numbers.last());
    }
}

/// Writes values that expire soon and late, or tells which of them are still there.
struct Expiring {
    soon: ValueState<u64>,
    late: ValueState<u64>,
    writes: bool,
}

impl KeyedProcess<u64, u64> for Expiring {
    type Out = (bool, bool);

    fn on_record(
        &mut self,
        number: u64,
        context: &mut ProcessContext<'_, u64, (bool, bool)>,
    ) -> tidegate::Result<()> {
        if self.writes {
            self.soon.set(number);
            self.late.set(number);
        } else {
            context.emit((self.soon.is_set(), self.late.is_set()));
        }
        Ok(())
    }
}

#[test]
fn what_expires_while_no_job_runs_is_gone_and_the_rest_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let run = |options: &[&str], writes: bool| {
        let sink = results.clone();
        let started = job(folder.path()).start(options.iter().copied(), move |env| {
            numbers(env, writes.then_some(SLOW))
                .key_by(|_| 0)
                .process("expiring", move |states| {
                    let ttl = |time| StateTtl::new(time);
                    let soon = states.with_ttl(ttl(Duration::from_millis(1))).value("soon")?;
                    let late = states.with_ttl(ttl(Duration::from_secs(3600))).value("late")?;
                    Ok(Expiring { soon, late, writes })
                })
                .sink("results", sink.exactly_once_sink());
            Ok(())
        });
        started.expect("it starts")
    };
    let savepoint = stop(&run(&["-p1"], true));
    assert!(results.is_empty(), "it only writes");
    std::thread::sleep(Duration::from_millis(2));
    finish(&run(&["-p4", "-s", &savepoint], false));
    let found = results.take();
    assert!(!found.is_empty(), "the second run had nothing to tell of");
    assert!(found.iter().all(|there| *there == (false, true)), "{:?}", found.first());
}

/// Keeps what it sees in lists of the subtask.
struct Seen {
    split: OperatorListState<u64>,
    union: OperatorListState<u64>,
}

impl UnkeyedProcess<u64> for Seen {
    type Out = u64;

    fn on_record(
        &mut self,
        number: u64,
        context: &mut UnkeyedContext<'_, u64>,
    ) -> tidegate::Result<()> {
        self.split.add(number);
        self.union.add(number);
        context.emit(number);
        Ok(())
    }
}

/// What each subtask found in its lists, split and union, as it began.
type Found = Arc<Mutex<Vec<(Vec<u64>, Vec<u64>)>>>;

#[test]
fn lists_of_subtasks_are_split_evenly_or_united() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let run = |options: &[&str]| {
        let (found, sink) = (Found::default(), results.clone());
        let tell = Arc::clone(&found);
        let started = job(folder.path()).start(options.iter().copied(), move |env| {
            let tell = Arc::clone(&tell);
            numbers(env, Some(SLOW))
                .process_unkeyed("seen", move |states| {
                    let split = states.list::<u64>("split", Redistribution::Split)?;
                    let union = states.list::<u64>("union", Redistribution::Union)?;
                    tell.lock().expect("nobody panics with it").push((split.get(), union.get()));
                    Ok(Seen { split, union })
                })
                .sink("results", sink.exactly_once_sink());
            Ok(())
        });
        (started.expect("it starts"), found)
    };
    let savepoint = stop(&run(&["-p2"]).0);
    let mut before = results.take();
    before.sort_unstable();
    for parallelism in [1, 4] {
        let option = format!("-p{parallelism}");
        let (again, found) = run(&[&option, "-s", &savepoint]);
        stop(&again);
        let mut found = found.lock().expect("the job has ended").clone();
        // Before anything started they were declared to be looked at, with nothing in them.
        assert_eq!(found.remove(0), (Vec::new(), Vec::new()));
        assert_eq!(found.len(), parallelism);
        let sizes = found.iter().map(|(split, _)| split.len()).collect::<Vec<_>>();
        let spread = sizes.iter().max().zip(sizes.iter().min());
        assert!(spread.is_some_and(|(most, least)| most - least <= 2), "{sizes:?} is not even");
        let mut all = found.iter().flat_map(|(split, _)| split.clone()).collect::<Vec<_>>();
        all.sort_unstable();
        assert_eq!(all, before, "split at parallelism {parallelism}");
        for (_, mut union) in found {
            union.sort_unstable();
            assert_eq!(union, before, "union at parallelism {parallelism}");
        }
    }
}
