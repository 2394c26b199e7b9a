//! State outlives the types of the program that kept it: of two programs, each reads the savepoints of
//! the other, or says why it can't.

use std::{path::Path, process::Command, sync::Mutex};

use tidegate_testing::process::evolution;

/// What changes between the two programs.
const CASES: [&str; 22] = [
    "added",
    "added-without-default",
    "removed",
    "removed-and-denied",
    "reordered",
    "renamed",
    "renamed-without-alias",
    "made-optional",
    "not-optional-any-more",
    "widened",
    "other-kind-of-number",
    "variant-added",
    "variant-removed",
    "inside-of-others",
    "longer-tuple",
    "another-type",
    "key-changed",
    "key-field-added",
    "key-field-removed",
    "key-widened",
    "key-narrowed",
    "renamed-state",
];

/// What a program says, or why it fails.
fn said(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it starts");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    let text = String::from_utf8(text).expect("UTF-8").trim_end().to_owned();
    if output.status.success() { text } else { format!("refused: {text}") }
}

/// What `reader` makes of the state that `writer` has kept.
fn handed_over(case: &str, writer: &Path, reader: &Path) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().display().to_string();
    let read = |form| {
        let savepoint = said(writer, &[case, "write", form, &folder]);
        said(reader, &[case, "read", &savepoint])
    };
    let canonical = read("canonical");
    assert_eq!(canonical, read("native"), "{case}: both forms carry the same");
    canonical
}

fn both_ways(case: &str) -> String {
    let (before, after) = evolution();
    let forwards = handed_over(case, before, after);
    let backwards = handed_over(case, after, before);
    format!("after, from before:\n{forwards}\n\nbefore, from after:\n{backwards}")
}

#[test]
fn each_program_reads_the_savepoints_of_the_other_or_says_why_not() {
    let waiting = Mutex::new(CASES.to_vec());
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = waiting.lock().expect("no panic").pop() else { break };
                    let outcome = both_ways(case);
                    outcomes.lock().expect("no panic").push((case, outcome));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no panic");
    assert_eq!(outcomes.len(), CASES.len());
    for (case, outcome) in outcomes {
        insta::assert_snapshot!(case, outcome);
    }
}

#[test]
fn a_dry_run_decides_as_the_run_does_and_its_exit_code_tells() {
    let (before, after) = evolution();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().display().to_string();
    let savepoint = said(before, &["renamed-state", "write", "canonical", &folder]);
    let dry_run = |program: &Path, more: &[&str]| {
        let arguments = [&["renamed-state", "try", "--dry-run", "-s", &savepoint], more].concat();
        let output = Command::new(program).args(arguments).output().expect("it starts");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, told) = dry_run(before, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("`keep`.`value`, 12 rows: restored"), "{told}");

    let (code, told) = dry_run(after, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("`keep`.`value`, 12 rows: dropped"), "{told}");
    assert!(told.contains("`keep`.`kept`, 0 rows: new"), "{told}");
    assert!(told.contains("does not declare `value` any more, and declares `kept`"), "{told}");

    let (code, told) = dry_run(after, &["--allow-non-restored-state"]);
    assert_eq!(code, Some(0), "{told}");
}
