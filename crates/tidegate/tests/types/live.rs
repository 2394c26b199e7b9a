//! A job of two processes through which values of all types go, as records from each to the other, as
//! keys and as states; both are killed on the way and go on from a checkpoint.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate::{files, generator::Generator, prelude::*};
use tidegate_testing::{
    folders::{checkpoints, is_complete, lines, name},
    process::{Process, addresses, seat},
    wait_for,
};

use super::{
    generated::{Keys, Values},
    random::{Random, Randomness},
};

/// A hundred of each type, as good as.
const RECORDS: u64 = 20_000;

/// Where the test below tells its processes to work.
const FOLDER: &str = "TIDEGATE_TEST_FOLDER";

/// What it gives them as the command line, a line each.
const ARGUMENTS: &str = "TIDEGATE_TEST_ARGUMENTS";

/// A number, and what is made up from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    number: u64,
    key: Keys,
    value: Values,
}

impl Record {
    fn of(number: u64) -> Self {
        let random = &mut Randomness(number);
        Self { number, key: Random::random(random), value: Random::random(random) }
    }

    fn check(&self, place: &str) -> tidegate::Result<()> {
        let expected = Self::of(self.number);
        if *self == expected {
            return Ok(());
        }
        Err(format!("{place}: {self:?} instead of {expected:?}").into())
    }
}

/// Holds every record against what was sent, and what the states hold of the key too.
struct Remember {
    last: ValueState<Record>,
    numbers: ListState<u64>,
    values: MapState<Keys, Values>,
}

impl KeyedProcess<Keys, Record> for Remember {
    type Out = u64;

    fn on_record(
        &mut self,
        record: Record,
        context: &mut ProcessContext<'_, Keys, u64>,
    ) -> tidegate::Result<()> {
        record.check("a record")?;
        if let Some(last) = self.last.get() {
            last.check("a value")?;
            if last.key != record.key || self.numbers.get().last() != Some(&last.number) {
                return Err(format!("{last:?} in the state of {:?}", record.key).into());
            }
            if self.values.get(&record.key) != Some(last.value) {
                return Err(format!("another value in the map of {:?}", record.key).into());
            }
        }
        self.numbers.add(record.number);
        self.values.put(record.key.clone(), record.value.clone());
        context.emit(record.number);
        self.last.set(record);
        Ok(())
    }
}

fn build(env: &Env, folder: &Path) {
    let generator = Generator::new(Some(RECORDS), Record::of).rate(5_000);
    env.source("records", generator)
        .key_by(|record: &Record| record.key.clone())
        .process("remember", |states| {
            let (last, numbers) = (states.value("last")?, states.list("numbers")?);
            Ok(Remember { last, numbers, values: states.map("values")? })
        })
        .sink("numbers", files::json_lines_sink(folder.join("out")));
}

/// What each of the two processes is.
#[test]
#[ignore = "a process of the test below"]
fn a_process() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let arguments = std::env::var(ARGUMENTS).expect("it is set");
    let result = Job::new("types").try_run(arguments.lines(), move |env| {
        build(env, &folder);
        Ok(())
    });
    result.expect("the job does not fail");
}

fn start(folder: &Path, more: &[&str]) -> [Process; 2] {
    let addresses = addresses();
    [0, 1].map(|index| {
        let own = [
            "--parallelism=2".to_owned(),
            format!("-Dexecution.checkpointing.dir={}", folder.join("checkpoints").display()),
            "-Dexecution.checkpointing.interval=200 ms".to_owned(),
        ];
        let more = more.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
        let arguments = [own.as_slice(), &seat(&addresses, index), &more].concat().join("\n");
        let this = std::env::current_exe().expect("it is known");
        let program = [
            format!("{FOLDER}={}", folder.display()),
            // Both find the token in a folder of the test's own, and one of them makes it.
            format!("TIDEGATE_CONF_DIR={}", folder.join("conf").display()),
            format!("{ARGUMENTS}={arguments}"),
            this.display().to_string(),
        ];
        let test = ["--exact", "live::a_process", "--ignored", "--nocapture"].map(str::to_owned);
        let log = folder.join(format!("log-{index}"));
        Process::start(Path::new("env"), &[program.as_slice(), &test].concat(), &log)
    })
}

#[test]
fn all_types_travel_between_processes_and_are_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut processes = start(folder, &[]);
    wait_for("two checkpoints", || {
        for process in &mut processes {
            assert!(process.ended().is_none(), "a process has ended:\n{}", process.log());
        }
        let checkpoints = checkpoints(&folder.join("checkpoints"));
        let later = |folder: &PathBuf| name(folder) != "chk-1" && is_complete(folder);
        checkpoints.iter().any(later).then_some(())
    });
    processes.into_iter().for_each(Process::kill);
    assert!(numbers(folder).len() < RECORDS as usize, "it was killed on the way");
    start(folder, &["--from-savepoint=latest"]).into_iter().for_each(Process::finish);
    let numbers = numbers(folder);
    assert!(numbers.iter().copied().eq(0..RECORDS), "{} of {RECORDS} numbers", numbers.len());
}

/// What finished files of the sink hold, in order.
fn numbers(folder: &Path) -> Vec<u64> {
    let lines = lines(&folder.join("out"));
    let mut numbers = lines.iter().map(|line| line.parse().expect("a number")).collect::<Vec<_>>();
    numbers.sort_unstable();
    numbers
}
