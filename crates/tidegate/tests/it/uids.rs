//! Uids as people write them: of any length and in any script they work, and what is no text is
//! refused.

use tidegate::{ErrorKind, SnapshotForm, collect::Collector, discard::discard, prelude::*};

use crate::support::{
    counting::{numbers, stop_as, wait_for_records},
    job_of_test,
};

#[test]
fn a_uid_with_a_control_character_is_refused_with_its_place() {
    for uid in ["a\0b", "\u{7}", "\u{1b}[31mred"] {
        let started = job_of_test().start([""; 0], move |env| {
            env.from_collection("numbers", vec![1_u64]).sink(uid, discard());
            Ok(())
        });
        let error = started.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let (message, line) = (error.to_string(), line!() - 5);
        let expected = format!("the uid {uid:?} of `sink at {}:{line}` holds a control", file!());
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn a_uid_of_any_length_and_script_is_found_again_in_both_forms() {
    for (form, letter) in [(SnapshotForm::Native, 'x'), (SnapshotForm::Canonical, '状')] {
        let folder = tempfile::tempdir().expect("a folder");
        let uid = letter.to_string().repeat(10_000);
        let results = Collector::<(u64, u64)>::default();
        let start = |more: &[&str]| {
            let dir = format!("-Dexecution.checkpointing.dir={}", folder.path().display());
            let savepoints = folder.path().join("savepoints").display().to_string();
            let savepoints = format!("-Dexecution.checkpointing.savepoint-dir={savepoints}");
            let options = ["-p2", dir.as_str(), savepoints.as_str()];
            let (uid, results) = (uid.clone(), results.clone());
            let started = job_of_test().start([&options, more].concat(), move |env| {
                let counts = numbers(env, Some(2_000)).key_by(|_: &u64| 0_u64);
                counts.aggregate(&uid, Count).sink("out", results.exactly_once_sink());
                Ok(())
            });
            started.expect("it starts")
        };
        let handle = start(&[]);
        wait_for_records(&handle);
        let savepoint = stop_as(form, &handle);
        let before = results.take().into_iter().map(|(_, count)| count).max().expect("some");
        let handle = start(&["--from-savepoint", &savepoint]);
        wait_for_records(&handle);
        stop_as(form, &handle);
        let first = results.take().into_iter().map(|(_, count)| count).min();
        assert_eq!(first, Some(before + 1), "the state of {form:?} was not found again");
    }
}
