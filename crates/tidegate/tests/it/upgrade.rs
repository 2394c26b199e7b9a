//! A job that has changed since its savepoint: operators more, operators fewer, other types.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use tidegate::{ErrorKind, collect::Collector, prelude::*};

use crate::support::counting::{
    KEYS, SLOW, assert_counted_once, count, finish, job, numbers, start, stop, wait_for_records,
};

/// The job that counts, and another keyed function beside it.
fn with_extra(
    folder: &Path,
    options: &[&str],
    rate: Option<u64>,
    results: &Collector<(u64, u64)>,
    extra: &Collector<(u64, u64)>,
) -> JobHandle {
    let (results, extra) = (results.clone(), extra.clone());
    let started = job(folder).start(options.iter().copied(), move |env| {
        let numbers = numbers(env, rate);
        count(&numbers, &results);
        numbers
            .key_by(|number: &u64| number % KEYS)
            .aggregate("extra-count", Count)
            .sink("extra-counts", extra.exactly_once_sink());
        Ok(())
    });
    started.expect("it starts")
}

#[test]
fn operators_may_be_added_and_begin_with_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (results, extra) = (Collector::default(), Collector::default());
    let savepoint = stop(&start(folder.path(), &[], Some(SLOW), &results).expect("it starts"));
    let before = results.len();
    finish(&with_extra(folder.path(), &["-s", &savepoint], None, &results, &extra));
    assert_eq!(extra.len(), results.len() - before);
    assert_counted_once(&results);
}

#[test]
fn operators_may_be_removed_only_if_that_is_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let both = with_extra(folder.path(), &[], Some(SLOW), &results, &Collector::default());
    let savepoint = stop(&both);
    let refused = start(folder.path(), &["-s", &savepoint], None, &results);
    let error = refused.err().expect("state would be lost");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    let message = error.to_string();
    assert!(message.contains("operator `extra-count`, `extra-counts` to the new"), "{message}");
    assert!(message.contains("--allow-non-restored-state"), "{message}");
    let allowed = ["-s", &savepoint, "--allow-non-restored-state"];
    finish(&start(folder.path(), &allowed, None, &results).expect("that is meant"));
    assert_counted_once(&results);
}

/// Keeps the latest number as a `V`.
struct Latest<V>(ValueState<V>, fn(u64) -> V);

impl<V: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static>
    KeyedProcess<u64, u64> for Latest<V>
{
    type Out = u64;

    fn on_record(
        &mut self,
        number: u64,
        _context: &mut ProcessContext<'_, u64, u64>,
    ) -> tidegate::Result<()> {
        self.0.set((self.1)(number));
        Ok(())
    }
}

#[test]
fn a_state_of_another_type_is_refused_with_both_types() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = job(folder.path()).start([""; 0], |env| {
        let keyed = numbers(env, Some(SLOW)).key_by(|number: &u64| number % KEYS);
        keyed
            .process("latest-number", |states| Ok(Latest(states.value("latest")?, |number| number)))
            .sink("nowhere", tidegate::discard::discard());
        Ok(())
    });
    let savepoint = stop(&before.expect("it starts"));
    let after = job(folder.path()).try_run(["-s", &savepoint], |env| {
        let keyed = numbers(env, None).key_by(|number: &u64| number % KEYS);
        keyed
            .process("latest-number", |states| {
                Ok(Latest(states.value("latest")?, |number| number.to_string()))
            })
            .sink("nowhere", tidegate::discard::discard());
        Ok(())
    });
    let error = after.expect_err("numbers are no texts");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    let message = error.to_string();
    assert!(message.contains("operator `latest-number`"), "{message}");
    let types = "the state `latest` is `u64` (value state) in the snapshot, and `String` (value \
                 state) in the program";
    assert!(message.contains(types), "{message}");
}

#[test]
fn keys_of_another_type_are_refused_with_both_types() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let savepoint = stop(&start(folder.path(), &[], Some(SLOW), &results).expect("it starts"));
    let after = job(folder.path()).try_run(["-s", &savepoint], |env| {
        numbers(env, None)
            .key_by(|number: &u64| (number % KEYS).to_string())
            .aggregate("count", Count)
            .sink("counts", tidegate::discard::discard());
        Ok(())
    });
    let error = after.expect_err("numbers are no texts");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    let message = error.to_string();
    assert!(message.contains("operator `count`"), "{message}");
    let types = "the snapshot's keys are of type `u64`, and the program's of type `String`";
    assert!(message.contains(types), "{message}");
}

/// Keeps a `V` that belongs to no key, and emits it.
struct Item<V>(OperatorListState<V>, fn() -> V);

impl<V: Clone + std::fmt::Debug + Send + Sync + Serialize + DeserializeOwned + 'static>
    UnkeyedProcess<u64> for Item<V>
{
    type Out = String;

    fn on_record(
        &mut self,
        _number: u64,
        context: &mut UnkeyedContext<'_, String>,
    ) -> tidegate::Result<()> {
        if self.0.with(<[V]>::is_empty) {
            self.0.add((self.1)());
        }
        context.emit(format!("{:?}", self.0.get()));
        Ok(())
    }
}

fn with_item<V: Clone + std::fmt::Debug + Send + Sync + Serialize + DeserializeOwned + 'static>(
    folder: &Path,
    options: &[&str],
    make: fn() -> V,
    results: &Collector<String>,
) -> Result<JobHandle, JobError> {
    let results = results.clone();
    job(folder).start(options.iter().copied(), move |env| {
        numbers(env, Some(SLOW))
            .process_unkeyed("item", move |states| {
                Ok(Item(states.list("item", Redistribution::Union)?, make))
            })
            .sink("items", results.sink());
        Ok(())
    })
}

#[test]
fn operator_state_changes_its_type_as_keyed_state_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let savepoint = stop(&with_item(folder.path(), &["-p1"], || 7_u32, &results).expect("starts"));
    let from = ["-p1", "--from-savepoint", &savepoint];
    let wider = Collector::default();
    let handle = with_item(folder.path(), &from, || Some(0_u64), &wider).expect("it fits");
    wait_for_records(&handle);
    handle.cancel();
    let _ = handle.wait_blocking();
    assert_eq!(wider.take().first().map(String::as_str), Some("[Some(7)]"));
    let refused = with_item(folder.path(), &from, String::new, &results).err();
    assert_eq!(
        refused.expect("a number is no text").to_string(),
        "the snapshot does not fit the program: operator `item`: the state `item` is `u32` (operator \
         state) in the snapshot, and `String` (operator state) in the program"
    );
}

/// A job that keeps the latest number under the name `keyed`, and an item under the name `list`.
fn named(
    env: &Env,
    rate: Option<u64>,
    (keyed, was_keyed): (&'static str, &'static str),
    (list, was_list): (&'static str, &'static str),
    results: &Collector<String>,
) {
    let numbers = numbers(env, rate);
    numbers
        .key_by(|number: &u64| number % KEYS)
        .process("latest", move |states| {
            Ok(Latest(states.was(was_keyed).value(keyed)?, |number| number))
        })
        .sink("nowhere", tidegate::discard::discard());
    numbers
        .process_unkeyed("item", move |states| {
            let item = states.was(was_list).list(list, Redistribution::Union)?;
            Ok(Item(item, || 7_u32))
        })
        .sink("items", results.sink());
}

#[test]
fn a_state_that_nobody_takes_over_is_refused_like_an_operator_and_both_names_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |options: &[&str], keyed, list| {
        let options = [&["-p1"], options].concat();
        job(folder.path()).start(options, move |env| {
            named(env, Some(SLOW), keyed, list, &Collector::default());
            Ok(())
        })
    };
    let savepoint = stop(&start(&[], ("open", "-"), ("seen", "-")).expect("it starts"));
    let from = ["-s", &savepoint];

    let error = start(&from, ("sessions", "-"), ("known", "-")).err().expect("state would be lost");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    let message = error.to_string();
    for expected in [
        "operator `latest`: the program does not declare `open` any more, and declares `sessions`, \
         which the snapshot does not have: if that is a new name for it, declare it with `.was(\"…\")`; \
         to leave it behind, set the --allow-non-restored-state option on the CLI",
        "operator `item`: the program does not declare `seen` any more, and declares `known`",
    ] {
        assert!(message.contains(expected), "{message}");
    }

    let renamed = start(&from, ("sessions", "open"), ("known", "seen")).expect("it is told");
    let again = stop(&renamed);
    let end = |started: Result<JobHandle, JobError>| {
        let handle = started.expect("nothing is lost, or that is meant");
        handle.cancel();
        let _ = handle.wait_blocking();
    };
    // From now on it has its new name.
    end(start(&["-s", &again], ("sessions", "-"), ("known", "-")));
    let allowed = ["-s", &savepoint, "--allow-non-restored-state"];
    end(start(&allowed, ("sessions", "-"), ("known", "-")));
}
