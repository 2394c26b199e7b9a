//! Savepoints as data: a job starts from one that no job has written, and from one that was changed.

use std::{collections::BTreeMap, process::Command};

use serde::{Deserialize, Serialize};
use tidegate::{
    MaxParallelism,
    collect::Collector,
    prelude::*,
    savepoint::{Savepoint, SavepointWriter},
};
use tidegate_testing::{
    flights::totals_after,
    folders::lines,
    process::{Process, bootstrap, flights},
};

use crate::support::counting::{KEYS, SLOW, finish, job, numbers, start, stop};

#[derive(Debug, PartialEq, Deserialize)]
struct Summary {
    carrier: String,
    month: u8,
    flights: u64,
    cancelled: u64,
    worst_delay: Option<i32>,
}

#[test]
fn flights_starts_from_totals_that_were_computed_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, log) = (folder.path().join("out"), folder.path().join("log"));
    let warm = folder.path().join("warm").display().to_string();
    let made = Command::new(bootstrap()).args(["--to", &warm]).output().expect("it starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let from = format!("--from-savepoint={warm}");
    let out = format!("--out={}", output.display());
    Process::start(flights(), &["-p2".to_owned(), out, from], &log).finish();
    let summaries = lines(&output.join("summary"));
    let summaries = summaries.iter().map(|line| serde_json::from_str::<Summary>(line));
    let summaries = summaries.map(|line| line.expect("a summary"));
    // Every flight was there before, and has come again.
    let once = totals_after(usize::MAX);
    let mut count = 0;
    for summary in summaries {
        let totals = &once[&(summary.carrier.clone(), summary.month)];
        assert_eq!(summary.flights, 2 * totals.flights, "{summary:?}");
        assert_eq!(summary.cancelled, 2 * totals.cancelled, "{summary:?}");
        assert_eq!(summary.worst_delay, totals.worst_delay, "{summary:?}");
        count += 1;
    }
    assert_eq!(count, once.len());
}

#[test]
fn a_savepoint_is_read_by_the_types_of_the_program_and_written_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = |name: &str| folder.path().join(name).display().to_string();
    let results = Collector::default();
    let path = stop(&start(folder.path(), &[], Some(SLOW), &results).expect("it starts"));
    let savepoint = Savepoint::open(&path).expect("it is there");
    let states = savepoint.states();
    assert!(states.is_sorted_by(|one, next| one < next), "each once: {states:?}");
    let (uid, state) = savepoint
        .states()
        .into_iter()
        .find(|(_, state)| state == "accumulator")
        .expect("the job counts");
    let counts = savepoint.entries::<u64, u64>(&uid, &state).expect("numbers by number");
    let counts = counts.collect::<Result<BTreeMap<_, _>, _>>().expect("all of them");
    assert_eq!(counts.len() as u64, KEYS);
    let wider = savepoint.entries::<u64, i128>(&uid, &state).expect("as types of a job may change");
    for entry in wider {
        let (key, count) = entry.expect("a count");
        assert_eq!(count, i128::from(counts[&key]));
    }
    assert!(savepoint.entries::<u64, String>(&uid, &state).is_err());
    assert!(savepoint.entries::<u64, u64>(&uid, "nothing").is_err());

    let mut writer = SavepointWriter::of(&savepoint);
    let odd_ones = |key: &u64, count: u64| (key % 2 == 1).then_some(count + 1_000_000);
    writer.map_values(&uid, &state, odd_ones).expect("they are numbers");
    assert!(writer.drop_state("numbers", "splits"));
    assert!(!writer.drop_state("numbers", "splits"), "it is gone already");
    assert!(writer.remove_operator("numbers"));
    assert!(writer.rename_operator("nobody", "somebody").is_err());
    writer.rename_operator(&uid, "counts-now").expect("there is one");
    let changed = below("changed");
    writer.write(&changed).expect("it can be written");
    assert!(writer.write(&changed).is_err(), "it is not written over");
    let again = Savepoint::open(&changed).expect("it is there");
    let found = again.entries::<u64, u64>("counts-now", &state).expect("renamed");
    let found = found.collect::<Result<BTreeMap<_, _>, _>>().expect("all of them");
    let expected = counts.iter().filter_map(|(key, count)| Some((*key, odd_ones(key, *count)?)));
    assert_eq!(found, expected.collect());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    first: Option<String>,
}

struct Show(ValueState<Seen>, ListState<u8>, MapState<String, u64>);

impl KeyedProcess<u64, u64> for Show {
    type Out = String;

    fn on_record(
        &mut self,
        _number: u64,
        context: &mut ProcessContext<'_, u64, String>,
    ) -> tidegate::Result<()> {
        let key = *context.key();
        let shown = format!("{key} {:?} {:?} {:?}", self.0.get(), self.1.get(), self.2.entries());
        context.emit(shown);
        Ok(())
    }
}

#[test]
fn a_savepoint_can_be_made_of_nothing_with_every_kind_of_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("warm").display().to_string();
    let mut writer = SavepointWriter::new("counting");
    writer.max_parallelism(MaxParallelism::new(64).expect("in range"));
    let seen = |key: u64| Seen { first: (key > 0).then(|| key.to_string()) };
    writer.value_state("show", "seen", (0..KEYS).map(|key| (key, seen(key)))).expect("plain");
    writer
        .list_state("show", "list", (0..KEYS).map(|key| (key, vec![key as u8; 2])))
        .expect("plain");
    let map = |key: u64| BTreeMap::from([(format!("k{key}"), key)]);
    writer.map_state("show", "map", (0..KEYS).map(|key| (key, map(key)))).expect("plain");
    assert!(
        writer.value_state("show", "more", [("text".to_owned(), 1)]).is_err(),
        "its keys are numbers"
    );
    writer.write(&path).expect("it can be written");
    let results = Collector::default();
    let sink = results.clone();
    let started = job(folder.path()).start(["-p3", "--from-savepoint", &path], move |env| {
        numbers(env, None)
            .key_by(|number: &u64| number % KEYS)
            .process("show", |states| {
                Ok(Show(states.value("seen")?, states.list("list")?, states.map("map")?))
            })
            .sink("shown", sink.sink());
        Ok(())
    });
    finish(&started.expect("it fits"));
    let mut shown = results.take();
    shown.sort();
    shown.dedup();
    let expected = |key: u64| {
        let map = map(key).into_iter().collect::<Vec<_>>();
        format!("{key} {:?} {:?} {map:?}", Some(seen(key)), [key as u8; 2])
    };
    let mut all = (0..KEYS).map(expected).collect::<Vec<_>>();
    all.sort();
    assert_eq!(shown, all);
}
