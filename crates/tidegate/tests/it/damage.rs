//! A restore point that is damaged: the next older one takes its place if nothing was committed
//! since, and otherwise the job fails and says why it does not go back. Nothing has come of it by then,
//! in any process. One that can't be read for now is no damage.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize};
use tidegate::{
    ErrorKind, JobStatus, Result, SnapshotForm, collect::Collector, discard::discard, prelude::*,
};
use tidegate_snapshot::manifest::{Manifest, SegmentLocation};
use tidegate_testing::{
    folders::entries,
    process::{addresses, seat},
    wait_for,
};
use tidegate_types::{OperatorUid, SubtaskIndex};

use crate::support::counting::{
    KEYS, SLOW, count, finish, job, numbers, start as start_counting, stop_as, wait_for_records,
};

const OPTIONS: [&str; 5] = [
    "-Dexecution.checkpointing.num-retained=3",
    "-Dexecution.checkpointing.data-inline-threshold=0",
    "-Drestart-strategy.type=fixed-delay",
    "-Drestart-strategy.fixed-delay.attempts=3",
    "-Drestart-strategy.fixed-delay.delay=10 ms",
];

type Totals = Arc<Mutex<Vec<(u64, u64)>>>;

/// The job that counts, into a plain sink or one that commits; fails when it is asked to.
fn start(folder: &Path, commits: bool, fails: &Arc<AtomicBool>, totals: &Totals) -> JobHandle {
    let (fails, totals) = (Arc::clone(fails), Arc::clone(totals));
    let started = job(folder).start(OPTIONS, move |env| {
        let (fails, totals) = (Arc::clone(&fails), Arc::clone(&totals));
        let checked = numbers(env, Some(SLOW)).map(move |number| -> Result<u64> {
            if fails.swap(false, Ordering::Relaxed) { Err("trouble".into()) } else { Ok(number) }
        });
        let counts = checked.key_by(|number: &u64| number % KEYS).aggregate("count", Count);
        let counts = counts.inspect(move |count| {
            totals.lock().expect("nobody panics").push(*count);
            Ok(())
        });
        if commits {
            counts.sink("counts", Collector::default().exactly_once_sink());
        } else {
            counts.sink("counts", discard());
        }
        Ok(())
    });
    started.expect("it starts")
}

/// Takes a checkpoint.
fn checkpoint(running: &JobHandle) -> String {
    running.checkpoint_blocking().expect("it is taken")
}

/// The state file of a checkpoint.
fn state_of(checkpoint: &str) -> PathBuf {
    let is_state = |path: &PathBuf| !path.ends_with("_metadata");
    entries(Path::new(checkpoint)).into_iter().find(is_state).expect("it has state")
}

/// Cuts the last byte off a state file.
fn cut(checkpoint: &str) {
    let state = state_of(checkpoint);
    let bytes = fs::read(&state).expect("it can be read");
    fs::write(&state, &bytes[..bytes.len() - 1]).expect("it can be written");
}

/// Changes a bit in a block of the keyed state of a subtask.
fn alter_block(snapshot: &str, subtask: u32) {
    let json = fs::read(Path::new(snapshot).join("_metadata")).expect("it can be read");
    let manifest = Manifest::parse(&json, snapshot).expect("it is whole");
    let operator = &manifest.operators[&OperatorUid::from("count")];
    let own = operator.subtasks.iter().find(|part| part.index == SubtaskIndex(subtask));
    let keyed = own.and_then(|part| part.keyed.as_ref()).expect("it has keyed state");
    let SegmentLocation::File { path, offset } = &keyed.segment.location else {
        panic!("it is in `_metadata`");
    };
    let file = Path::new(snapshot).join(path);
    let mut bytes = fs::read(&file).expect("it can be read");
    // Its first block is behind eight bytes that say what it is.
    bytes[*offset as usize + 8] ^= 1;
    fs::write(&file, bytes).expect("it can be written");
}

#[test]
fn without_a_sink_that_commits_the_next_older_checkpoint_takes_the_damaged_ones_place() {
    goes_back(cut, "bytes, and");
    goes_back(
        |checkpoint| alter_block(checkpoint, 1),
        "has been altered in the block of the state",
    );
}

fn goes_back(damage: fn(&str), says: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (fails, totals) = (Arc::new(AtomicBool::new(false)), Totals::default());
    let running = start(folder.path(), false, &fails, &totals);
    wait_for_records(&running);
    let (older, newest) = (checkpoint(&running), checkpoint(&running));
    damage(&newest);
    fails.store(true, Ordering::Relaxed);
    wait_for("the restore", || running.stats().restored.filter(|(_, path)| *path == older));
    let failures = running.stats().failures;
    assert!(failures.iter().any(|failure| failure.message.contains(says)), "{failures:?}");
    finish(&running);
    // Each key's last count is right, whatever was counted again on the way.
    let totals = totals.lock().expect("nobody panics");
    let most = totals.iter().fold(std::collections::BTreeMap::new(), |mut most, (key, count)| {
        let highest: &mut u64 = most.entry(*key).or_default();
        *highest = (*highest).max(*count);
        most
    });
    assert_eq!(most.values().sum::<u64>(), crate::support::counting::RECORDS);
    assert!(Path::new(&newest).exists(), "somebody may want to look at it");
}

#[test]
fn a_job_whose_sink_has_committed_does_not_go_back_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let (fails, totals) = (Arc::new(AtomicBool::new(false)), Totals::default());
    let running = start(folder.path(), true, &fails, &totals);
    wait_for_records(&running);
    checkpoint(&running);
    let newest = checkpoint(&running);
    cut(&newest);
    fails.store(true, Ordering::Relaxed);
    let error = running.wait_blocking().expect_err("it can't go on");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let message = error.to_string();
    let expected = ["bytes, and", "what `counts` committed", "--from-savepoint"];
    assert!(expected.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn when_a_block_of_one_process_is_damaged_no_subtask_of_any_has_emitted_or_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let before = start_counting(folder.path(), &[OPTIONS[1]], Some(SLOW), &results);
    let savepoint = stop_as(SnapshotForm::Native, &before.expect("it starts"));
    let committed = results.take().len();
    // The other process has all that it takes over.
    alter_block(&savepoint, 1);
    let (addresses, emitted) = (addresses(), Arc::new(AtomicU64::new(0)));
    let start = |index: usize| {
        let from = ["--from-savepoint".to_owned(), savepoint.clone()];
        let arguments = [from.as_slice(), &seat(&addresses, index)].concat();
        let (emitted, results) = (Arc::clone(&emitted), results.clone());
        let started = job(folder.path()).start(arguments, move |env| {
            let emitted = Arc::clone(&emitted);
            let numbers = numbers(env, None).inspect(move |_| {
                emitted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            count(&numbers, &results);
            Ok(())
        });
        started.expect("its files are there, and as long as they were")
    };
    let processes = [start(0), start(1)];
    let [first, second] = processes.map(|process| process.wait_blocking().expect_err("damaged"));
    for error in [&first, &second] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let message = error.to_string();
        let says = [savepoint.as_str(), "the block of the state", "key group", "bytes at"];
        assert!(says.iter().all(|part| message.contains(part)), "{message}");
    }
    assert_eq!(emitted.load(Ordering::Relaxed), 0, "INV-BEGIN");
    assert!(results.is_empty(), "INV-BEGIN: {committed} were committed before");
    // What is asked for is found before anything is started.
    let verified = ["--from-savepoint", &savepoint, "--verify"];
    let error = start_counting(folder.path(), &verified, None, &results).err();
    let error = error.expect("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_checkpoint_that_can_not_be_read_for_now_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = Collector::default();
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let options = [
        OPTIONS[1],
        OPTIONS[2],
        "-Drestart-strategy.fixed-delay.attempts=1000",
        "-Drestart-strategy.fixed-delay.delay=20 ms",
    ];
    let into = results.clone();
    let running = job(folder.path()).start(options, move |env| {
        let fails = Arc::clone(&failing);
        let checked = numbers(env, Some(SLOW)).map(move |number| -> Result<u64> {
            if fails.swap(false, Ordering::Relaxed) { Err("trouble".into()) } else { Ok(number) }
        });
        count(&checked, &into);
        Ok(())
    });
    let running = running.expect("it starts");
    wait_for_records(&running);
    let checkpoint = checkpoint(&running);
    let (state, aside) = (state_of(&checkpoint), folder.path().join("aside"));
    fs::rename(&state, &aside).expect("it can be moved");
    // Whoever opens it is told of a circle, and not that there is none.
    symlink(&state, &state).expect("it can be made");
    fails.store(true, Ordering::Relaxed);
    wait_for("an attempt that can't read it", || {
        let failures = running.stats().failures;
        let says = |part: &str| failures.iter().any(|failure| failure.message.contains(part));
        (says("cannot read") && says("bytes at")).then_some(())
    });
    fs::rename(&aside, &state).expect("it can be moved back");
    wait_for("the restore", || running.stats().restored.filter(|(_, path)| *path == checkpoint));
    finish(&running);
    crate::support::counting::assert_counted_once(&results);
}

/// A count that takes long to be read, once that is asked for.
#[derive(Clone, Default, Serialize)]
struct Slow(u64);

static READ_SLOWLY: AtomicBool = AtomicBool::new(false);
static READ: AtomicU64 = AtomicU64::new(0);

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Slow")]
        struct Plain(u64);
        if READ_SLOWLY.load(Ordering::Relaxed) {
            READ.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
        }
        Plain::deserialize(deserializer).map(|Plain(count)| Self(count))
    }
}

struct CountSlowly;

impl AggregateFunction<u64> for CountSlowly {
    type Acc = Slow;
    type Out = u64;

    fn create(&self) -> Slow {
        Slow(0)
    }

    fn add(&self, count: &mut Slow, _number: u64) -> Result<()> {
        count.0 += 1;
        Ok(())
    }

    fn result(&self, count: &Slow) -> Result<u64> {
        Ok(count.0)
    }
}

#[test]
fn a_job_that_is_cancelled_while_it_is_restored_ends_before_it_has_read_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let emitted = Arc::new(AtomicU64::new(0));
    let start = |options: &[&str]| {
        let emitted = Arc::clone(&emitted);
        let started = job(folder.path()).start(options.iter().copied(), move |env| {
            let emitted = Arc::clone(&emitted);
            let numbers = numbers(env, Some(SLOW)).inspect(move |_| {
                emitted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            let counts = numbers.key_by(|number: &u64| number % KEYS);
            counts.aggregate("count", CountSlowly).sink("counts", discard());
            Ok(())
        });
        started.expect("it starts")
    };
    let savepoint = stop_as(SnapshotForm::Native, &start(&[OPTIONS[1]]));
    emitted.store(0, Ordering::Relaxed);
    let running = start(&["--from-savepoint", &savepoint]);
    READ_SLOWLY.store(true, Ordering::Relaxed);
    wait_for("some of it", || (READ.load(Ordering::Relaxed) > 4).then_some(()));
    assert_eq!(running.stats().status, JobStatus::Initializing);
    running.cancel();
    let ended = running.wait_blocking().expect("it is cancelled");
    READ_SLOWLY.store(false, Ordering::Relaxed);
    assert_eq!(ended.status, JobStatus::Canceled);
    let read = READ.load(Ordering::Relaxed);
    assert!(read < KEYS, "{read} of {KEYS} were read");
    assert_eq!(emitted.load(Ordering::Relaxed), 0, "INV-BEGIN");
}
