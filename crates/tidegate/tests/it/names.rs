//! Jobs, operators, states and folders called as people call them.

use std::{collections::BTreeSet, fs, path::Path};

use tidegate::{
    JobStatus, SnapshotForm, collect::Collector, generator::Generator, prelude::*,
    savepoint::Savepoint,
};

use tidegate_testing::wait_for;

const RECORDS: u64 = 2_000;
const KEYS: u64 = 10;

/// A name in every role: what is counted by it, and where.
struct Named<'a> {
    name: &'a str,
    folder: &'a Path,
}

struct Counter(ValueState<u64>);

impl KeyedProcess<String, u64> for Counter {
    type Out = (String, u64);

    fn on_record(
        &mut self,
        _number: u64,
        context: &mut ProcessContext<'_, String, (String, u64)>,
    ) -> tidegate::Result<()> {
        let count = self.0.get().unwrap_or(0) + 1;
        self.0.set(count);
        context.emit((context.key().clone(), count));
        Ok(())
    }
}

impl Named<'_> {
    fn key(&self, number: u64) -> String {
        format!("{}{}", self.name, number % KEYS)
    }

    fn start(&self, options: &[&str], results: &Collector<(String, u64)>) -> JobHandle {
        let below = |name| self.folder.join(name).display().to_string();
        let job = Job::new(self.name)
            .default_option("execution.checkpointing.dir", below("checkpoints"))
            .default_option("execution.checkpointing.savepoint-dir", below("savepoints"))
            .default_option("execution.checkpointing.interval", "20 ms");
        let (name, results) = (self.name.to_owned(), results.clone());
        let started = job.start(options.iter().copied(), move |env| {
            let (prefix, state) = (name.clone(), name.clone());
            env.source(&format!("{name} in"), Generator::new(Some(RECORDS), |n| n).rate(4_000))
                .key_by(move |number: &u64| format!("{prefix}{}", number % KEYS))
                .process(&name, move |states| Ok(Counter(states.value(&state)?)))
                .sink(&format!("{name} out"), results.exactly_once_sink());
            Ok(())
        });
        started.unwrap_or_else(|error| panic!("{:?}: {error}", self.name))
    }

    /// Runs into the midst, stops, looks at the savepoint, and goes on with it to the end.
    fn saved_and_restored(&self, form: SnapshotForm) {
        let results = Collector::default();
        let running = self.start(&["-p2"], &results);
        wait_for("a checkpoint", || (running.stats().completed_count > 1).then_some(()));
        let savepoint = running.stop_with_savepoint_as_blocking(form, None, false);
        let savepoint = savepoint.unwrap_or_else(|error| panic!("{:?}: {error}", self.name));
        running.wait_blocking().expect("it has stopped");

        let seen = Savepoint::open(&savepoint).expect("it can be read");
        let state = (self.name.to_owned(), self.name.to_owned());
        assert!(seen.states().contains(&state), "{:?}", seen.states());
        let entries = seen.entries::<String, u64>(self.name, self.name).expect("it is there");
        let counted = entries.map(|entry| entry.expect("whole").1).sum::<u64>();
        assert_eq!(counted, results.len() as u64, "{:?}", self.name);

        let ended = self.start(&["-p3", "-s", &savepoint], &results).wait_blocking();
        assert_eq!(ended.expect("it does not fail").status, JobStatus::Finished);
        self.assert_counted_once(&results);
    }

    fn assert_counted_once(&self, results: &Collector<(String, u64)>) {
        let found = results.take().into_iter().collect::<BTreeSet<_>>();
        let of_key = |key| (1..=RECORDS / KEYS).map(move |count| (key, count));
        let expected = (0..KEYS).flat_map(of_key).map(|(key, count)| (self.key(key), count));
        assert!(found == expected.collect(), "{:?}: {} results", self.name, found.len());
    }
}

#[test]
fn names_may_be_anything_that_people_write() {
    let chinese = "状态".repeat(16);
    let names = [
        "a/b",
        "..",
        "../../up",
        "/",
        ".",
        "a \"b\" 'c' `d`",
        "two\nlines\r\n\tand more",
        "🦀 żółć",
        chinese.as_str(),
        "100 %+?#&=",
        "--flag",
    ];
    for (name, form) in
        names.into_iter().zip([SnapshotForm::Canonical, SnapshotForm::Native].into_iter().cycle())
    {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("a/b");
        fs::create_dir_all(&inside).expect("the test's own");
        Named { name, folder: &inside }.saved_and_restored(form);
        let beside = |folder: &Path| {
            let entries = fs::read_dir(folder).expect("it is there").flatten();
            entries.map(|entry| entry.file_name()).collect::<BTreeSet<_>>()
        };
        assert_eq!(beside(folder.path()).len(), 1, "{name:?} leads out of its folder");
        assert_eq!(beside(&folder.path().join("a")).len(), 1, "{name:?} leads out of its folder");
        assert_eq!(
            beside(&inside),
            ["checkpoints", "savepoints"].map(Into::into).into(),
            "{name:?}"
        );
    }
}

#[test]
fn a_folder_is_the_same_as_a_path_and_as_flink_prints_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let of_urls = Named { name: "urls", folder: &folder.path().join("nowhere") };
    let url = |name: &str| format!("file:{}", folder.path().join(name).display());
    let (checkpoints, savepoints) = (url("checkpoints"), url("savepoints"));
    let options = [
        &format!("-Dexecution.checkpointing.dir={checkpoints}"),
        &format!("-Dexecution.checkpointing.savepoint-dir={savepoints}"),
        "-p2",
    ];
    let results = Collector::default();
    let running = of_urls.start(&options, &results);
    wait_for("a checkpoint", || (running.stats().completed_count > 1).then_some(()));
    let savepoint = running.stop_with_savepoint_blocking(None, false).expect("it is taken");
    running.wait_blocking().expect("it has stopped");
    let path = savepoint.strip_prefix("file:").unwrap_or(&savepoint).to_owned();
    assert!(Path::new(&path).join("_metadata").is_file(), "{savepoint}");
    for from in [format!("file:{path}"), format!("file://{path}"), path] {
        let again = Collector::default();
        let options = [options.as_slice(), &["-s", &from]].concat();
        let resumed = of_urls.start(&options, &again);
        wait_for("results", || (!again.is_empty()).then_some(()));
        resumed.cancel();
        resumed.wait_blocking().expect("a cancelled job has not failed");
        assert!(again.take().iter().all(|(_, count)| *count > 1), "it has begun anew from {from}");
    }
    let unknown = format!("-Dexecution.checkpointing.dir=fiel:{}", folder.path().display());
    let refused = Job::new("typo").start([unknown], |env| {
        env.from_collection("numbers", vec![1]).sink("sink", tidegate::discard::discard());
        Ok(())
    });
    let message = refused.err().expect("nobody knows that scheme").to_string();
    assert!(message.contains("there is no scheme `fiel:`"), "{message}");
    assert!(!Path::new("file:").exists() && !Path::new("fiel:").exists(), "a folder of that name");
}
