//! A job that keeps a value per key, for whatever types: to see what becomes of its state when they
//! change.
//!
//! ```text
//!   PROGRAM CASE write native|canonical FOLDER     fills the state, and prints where the savepoint is
//!   PROGRAM CASE read SAVEPOINT                    starts from it, and prints the state
//!   PROGRAM CASE again SAVEPOINT FOLDER OPTION…    starts from it, and takes another one
//!   PROGRAM CASE try --dry-run -s SAVEPOINT        tells what a start from it would do
//! ```

use std::{collections::BTreeSet, fmt::Debug, process::ExitCode, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tidegate::{JobBuild, SnapshotForm, collect::Collector, generator::Generator, prelude::*};

/// How many records there are.
const RECORDS: u64 = 20_000;

/// The types of a job, and what is in its state.
pub trait Case: 'static {
    /// What records are found by.
    type Key: Eq + Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static;
    /// How many of them there are.
    const KEYS: u64 = 12;
    /// What the state is called.
    const STATE: &'static str = "value";
    /// What is kept for each.
    type Value: Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// The key with this number.
    fn key(number: u64) -> Self::Key;

    /// What is kept for it.
    fn value(number: u64) -> Self::Value;
}

/// Runs a case with the arguments behind its name; says why if the job does not start.
pub type Run = fn(&[String]) -> Result<String, String>;

/// Does what the command line says with one of `cases`.
#[expect(clippy::print_stdout, reason = "whoever starts it reads that")]
pub fn main(cases: &[(&str, Run)]) -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let case = arguments.first().and_then(|name| cases.iter().find(|(case, _)| case == name));
    let Some((_, run)) = case else {
        eprintln!("expected a case: {:?}", cases.iter().map(|(name, _)| name).collect::<Vec<_>>());
        return ExitCode::from(2);
    };
    match run(&arguments[1..]) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

struct Keep<C: Case> {
    value: ValueState<C::Value>,
    writes: bool,
}

impl<C: Case> KeyedProcess<C::Key, u64> for Keep<C> {
    type Out = String;

    fn on_record(
        &mut self,
        number: u64,
        context: &mut ProcessContext<'_, C::Key, String>,
    ) -> tidegate::Result<()> {
        if self.writes {
            self.value.set(C::value(number % C::KEYS));
            context.set_event_timer(EventTime((number % C::KEYS) as i64));
        }
        context.emit(format!("{:?}: {:?}", context.key(), self.value.get()));
        Ok(())
    }
}

/// Fills or shows the state of a case.
///
/// # Errors
///
/// Why its job does not start, or fails.
pub fn run<C: Case>(arguments: &[String]) -> Result<String, String> {
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    match arguments[..] {
        ["write", form, folder] => {
            let form = match form {
                "native" => SnapshotForm::Native,
                _ => SnapshotForm::Canonical,
            };
            stop(
                &start::<C>(&["-p2"], Mode::Write, &Collector::default())?,
                2 * C::KEYS,
                form,
                folder,
            )
        }
        ["again", savepoint, folder, ref options @ ..] => {
            let options = [&["--from-savepoint", savepoint], options].concat();
            let handle = start::<C>(&options, Mode::Again, &Collector::default())?;
            stop(&handle, 1, SnapshotForm::Canonical, folder)
        }
        ["read", savepoint] => {
            let results = Collector::default();
            let options = ["-p3", "--from-savepoint", savepoint];
            let handle = start::<C>(&options, Mode::Read, &results)?;
            handle.wait_blocking().map_err(|error| error.to_string())?;
            let lines = results.take().into_iter().collect::<BTreeSet<String>>();
            Ok(lines.into_iter().collect::<Vec<_>>().join("\n"))
        }
        // The job reads its options from the command line itself, and says what there is to say.
        ["try", ..] => {
            let (job, build) = job::<C>(Mode::Read, &Collector::default());
            let code = job.run(build);
            if code == ExitCode::SUCCESS { Ok(String::new()) } else { Err(String::new()) }
        }
        _ => Err(format!("expected write, read, again or try, got {arguments:?}")),
    }
}

/// What a job is run for.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Write,
    Read,
    Again,
}

/// Stops a job once it has taken in so many records.
fn stop(
    handle: &JobHandle,
    records: u64,
    form: SnapshotForm,
    folder: &str,
) -> Result<String, String> {
    while handle.stats().records < records {
        std::thread::sleep(Duration::from_millis(2));
    }
    let path = handle.stop_with_savepoint_as_blocking(form, Some(folder.to_owned()), false)?;
    handle.wait_blocking().map_err(|error| error.to_string())?;
    Ok(path)
}

fn start<C: Case>(
    options: &[&str],
    mode: Mode,
    results: &Collector<String>,
) -> Result<JobHandle, String> {
    let (job, build) = job::<C>(mode, results);
    job.start(options.iter().copied(), build).map_err(|error| error.to_string())
}

fn job<C: Case>(mode: Mode, results: &Collector<String>) -> (Job, impl JobBuild + use<C>) {
    let results = results.clone();
    let build = move |env: &Env| -> tidegate::Result<()> {
        let numbers = Generator::new(Some(RECORDS), |index| index);
        // So slow while it is to be stopped that there are records left to read.
        let numbers = if mode == Mode::Read { numbers } else { numbers.rate(RECORDS / 4) };
        env.source("numbers", numbers)
            .key_by(|number: &u64| C::key(number % C::KEYS))
            .process("keep", move |states| {
                Ok(Keep::<C> { value: states.value(C::STATE)?, writes: mode == Mode::Write })
            })
            .sink("states", results.sink());
        Ok(())
    };
    (Job::new("evolution"), build)
}
