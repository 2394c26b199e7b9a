//! State outlives the types of the program that kept it: of two programs, each reads the savepoints of
//! the other, or says why it can't.

use std::{path::Path, process::Command, sync::Mutex};

use tidegate_testing::process::evolution;

/// What changes between the two programs.
const CASES: [&str; 21] = [
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
