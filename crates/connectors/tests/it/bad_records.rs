//! Records that can't be parsed: fail, skip and count, or pass them on.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidegate_connectors::files::{self, BadRecords, DeadLetter, Parsed};

use crate::harness::{SourceJob, read_all};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flight {
    carrier: String,
    delay: i32,
}

fn flight(carrier: &str, delay: i32) -> Flight {
    Flight { carrier: carrier.into(), delay }
}

fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("written");
    (folder, path)
}

fn csv_error(content: &[u8]) -> String {
    let (_folder, path) = file("flights.csv", content);
    let error = read_all(&files::csv::<Flight>(&path)).expect_err("a record is bad");
    error.replace(path.to_str().expect("UTF-8"), "flights.csv")
}

fn json_error(content: &[u8]) -> String {
    let (_folder, path) = file("flights.jsonl", content);
    let error = read_all(&files::json_lines::<Flight>(&path)).expect_err("a record is bad");
    error.replace(path.to_str().expect("UTF-8"), "flights.jsonl")
}

#[test]
fn a_bad_csv_record_is_named_exactly() {
    assert_eq!(
        csv_error(b"carrier,delay\nUA,5\nAA,late\n"),
        "`flights.csv` line 3 column `delay`: bad record `late`: invalid digit found in string"
    );
    assert_eq!(
        csv_error(b"carrier,delay\r\n\r\n\"U\nA\",5\r\n\r\nAA,late\r\n"),
        "`flights.csv` line 6 column `delay`: bad record `late`: invalid digit found in string"
    );
    assert_eq!(
        csv_error(b"carrier,delay\nUA\n"),
        "`flights.csv` line 2: bad record `UA`: expected 2 fields, found 1"
    );
    assert_eq!(
        csv_error(b"carrier,delay\nUA,5,6"),
        "`flights.csv` line 2: bad record `UA,5,6`: expected 2 fields, found 3"
    );
    assert_eq!(
        csv_error(b"carrier,dly\nUA,5\n"),
        "`flights.csv` line 2: bad record `UA,5`: missing field `delay`"
    );
    assert_eq!(
        csv_error(b"carrier,delay\n\xff,5\n"),
        "`flights.csv` line 2 column `carrier`: bad record `\u{fffd}`: invalid utf-8 sequence of 1 bytes from index 0"
    );
}

#[test]
fn a_bad_json_record_is_named_exactly() {
    assert_eq!(
        json_error(
            b"{\"carrier\":\"UA\",\"delay\":5}\n\n{\"carrier\":\"AA\",\"delay\":\"late\"}\n"
        ),
        "`flights.jsonl` line 3 column `30`: bad record `{\"carrier\":\"AA\",\"delay\":\"late\"}`: \
         invalid type: string \"late\", expected i32"
    );
    assert_eq!(
        json_error(b"{\"carrier\":\"UA\""),
        "`flights.jsonl` line 1 column `15`: bad record `{\"carrier\":\"UA\"`: \
         EOF while parsing an object"
    );
}

#[test]
fn a_long_value_is_shortened_in_the_message() {
    let error = csv_error(format!("carrier,delay\nUA,{}\n", "ä".repeat(1_000)).as_bytes());
    let shown = format!("bad record `{}…`: ", "ä".repeat(200));
    assert!(error.contains(&shown), "{error}");
}

#[test]
fn records_before_the_bad_one_are_read() {
    let (_folder, path) = file("flights.csv", "carrier,delay\nUA,5\nAA,6\nB6,?\n");
    let mut job = SourceJob::start(&files::csv::<Flight>(path), 1, &[]).unwrap();
    assert!(job.read(usize::MAX, 100).is_err());
    assert_eq!(job.so_far(), [flight("UA", 5), flight("AA", 6)]);
}

#[test]
fn bad_records_can_be_skipped_and_are_counted() {
    let (_folder, path) = file("flights.csv", "carrier,delay\nUA,5\nAA\nB6,?\nDL,7\nEV,?");
    let source = files::csv::<Flight>(path).on_bad_record(BadRecords::Skip);
    let skipped = source.skipped();
    assert_eq!(read_all(&source).unwrap(), [flight("UA", 5), flight("DL", 7)]);
    assert_eq!(skipped.count(), 3);
}

#[test]
fn bad_records_can_be_passed_on() {
    let (_folder, path) = file("flights.csv", "carrier,delay\nUA,5\nB6,?\nDL,7\n");
    let name = path.to_str().unwrap().to_owned();
    let source = files::csv::<Flight>(path).with_dead_letters();
    let bad = DeadLetter {
        file: name,
        line: 3,
        column: Some("delay".into()),
        value: "?".into(),
        message: "invalid digit found in string".into(),
    };
    let expected = [Parsed::Good(flight("UA", 5)), Parsed::Bad(bad), Parsed::Good(flight("DL", 7))];
    for first in 0..=3 {
        let mut job = SourceJob::start(&source, 1, &[]).unwrap();
        let mut found = job.read(first, 1).unwrap();
        let mut job = SourceJob::start(&source, 1, &job.snapshot()).unwrap();
        found.extend(job.read(usize::MAX, 10).unwrap());
        assert_eq!(found, expected);
    }
}

#[derive(Clone, Serialize)]
struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("in user code")
    }
}

#[test]
fn a_panic_in_a_record_s_code_fails_the_attempt() {
    let (_folder, path) = file("one.jsonl", "1\n");
    let error = read_all(&files::json_lines::<Panics>(&path)).err();
    let expected = format!("the thread that read `{}` has panicked", path.display());
    assert_eq!(error, Some(expected));
}
