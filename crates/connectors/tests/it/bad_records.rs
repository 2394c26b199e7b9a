//! Records that can't be parsed: fail, skip and count, or pass them on.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidegate_connectors::files::{self, BadRecords, DeadLetter, Parsed};

use crate::harness::{Compression, SourceJob, read_all};

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
    let (_folder, path) = file("one.jsonl", "\n\n1\n");
    let error = read_all(&files::json_lines::<Panics>(&path)).err();
    let expected =
        format!("`{}` line 3: reading the record panicked: in user code", path.display());
    assert_eq!(error, Some(expected));
}

/// A quote that is opened on line 3 and closed nowhere.
const STRAY: &str = "carrier,delay\n5\" pipe,1\n\"open,2\nUA,3\nAA,4\n";

#[test]
fn a_quote_that_is_never_closed_takes_no_more_than_its_line() {
    assert_eq!(
        csv_error(STRAY.as_bytes()),
        "`flights.csv` line 3: bad record `\"open,2`: a quote is opened here and never closed"
    );
    let (_folder, path) = file("flights.csv", STRAY);
    let skipping = files::csv::<Flight>(&path).on_bad_record(BadRecords::Skip);
    let good = [flight("5\" pipe", 1), flight("UA", 3), flight("AA", 4)];
    assert_eq!(read_all(&skipping).expect("it is read"), good);
    assert_eq!(skipping.skipped().count(), 1);
    let letters = files::csv::<Flight>(&path).with_dead_letters();
    let read = read_all(&letters).expect("it is read");
    let lines = read.iter().map(|parsed| match parsed {
        Parsed::Good(_) => 0,
        Parsed::Bad(letter) => letter.line,
    });
    assert_eq!(lines.collect::<Vec<_>>(), [0, 3, 0, 0]);
}

#[test]
fn text_behind_a_closing_quote_shows_that_another_one_is_missing() {
    let content = "carrier,delay\n\"open,2\n\"UA\",3\nAA,4\n";
    assert_eq!(
        csv_error(content.as_bytes()),
        "`flights.csv` line 2: bad record `\"open,2`: there is text behind the quote that closes a \
         field; within a quoted field a quote is doubled"
    );
    let (_folder, path) = file("flights.csv", content);
    let skipping = files::csv::<Flight>(&path).on_bad_record(BadRecords::Skip);
    assert_eq!(read_all(&skipping).expect("it is read"), [flight("UA", 3), flight("AA", 4)]);
}

#[test]
fn a_file_with_a_stray_quote_is_gone_on_with_behind_any_record() {
    let (_folder, path) = file("flights.csv", STRAY);
    let source = files::csv::<Flight>(&path).on_bad_record(BadRecords::Skip);
    let all = read_all(&source).expect("it is read");
    for count in 0..=all.len() {
        let mut job = SourceJob::start(&source, 1, &[]).expect("it starts");
        let mut read = job.read(count, 1).expect("it is read");
        let lists = job.snapshot();
        let mut job = SourceJob::start(&source, 1, &lists).expect("it goes on");
        read.extend(job.read(usize::MAX, 10).expect("it is read"));
        assert_eq!(read, all, "behind record {count}");
    }
}

#[test]
fn a_header_that_does_not_fit_is_one_error_with_both_lists() {
    let wanted = "and the records are read from `carrier`, `delay`: it lacks";
    let of = |header: &str| csv_error(format!("{header}\nUA;5\n").as_bytes());
    assert_eq!(
        of("carrier,dly"),
        format!("`flights.csv` line 1: the header has `carrier`, `dly`, {wanted} `delay`")
    );
    assert_eq!(
        of("carrier;delay"),
        format!(
            "`flights.csv` line 1: the header has `carrier;delay`, {wanted} `carrier`, `delay`; is \
             `;` the delimiter?"
        )
    );
    assert_eq!(
        of("carrier, delay"),
        format!(
            "`flights.csv` line 1: the header has `carrier`, ` delay`, {wanted} `delay`; there are \
             blanks around the names"
        )
    );
    assert!(of("Carrier,DELAY").ends_with("`delay`; upper and lower case differ"));
    let utf16 = "carrier,delay\nUA,5\n".encode_utf16().flat_map(u16::to_le_bytes);
    let utf16 = [0xff, 0xfe].into_iter().chain(utf16).collect::<Vec<_>>();
    let error = csv_error(&utf16);
    assert!(error.ends_with("the file looks like UTF-16: convert it to UTF-8"), "{error}");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Optional {
    #[serde(alias = "airline")]
    carrier: Option<String>,
    #[serde(default)]
    delay: i32,
}

#[test]
fn a_header_may_lack_what_is_optional_but_not_everything() {
    let read = |content: &str| {
        let (_folder, path) = file("flights.csv", content);
        read_all(&files::csv::<Optional>(&path))
    };
    let ua = Optional { carrier: Some("UA".into()), delay: 0 };
    assert_eq!(read("airline,gate\nUA,5\n"), Ok(vec![ua]));
    assert_eq!(read(""), Ok(vec![]));
    let error = read("airline;delay\nUA;5\n").expect_err("no field is there");
    assert!(error.ends_with("it lacks any of them; is `;` the delimiter?"), "{error}");
}

#[test]
fn a_bad_record_ends_with_its_line_however_its_bytes_come() {
    let content = "carrier,delay\n\"U\"A,5\n\"A\nA\"A,6\nUA,7\n";
    let read = |name: &str, content: &[u8]| {
        let (_folder, path) = file(name, content);
        let read = read_all(&files::csv::<Flight>(&path).with_dead_letters());
        let shown = |record: Parsed<Flight>| match record {
            Parsed::Good(record) => format!("{} {}", record.carrier, record.delay),
            Parsed::Bad(letter) => format!("{}: {}", letter.line, letter.value),
        };
        read.expect("nothing fails").into_iter().map(shown).collect::<Vec<_>>()
    };
    let whole = read("flights.csv", content.as_bytes());
    assert_eq!(whole, ["2: \"U\"A,5", "3: \"A", "A\"A 6", "UA 7"]);
    for length in 1..content.len() {
        // A reader gets what is in one member of a gzip file at a time.
        let pieces = content.as_bytes().chunks(length);
        let members = pieces.map(|piece| Compression::Gzip.compress(piece)).collect::<Vec<_>>();
        assert_eq!(read("flights.csv.gz", &members.concat()), whole, "pieces of {length}");
    }
}
