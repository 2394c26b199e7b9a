//! Types that can be written and not read back, and keys that are none: refused when the job starts,
//! or, where only a value shows it, before a snapshot with it counts.

use std::{
    collections::{BTreeMap, HashSet},
    net::TcpListener,
};

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use tidegate::{
    AsJson, ErrorKind, collect::Collector, discard::discard, generator::Generator, prelude::*,
};

use crate::support::job_of_test;

/// Nothing of a failure is left to the restart strategy.
const ALWAYS: [&str; 3] = [
    "-Drestart-strategy.type=fixed-delay",
    "-Drestart-strategy.fixed-delay.attempts=2147483647",
    "-Drestart-strategy.fixed-delay.delay=1 ms",
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// Leaves its field out for a number that nobody would think of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rarely {
    #[serde(default, skip_serializing_if = "is_rare")]
    number: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_rare(number: &u64) -> bool {
    *number == 31_337
}

/// A key that is no key beyond a number.
#[derive(Clone, PartialEq, Eq, Deserialize)]
struct Fragile(u64);

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 31_337 {
            return Err(S::Error::custom("there is no place for it"));
        }
        serializer.serialize_newtype_struct("Fragile", &self.0)
    }
}

/// Keeps the latest record of each key.
struct Latest<V> {
    latest: ValueState<V>,
}

impl<K: Clone + Eq + Send + Sync + Serialize + for<'de> Deserialize<'de> + 'static, V>
    KeyedProcess<K, V> for Latest<V>
where
    V: tidegate::connector::Data + Sync,
{
    type Out = Option<V>;

    fn on_record(
        &mut self,
        record: V,
        context: &mut ProcessContext<'_, K, Option<V>>,
    ) -> tidegate::Result<()> {
        context.emit(self.latest.get());
        self.latest.set(record);
        Ok(())
    }
}

/// Why a job does not start, which is its own fault.
fn why_invalid(started: Result<JobHandle, JobError>) -> String {
    let error = started.err().expect("it does not start");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.to_string()
}

/// Why a job that keeps the latest `V` of each key, by the state's `name`, does not start.
fn refused<K, V>(name: &'static str, key: fn(&V) -> K) -> String
where
    K: Clone + Eq + Send + Sync + Serialize + for<'de> Deserialize<'de> + 'static,
    V: tidegate::connector::Data + Sync,
{
    let started = Job::new("unfit").start([""; 0], move |env| {
        env.from_collection("records", Vec::<V>::new())
            .key_by(key)
            .process("keep", move |states| Ok(Latest { latest: states.value(name)? }))
            .sink("sink", discard());
        Ok(())
    });
    why_invalid(started)
}

#[test]
fn a_state_that_could_not_be_read_back_is_refused_with_its_field_and_the_way_out() {
    let message = refused("documents", |document: &Document| document.title.clone());
    let begin = "the job can't be built: operator `keep`: the state `documents` can't be kept: values \
                 of `Document` can't be read back: it reads its fields by name, as \
                 `#[serde(flatten)]` does";
    assert!(message.starts_with(begin), "{message}");
    assert!(message.contains("`value_as_json`"), "{message}");
    let message = refused("rare", |record: &serde_json::Value| record.to_string());
    assert!(message.contains("a `serde_json::Value` holds whatever its text says"), "{message}");
}

#[test]
fn a_key_in_no_order_is_refused() {
    let message = refused("latest", |record: &u64| HashSet::from([*record, record + 1]));
    let expected = "the job can't be built: operator `keep`: the operator's state can't be kept by such \
                    keys: `HashSet<u64>` is no type for keys: equal values of it are written in \
                    different ways";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_state_without_a_name_is_refused() {
    let message = refused(" ", |record: &u64| *record);
    let expected = "the job can't be built: operator `keep`: a state has an empty name";
    assert!(message.starts_with(expected), "{message}");
}

/// Keeps nothing in a list that belongs to no key.
struct Unused<V>(OperatorListState<V>);

impl<V: tidegate::connector::Data + Sync> UnkeyedProcess<u64> for Unused<V> {
    type Out = u64;

    fn on_record(
        &mut self,
        _record: u64,
        context: &mut UnkeyedContext<'_, u64>,
    ) -> tidegate::Result<()> {
        context.emit(self.0.with(<[V]>::len) as u64);
        Ok(())
    }
}

/// Why a job with a list of `V`, by the state's `name`, does not start.
fn refused_list<V: tidegate::connector::Data + Sync>(name: &'static str) -> String {
    let started = Job::new("unfit").start([""; 0], move |env| {
        env.from_collection("records", Vec::<u64>::new())
            .process_unkeyed("keep", move |states| {
                Ok(Unused(states.list::<V>(name, Redistribution::Split)?))
            })
            .sink("sink", discard());
        Ok(())
    });
    why_invalid(started)
}

#[test]
fn state_that_belongs_to_no_key_is_held_to_the_same() {
    let begin = "the job can't be built: operator `keep`: ";
    let message = refused_list::<Document>("documents");
    let expected = "the state `documents` can't be kept: values of `Document` can't be read back";
    assert!(message.starts_with(&format!("{begin}{expected}")), "{message}");
    let message = refused_list::<u64>("");
    assert!(message.starts_with(&format!("{begin}a state has an empty name")), "{message}");
}

#[test]
fn a_state_that_is_kept_as_json_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = |index: u64| Document {
        title: (index % 7).to_string(),
        note: index.is_multiple_of(2).then(|| index.to_string()),
        rest: BTreeMap::from([("index".to_owned(), index.into())]),
    };
    let run = |records: u64, more: &[&str]| {
        let results = Collector::<Option<AsJson<Document>>>::default();
        let sink = results.clone();
        let options = [
            format!("-Dexecution.checkpointing.dir={}", folder.path().display()),
            "-Dexecution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION"
                .to_owned(),
        ];
        let options = options.iter().map(String::as_str).chain(more.iter().copied());
        let handle = Job::new("documents").start(options, move |env| {
            env.source("numbers", Generator::new(Some(records), document).rate(2_000))
                .map(|document| Ok(AsJson::new(document)))
                .key_by(|document: &AsJson<Document>| document.title.clone())
                .process("keep", |states| Ok(Latest { latest: states.value("documents")? }))
                .sink("results", sink.sink());
            Ok(())
        });
        (handle.expect("it starts"), results)
    };
    let (handle, _) = run(1_000_000, &[]);
    tidegate_testing::wait_for("some records", || (handle.stats().records > 20).then_some(()));
    let target = folder.path().join("sp").display().to_string();
    let savepoint = handle.stop_with_savepoint_blocking(Some(target), false).expect("it stops");
    handle.wait_blocking().expect("it ends");
    let (handle, results) = run(1_000_000, &["--from-savepoint", &savepoint]);
    tidegate_testing::wait_for("results", || (results.len() > 20).then_some(()));
    handle.cancel();
    handle.wait_blocking().expect("it ends");
    assert!(results.take().iter().all(Option::is_some), "a key has lost its document");
}

/// Why a job ends for good.
fn ended(build: fn(&Env) -> tidegate::Result<()>) -> JobError {
    let often = ["-Dexecution.checkpointing.interval=20 ms", "--parallelism=2"];
    let options = often.into_iter().chain(ALWAYS);
    job_of_test().try_run(options, build).expect_err("no restart can mend it")
}

#[test]
fn a_value_that_turns_out_to_be_unreadable_ends_the_job_before_a_snapshot_with_it_counts() {
    let error = ended(|env| {
        let rarely = |number| Rarely { number: if number < 50 { number } else { 31_337 } };
        env.source("numbers", Generator::new(Some(1_000_000), rarely).rate(2_000))
            .key_by(|record: &Rarely| record.number % 100)
            .process("keep", |states| Ok(Latest { latest: states.value("rare")? }))
            .sink("sink", discard());
        Ok(())
    });
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = error.to_string();
    let expected = "operator `keep`: a value of the state `rare` can't be written: the value can't be \
                    encoded: the field `number` of `Rarely` is left out of some values";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_key_that_can_not_be_written_ends_the_job() {
    let error = ended(|env| {
        let fragile = |number| Fragile(if number < 50 { number } else { 31_337 });
        env.source("numbers", Generator::new(Some(1_000_000), |index| index).rate(2_000))
            .key_by(move |number: &u64| fragile(*number))
            .reduce("last", |last, record| {
                *last = record;
                Ok(())
            })
            .sink("sink", discard());
        Ok(())
    });
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = error.to_string();
    assert!(message.starts_with("the key selector of `last` ("), "{message}");
    assert!(message.contains(") failed on "), "{message}");
    assert!(message.contains("can't be written, so that it has no place"), "{message}");
    assert!(message.contains("there is no place for it"), "{message}");
}

#[test]
fn a_key_that_is_another_one_each_time_ends_the_job() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TURN: AtomicU64 = AtomicU64::new(0);
    let error = ended(|env| {
        env.source("numbers", Generator::new(Some(1_000_000), |index| index).rate(2_000))
            .key_by(|_: &u64| TURN.fetch_add(1, Ordering::Relaxed))
            .reduce("last", |last, record| {
                *last = record;
                Ok(())
            })
            .sink("sink", discard());
        Ok(())
    });
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = error.to_string();
    assert!(message.starts_with("operator `last` (reduce at "), "{message}");
    assert!(message.contains(") failed") && message.contains(": key group "), "{message}");
    assert!(message.contains("is it a function of the record alone"), "{message}");
}

/// A name, whatever its case.
#[derive(Clone, Serialize, Deserialize)]
struct Name(String);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

#[test]
fn keys_that_are_compared_otherwise_than_they_are_written_end_the_job_where_that_is_looked_for() {
    let names = || ["ada", "bob", "ADA"].map(|name| Name(name.to_owned())).to_vec();
    let keep = |options: &[&str], folds: bool| {
        let options = [&["-Drestart-strategy.type=none"], options].concat();
        job_of_test().try_run(options, move |env| {
            let keyed = env.from_collection("names", names()).key_by(Name::clone);
            if folds {
                keyed.reduce("last", |_, _| Ok(())).sink("sink", discard());
            } else {
                keyed
                    .process("keep", |states| Ok(Latest { latest: states.value("latest")? }))
                    .sink("sink", discard());
            }
            Ok(())
        })
    };
    for folds in [false, true] {
        let error = keep(&["-Dstate.check-keys=true"], folds).expect_err("it is looked for");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("keys that its `Eq` takes for one"), "{error}");
        // Debug builds always look for it.
        assert_eq!(keep(&[], folds).is_err(), cfg!(debug_assertions));
    }
}

/// Starts process 0 of 2 of a job whose records are `T`.
fn start_first_of_two<T: tidegate::connector::Data>() -> Result<JobHandle, JobError> {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let [first, second, coordinator] = [listen(), listen(), listen()]
        .map(|listener| listener.local_addr().expect("it is bound").to_string());
    let options = [
        "--parallelism=2".to_owned(),
        "--process-index=0".to_owned(),
        format!("--addresses={first},{second}"),
        format!("--coordinator={coordinator}"),
    ];
    Job::new("two").start(options, |env| {
        env.from_collection("records", Vec::<T>::new()).rebalance().sink("sink", discard());
        Ok(())
    })
}

#[test]
fn records_that_could_not_be_read_in_another_process_are_refused() {
    let error = start_first_of_two::<Document>().err().expect("it does not start");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let message = error.to_string();
    assert!(message.starts_with("the records from operator `records` (source at "), "{message}");
    assert!(message.contains(") to operator `_rebalance-1` (rebalance at "), "{message}");
    let why = "can't go from one process to another: values of `Document` can't be read back";
    assert!(message.contains(why), "{message}");
    assert!(message.contains("`AsJson`"), "{message}");
}
