//! `tidegate-state query`: what it says of the corpus and of mistakes, by itself and for `tidegate`.

use std::{
    path::Path,
    process::{Command, Output},
};

use tidegate_testing::{folders, process::tidegate};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate-state");

fn query(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("query").args(arguments).output().expect("it starts")
}

/// What it prints.
fn text(output: Output) -> String {
    String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
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
    let by_name = "select key.number, value.text, cardinality(value.events) as events from \
                   kinds.value order by key.number";
    let questions: [&[&str]; 4] = [
        &[by_name],
        &["select count(*) as n from \"kinds\".\"mortal-list\"", "--json"],
        &["select value from lists.union where value is not null", "--csv"],
        &["select * from kinds.\"_timers/processing-time\""],
    ];
    for form in ["native", "canonical"] {
        for question in questions {
            let output = query(&[&[corpus(form).as_str()], question].concat());
            let (ended_well, text) = (output.status.success(), tidy(&text(output)));
            assert!(ended_well, "{question:?}: {text}");
            let question = question.join(" ");
            said += &format!("$ tidegate-state query {question} CORPUS/{form}\n{text}\n");
        }
    }
    insta::assert_snapshot!("what_it_says_of_the_corpus", said);
}

#[test]
fn what_it_says_of_mistakes() {
    let (native, nowhere) = (corpus("native"), corpus("nowhere"));
    let mistakes: [&[&str]; 7] = [
        &[],
        &[&native],
        &[&nowhere, "select 1"],
        &[&nowhere, "select 1", "--json"],
        &[&native, "select 1", "--json", "--csv"],
        &[&native, "select * from nobody.nothing"],
        &[&native, "choose all"],
    ];
    let mut said = String::new();
    for mistake in mistakes {
        let output = query(mistake);
        let (code, text) = (output.status.code(), tidy(&text(output)));
        assert_eq!(code, Some(1), "{mistake:?}: {text}");
        said += &format!("$ tidegate-state query {}\n{text}\n", tidy(&mistake.join(" ")));
    }
    insta::assert_snapshot!("what_it_says_of_mistakes", said);
}

#[test]
fn nothing_is_written_and_nothing_read_from_elsewhere() {
    let native = corpus("native");
    for statement in [
        "create table t as select 1",
        "copy (select 1) to 'written.csv'",
        "create external table t stored as csv location '/etc/hosts'",
        "insert into kinds.value select * from kinds.value",
        "set datafusion.execution.batch_size = 1",
    ] {
        let output = query(&[&native, statement]);
        let (code, text) = (output.status.code(), text(output));
        assert!(code == Some(1) && text.contains("not supported"), "{statement}: {text}");
    }
}

#[test]
fn tidegate_hands_its_questions_on() {
    let folder = Path::new(PROGRAM).parent().expect("it lies in a folder");
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(tidegate());
        let output = command.args(["state", "query"]).args(arguments).env("PATH", folder).output();
        output.expect("the command starts")
    };
    let native = corpus("native");
    let questions: [&[&str]; 3] = [
        &["--help"],
        &[&native, "select count(*) as n from kinds.list", "--csv"],
        &[&native, "choose all"],
    ];
    for question in questions {
        assert_eq!(ask(question), query(question), "{question:?}");
    }
}

#[test]
fn it_tells_its_version() {
    let output = Command::new(PROGRAM).arg("--version").output().expect("it starts");
    assert_eq!(text(output), format!("tidegate-state {}\n", env!("CARGO_PKG_VERSION")));
}
