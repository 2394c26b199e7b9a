//! `tidegate state`: what it says of the corpus, what others read in a savepoint, and state that
//! stays the same whatever the parallelism.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tidegate_testing::{
    flights::totals_after,
    folders::{self, entries, is_complete},
    process::{Process, evolution, flights},
    wait_for,
};

use crate::support::TIDEGATE;

/// What the command prints, and how it ends.
fn state(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(TIDEGATE).arg("state").args(arguments).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("UTF-8"))
}

/// What it prints when it ends well.
fn says(arguments: &[&str]) -> String {
    let (ended_well, text) = state(arguments);
    assert!(ended_well, "state {arguments:?}: {text}");
    text
}

/// A savepoint of the corpus, as a command line names it.
fn corpus(form: &str) -> String {
    folders::corpus(form).display().to_string()
}

/// Without the paths of this machine.
fn tidy(text: &str) -> String {
    text.replace(&corpus(""), "CORPUS/")
}

#[test]
fn what_it_says_of_the_corpus() {
    let mut said = String::new();
    for form in ["native", "canonical"] {
        let path = corpus(form);
        let kinds = ["value", "list", "map", "mortal", "mortal-list", "mortal-map"];
        let mut commands = vec![vec!["ls"], vec!["ls", "--json"], vec!["schema"], vec!["verify"]];
        commands.extend(kinds.map(|kind| vec!["show", "--uid", "kinds", "--state", kind]));
        commands
            .push(vec!["show", "--uid", "kinds", "--state", "value", "--json", "--limit", "all"]);
        commands.push(vec!["show", "--uid", "kinds", "--state", "reduced", "--csv"]);
        commands.push(vec!["show", "--uid", "lists", "--state", "split"]);
        let key = r#"{"name":"k\"3\n","number":3,"event":{"Renamed":{"to":"üüü"}}}"#;
        commands.push(vec!["show", "--uid", "kinds", "--state", "reduced", "--key", key]);
        for command in commands {
            let text = says(&[&[command[0], path.as_str()], &command[1..]].concat());
            said +=
                &format!("$ tidegate state {} CORPUS/{form}\n{}\n", command.join(" "), tidy(&text));
        }
    }
    insta::assert_snapshot!("what_it_says_of_the_corpus", said);
}

#[test]
fn what_it_says_of_mistakes() {
    let (native, folder) = (corpus("native"), tempfile::tempdir().expect("a folder"));
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).expect("a folder");
    let taken = taken.display().to_string();
    says(&["copy", &native, &taken]);
    let no_folder = corpus("nowhere");
    let mistakes = [
        vec!["ls"],
        vec!["ls", &no_folder],
        vec!["show", &native],
        vec!["show", &native, "--uid", "nobody", "--state", "value"],
        vec!["show", &native, "--uid", "kinds", "--state", "nothing"],
        vec!["show", &native, "--uid", "kinds", "--state", "value", "--limit", "many"],
        vec!["show", &native, "--uid", "lists", "--state", "split", "--key", "1"],
        vec!["copy", &native, &taken],
        vec!["convert", &native, &taken, "--type", "other"],
        vec!["juggle", &native],
    ];
    let mut said = String::new();
    for mistake in mistakes {
        let (ended_well, text) = state(&mistake);
        assert!(!ended_well, "{mistake:?}: {text}");
        let text = text.replace(&taken, "TAKEN");
        let shown = mistake.join(" ").replace(&taken, "TAKEN");
        said += &format!("$ tidegate state {}\n{}\n", tidy(&shown), tidy(&text));
    }
    insta::assert_snapshot!("what_it_says_of_mistakes", said);
}

/// That two snapshots hold the same, in the states of these operators or in all.
fn assert_same(a: &str, b: &str, uids: Option<&str>) {
    let difference = says(&["diff", a, b, "--json"]);
    let difference: Value = serde_json::from_str(&difference).expect("JSON");
    for state in difference["states"].as_array().expect("a list") {
        if uids.is_none_or(|uid| state["uid"] == uid) {
            let of = |kind: &str| state[kind].as_u64().expect("a number");
            assert_eq!((of("added"), of("removed"), of("changed")), (0, 0, 0), "{state}");
        }
    }
}

#[test]
fn either_form_can_be_made_of_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = |name: &str| folder.path().join(name).display().to_string();
    let (native, canonical, copy) = (below("native"), below("canonical"), below("copy"));
    says(&["convert", &corpus("canonical"), &native, "--type", "native"]);
    says(&["convert", &native, &canonical, "--type", "canonical"]);
    says(&["copy", &canonical, &copy]);
    for other in [&native, &canonical, &copy] {
        assert_same(&corpus("canonical"), other, None);
        says(&["verify", other]);
    }
    // A file that has changed is told by its name.
    let table = entries(&Path::new(&copy).join("kinds/value")).pop().expect("a file");
    std::fs::write(&table, b"PAR1").expect("it can be written");
    let (ended_well, text) = state(&["verify", &copy]);
    assert!(!ended_well && text.contains("kinds/value/"), "{text}");
}

/// What a program prints when it ends well.
fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it starts");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {problem}");
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

#[test]
fn other_parallelism_and_max_parallelism_leave_the_state_as_it_is() {
    let (job, _) = evolution();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().display().to_string();
    let first = run(job, &["many", "write", "canonical", &folder]);
    let mut latest = first.clone();
    for (parallelism, max) in [(8, 4096), (3, 128), (2, 4096), (5, 200)] {
        let parallelism = format!("-p{parallelism}");
        let max = format!("-Dpipeline.max-parallelism={max}");
        latest = run(job, &["many", "again", &latest, &folder, &parallelism, &max]);
        assert_same(&first, &latest, Some("keep"));
        says(&["verify", &latest]);
        let rows = says(&["ls", &latest, "--json"]);
        assert!(rows.contains("\"rows\":5000"), "{rows}");
    }
}

/// A savepoint of a running `flights` job, in a folder.
fn savepoint_of_flights(folder: &Path) -> PathBuf {
    let (output, log) = (folder.join("out"), folder.join("log"));
    let arguments =
        [format!("--out={}", output.display()), "--rate=100000".to_owned(), "-p2".to_owned()];
    let mut running = Process::start(flights(), &arguments, &log);
    wait_for("the job to write", || (!entries(&output.join("cancelled")).is_empty()).then_some(()));
    // So that there is more to compare; what is right does not depend on it.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let signal = format!("kill -USR1 {}", running.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().expect("a shell").success());
    let savepoints = output.join("savepoints");
    let path = wait_for("the savepoint", || {
        assert!(running.ended().is_none(), "{}", running.log());
        entries(&savepoints).into_iter().find(|folder| is_complete(folder))
    });
    running.kill();
    path
}

/// What `state show` says of a state, a row a line, sorted.
fn shown(savepoint: &Path, uid: &str, state: &str) -> Vec<Value> {
    let path = savepoint.display().to_string();
    let show = ["show", &path, "--uid", uid, "--state", state, "--json", "--limit", "all"];
    let row = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
    sorted(says(&show).lines().map(row).collect())
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(Value::to_string);
    rows
}

/// What a state of `flights` must be: the source is one file, read by one subtask, and the barrier came
/// behind as many of its records as the split says.
fn assert_as_computed(savepoint: &Path) {
    let splits = shown(savepoint, "flights", "splits");
    let read = splits[0]["value"]["position"]["records"].as_u64().expect("a number");
    assert!(read > 0, "{splits:?}");
    let expected = totals_after(read as usize);
    let held = shown(savepoint, "by-carrier-and-month", "totals");
    let held = held.into_iter().map(|row| {
        let key = serde_json::from_value::<(String, u8)>(row["key"].clone()).expect("a key");
        (key, row["value"].clone())
    });
    let held = held.collect::<BTreeMap<_, _>>();
    let expected = expected
        .into_iter()
        .map(|(key, totals)| (key, serde_json::to_value(totals).expect("it has a form in JSON")));
    assert_eq!(held, expected.collect::<BTreeMap<_, _>>());
}

#[test]
#[ignore = "needs DuckDB and pyarrow: `cargo xtask test` installs them and runs this"]
fn readers_that_know_nothing_of_tidegate_find_the_same() {
    let python = std::env::var("TIDEGATE_PYTHON").expect("set by `cargo xtask test`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/readers.py");
    let folder = tempfile::tempdir().expect("a folder");
    let savepoint = savepoint_of_flights(folder.path());
    assert_as_computed(&savepoint);
    let path = savepoint.display().to_string();
    let states: Value = serde_json::from_str(&says(&["ls", &path, "--json"])).expect("JSON");
    let mut compared = 0;
    for state in states["states"].as_array().expect("a list") {
        let name = |field: &str| state[field].as_str().expect("a text").to_owned();
        let files = state["files"].as_array().expect("a list").iter();
        let files = files.map(|file| savepoint.join(file.as_str().expect("a path")));
        let files = files.map(|file| file.display().to_string()).collect::<Vec<_>>();
        if files.is_empty() {
            assert_eq!(state["rows"], 0);
            continue;
        }
        let expected = shown(&savepoint, &name("uid"), &name("state"));
        let script = script.display().to_string();
        let arguments = std::iter::once(script).chain(files).collect::<Vec<_>>();
        let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
        for line in run(Path::new(&python), &arguments).lines() {
            let found: Value = serde_json::from_str(line).expect("JSON");
            let rows = sorted(found["rows"].as_array().expect("a list").clone());
            assert_eq!(rows, expected, "{} of {}", name("state"), found["reader"]);
            compared += rows.len();
        }
    }
    println!("compared {compared} rows");
    assert!(compared > 100, "{compared}");
}
