//! Savepoints of earlier versions are read for ever: `tests/corpus` holds some of each version, in both
//! forms, with every kind of state and every type.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tidegate::{SnapshotForm, collect::Collector, generator::Generator, prelude::*};
use tidegate_testing::folders::entries;

use crate::support::counting::{finish, wait_for_records};

const KEYS: u64 = 6;
/// Far away, so that the corpus never expires.
const TTL: Duration = Duration::from_secs(1_000 * 365 * 24 * 3600);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    name: String,
    number: u16,
    event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Event {
    Opened,
    Measured(i64),
    Moved(i32, i32),
    Renamed { to: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Meters(f64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    name: String,
    children: Vec<Tree>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    bool: bool,
    signed: (i8, i16, i32, i64, i128),
    unsigned: (u8, u16, u32, u64, u128),
    floats: (f32, f64),
    char: char,
    text: String,
    maybe: Option<Option<u8>>,
    unit: (),
    marker: Marker,
    meters: Meters,
    events: Vec<Event>,
    by_event: BTreeMap<Event, Vec<u8>>,
    tree: Tree,
    array: [u16; 9],
    duration: Duration,
    address: IpAddr,
    time: jiff::Timestamp,
}

fn key(number: u64) -> Key {
    Key { name: format!("k\"{number}\n"), number: number as u16, event: event(number) }
}

fn event(number: u64) -> Event {
    match number % 4 {
        0 => Event::Opened,
        1 => Event::Measured(-(number as i64)),
        2 => Event::Moved(i32::MIN, number as i32),
        _ => Event::Renamed { to: "ü".repeat(number as usize) },
    }
}

fn everything(number: u64) -> Everything {
    let leaf = |name: &str| Tree { name: name.to_owned(), children: Vec::new() };
    Everything {
        bool: number.is_multiple_of(2),
        signed: (-1, i16::MIN, number as i32, i64::MIN, i128::MIN + i128::from(number)),
        unsigned: (255, u16::MAX, number as u32, u64::MAX, u128::MAX - u128::from(number)),
        floats: (number as f32 / 8.0, -1e300),
        char: '→',
        text: "a, \"b\"\n".repeat(number as usize),
        maybe: [None, Some(None), Some(Some(7))][number as usize % 3],
        unit: (),
        marker: Marker,
        meters: Meters(1.5),
        events: (0..number).map(event).collect(),
        by_event: (0..number).map(|number| (event(number), vec![number as u8; 2])).collect(),
        tree: Tree { name: "root".to_owned(), children: vec![leaf("a"), leaf("b")] },
        array: [number as u16; 9],
        duration: Duration::from_millis(number * 1_001),
        address: if number.is_multiple_of(2) { [127, 0, 0, 1].into() } else { [0_u16; 8].into() },
        time: jiff::Timestamp::from_second(1_700_000_000 + number as i64).expect("in range"),
    }
}

/// Keeps the highest.
struct Highest;

impl AggregateFunction<u64> for Highest {
    type Acc = Option<u64>;
    type Out = Option<u64>;

    fn create(&self) -> Option<u64> {
        None
    }

    fn add(&self, highest: &mut Option<u64>, number: u64) -> tidegate::Result<()> {
        *highest = (*highest).max(Some(number));
        Ok(())
    }

    fn result(&self, highest: &Option<u64>) -> tidegate::Result<Option<u64>> {
        Ok(*highest)
    }
}

struct Kinds {
    value: ValueState<Everything>,
    list: ListState<Event>,
    map: MapState<Event, Meters>,
    reduced: ReducingState<u64>,
    aggregated: AggregatingState<Highest, u64>,
    mortal: ValueState<String>,
    mortal_list: ListState<u16>,
    mortal_map: MapState<u8, String>,
    writes: bool,
}

impl Kinds {
    fn declare(states: &mut tidegate::States<'_, Key>, writes: bool) -> tidegate::Result<Self> {
        Ok(Self {
            value: states.value("value")?,
            list: states.list("list")?,
            map: states.map("map")?,
            reduced: states.reducing("reduced", |a: u64, b| Ok(a.max(b)))?,
            aggregated: states.aggregating("aggregated", Highest)?,
            mortal: states.with_ttl(StateTtl::new(TTL)).value("mortal")?,
            mortal_list: states.with_ttl(StateTtl::new(TTL)).list("mortal-list")?,
            mortal_map: states.with_ttl(StateTtl::new(TTL)).map("mortal-map")?,
            writes,
        })
    }
}

/// What is in the state of a key, as it is shown.
fn shown(number: u64) -> String {
    let events = (0..3).map(|more| event(number + more)).collect::<Vec<_>>();
    let map = BTreeMap::from([(event(number), Meters(0.5))]);
    let mortal = (number.to_string(), [number as u16, 1], BTreeMap::from([(3_u8, "three")]));
    format!("{:?} {events:?} {map:?} {number} {number} {mortal:?}", everything(number))
}

impl KeyedProcess<Key, u64> for Kinds {
    type Out = String;

    fn on_record(
        &mut self,
        number: u64,
        context: &mut ProcessContext<'_, Key, String>,
    ) -> tidegate::Result<()> {
        let number = number % KEYS;
        if !self.writes {
            return Ok(());
        }
        context.emit(format!("seen {number}"));
        context.set_event_timer(EventTime::MAX);
        self.value.set(everything(number));
        self.list.update((0..3).map(|more| event(number + more)).collect());
        self.map.put(event(number), Meters(0.5));
        self.reduced.add(number)?;
        self.aggregated.add(number)?;
        self.mortal.set(number.to_string());
        self.mortal_list.update(vec![number as u16, 1]);
        self.mortal_map.put(3, "three".to_owned());
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, Key, String>,
    ) -> tidegate::Result<()> {
        let value = self.value.get().ok_or("no value")?;
        let map = self.map.entries().into_iter().collect::<BTreeMap<_, _>>();
        let mortal_map = self.mortal_map.entries().into_iter().collect::<BTreeMap<_, _>>();
        let mortal = (self.mortal.get().ok_or("expired")?, self.mortal_list.get(), mortal_map);
        let (reduced, aggregated) = (self.reduced.get(), self.aggregated.get()?.flatten());
        let (reduced, aggregated) = (reduced.ok_or("none")?, aggregated.ok_or("none")?);
        let list = self.list.get();
        let key = context.key().number;
        context
            .emit(format!("{key}: {value:?} {list:?} {map:?} {reduced} {aggregated} {mortal:?}"));
        Ok(())
    }
}

/// Keeps what does not belong to a key; the first record of a restored job shows it.
struct Lists {
    split: OperatorListState<(u64, Event)>,
    union: OperatorListState<Option<String>>,
    writes: bool,
    done: bool,
}

impl UnkeyedProcess<u64> for Lists {
    type Out = String;

    fn on_record(
        &mut self,
        _number: u64,
        context: &mut UnkeyedContext<'_, String>,
    ) -> tidegate::Result<()> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        if self.writes {
            self.split.update(vec![(1, Event::Opened), (2, event(3))]);
            self.union.update(vec![None, Some("some".to_owned())]);
            return Ok(());
        }
        self.split.get().into_iter().for_each(|item| context.emit(format!("split {item:?}")));
        self.union.get().into_iter().for_each(|item| context.emit(format!("union {item:?}")));
        Ok(())
    }
}

fn start(options: &[&str], writes: bool, results: &Collector<String>) -> JobHandle {
    let results = results.clone();
    let started = Job::new("corpus").start(options.iter().copied(), move |env| {
        let numbers = Generator::new(Some(20_000), |index| index);
        // So slow while it writes that there are records left to read.
        let numbers = if writes { numbers.rate(2_000) } else { numbers };
        let numbers = env.source("numbers", numbers);
        let keyed = numbers
            .key_by(|number: &u64| key(number % KEYS))
            .process("kinds", move |states| Kinds::declare(states, writes));
        let unkeyed = numbers.process_unkeyed("lists", move |states| {
            Ok(Lists {
                split: states.list("split", tidegate::Redistribution::Split)?,
                union: states.list("union", tidegate::Redistribution::Union)?,
                writes,
                done: false,
            })
        });
        keyed.union(&[&unkeyed]).sink("results", results.exactly_once_sink());
        Ok(())
    });
    started.expect("the job starts")
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

#[test]
#[ignore = "writes the corpus of this version; done once, before it is released"]
fn write_the_corpus() {
    let version = corpus().join(env!("CARGO_PKG_VERSION"));
    for (form, name) in [(SnapshotForm::Native, "native"), (SnapshotForm::Canonical, "canonical")] {
        let folder = tempfile::tempdir().expect("a folder");
        let options = ["-p2", "-Dexecution.checkpointing.data-inline-threshold=0"];
        let handle = start(&options, true, &Collector::default());
        wait_for_records(&handle);
        let target = Some(folder.path().display().to_string());
        let taken = handle.stop_with_savepoint_as_blocking(form, target, false);
        finish(&handle);
        std::fs::create_dir_all(&version).expect("it can be written");
        let copied = std::process::Command::new("cp")
            .args(["-r", &taken.expect("it is taken")])
            .arg(version.join(name))
            .status();
        assert!(copied.expect("there is cp").success());
    }
}

#[test]
fn savepoints_of_every_version_are_restored() {
    let mut seen = 0;
    for savepoint in entries(&corpus()).iter().flat_map(|version| entries(version)) {
        for parallelism in ["-p1", "-p3"] {
            let results = Collector::default();
            let path = savepoint.display().to_string();
            finish(&start(&[parallelism, "--from-savepoint", &path], false, &results));
            let lines = results.take();
            let (before, after): (Vec<_>, Vec<_>) =
                lines.into_iter().partition(|line| line.starts_with("seen"));
            assert!(!before.is_empty(), "{path}: what was to be committed is gone");
            let after = after.into_iter().collect::<BTreeSet<_>>();
            let lists = [
                "split (1, Opened)",
                "split (2, Renamed { to: \"üüü\" })",
                "union None",
                "union Some(\"some\")",
            ];
            let mut expected = lists.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
            expected.extend((0..KEYS).map(|number| format!("{number}: {}", shown(number))));
            assert_eq!(after, expected, "{path}");
        }
        seen += 1;
    }
    assert!(seen >= 2, "there is a corpus");
}
