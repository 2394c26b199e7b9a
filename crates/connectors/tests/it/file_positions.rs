//! Whatever a file looks like: read some records, snapshot, restore, and the rest follows exactly.

use std::{fmt::Debug, fs};

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize};
use tidegate_connectors::files::{self, FileSource, Format};

use crate::harness::{Compression, SourceJob, read_all};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Row {
    id: u32,
    name: String,
    note: Option<String>,
}

fn rows(name: &'static str) -> impl Strategy<Value = Vec<Row>> {
    let row = (any::<u32>(), name, proptest::option::of("[a-z\",;\n]{1,8}"));
    vec(row.prop_map(|(id, name, note)| Row { id, name, note }), 0..60)
}

/// How a file's lines look.
#[derive(Clone, Debug)]
struct Look {
    carriage_returns: bool,
    byte_order_mark: bool,
    final_line_end: bool,
    compression: Compression,
}

fn look() -> impl Strategy<Value = Look> {
    (any::<[bool; 3]>(), 0..3usize).prop_map(|([crlf, bom, last], compression)| Look {
        carriage_returns: crlf,
        byte_order_mark: bom,
        final_line_end: last,
        compression: Compression::ALL[compression],
    })
}

impl Look {
    fn line_end(&self) -> &'static str {
        if self.carriage_returns { "\r\n" } else { "\n" }
    }

    fn file(&self, lines: &[String]) -> Vec<u8> {
        let mut content = if self.byte_order_mark { "\u{feff}".to_owned() } else { String::new() };
        content.push_str(&lines.join(self.line_end()));
        if self.final_line_end && !lines.is_empty() {
            content.push_str(self.line_end());
        }
        self.compression.compress(content.as_bytes())
    }
}

fn csv_line(fields: [&str; 3]) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields).expect("memory");
    let line = writer.into_inner().expect("memory");
    String::from_utf8(line).expect("UTF-8 in").trim_end_matches('\n').to_owned()
}

fn csv_row(row: &Row) -> String {
    csv_line([&row.id.to_string(), &row.name, row.note.as_deref().unwrap_or_default()])
}

/// Reads `first` records, restores from the snapshot at another parallelism, and reads the rest.
fn resume<F>(
    files: &[Vec<u8>],
    ends: &str,
    source: impl Fn(&str) -> FileSource<F>,
    cut: Cut,
) -> Vec<F::Item>
where
    F: Format<Item: Debug> + Sync,
{
    let folder = tempfile::tempdir().expect("a folder");
    for (index, content) in files.iter().enumerate() {
        fs::write(folder.path().join(format!("{index}{ends}")), content).expect("written");
    }
    let source = source(folder.path().to_str().expect("UTF-8"));
    let mut job = SourceJob::start(&source, cut.before, &[]).expect("starts");
    let mut records = job.read(cut.records, cut.budget).expect("reads");
    let snapshot = job.snapshot();
    drop(job);
    let mut job = SourceJob::start(&source, cut.after, &snapshot).expect("starts again");
    records.extend(job.read(usize::MAX, cut.budget).expect("reads on"));
    let progress = job.progress();
    assert_eq!(progress.done, progress.total);
    records
}

/// Where and how reading is interrupted.
#[derive(Clone, Copy, Debug)]
struct Cut {
    records: usize,
    budget: usize,
    before: u32,
    after: u32,
}

fn cut() -> impl Strategy<Value = Cut> {
    (0..100usize, 1..50usize, 1..4u32, 1..4u32).prop_map(|(records, budget, before, after)| Cut {
        records,
        budget,
        before,
        after,
    })
}

/// The same records, and in the same order if there is but one file.
fn assert_same<T: Ord + Debug>(mut found: Vec<T>, mut expected: Vec<T>, files: usize) {
    if files > 1 {
        found.sort();
        expected.sort();
    }
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn csv(contents in vec(rows("[a-zäß€ ,\"\n\r']{0,9}"), 1..4), look in look(), blank in any::<bool>(), cut in cut()) {
        let file = |rows: &Vec<Row>| {
            let header = csv_line(["id", "name", "note"]);
            let rows = rows.iter().flat_map(|row| {
                let blank = blank.then(String::new);
                [Some(csv_row(row)), blank].into_iter().flatten()
            });
            look.file(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
        };
        let files: Vec<_> = contents.iter().map(file).collect();
        let ends = format!(".csv{}", look.compression.extension());
        let found = resume(&files, &ends, |path| files::csv::<Row>(path), cut);
        assert_same(found, contents.concat(), files.len());
    }

    #[test]
    fn csv_without_header(contents in vec(rows("[a-z \"\n]{0,9}"), 1..3), look in look(), cut in cut()) {
        let files: Vec<_> =
            contents.iter().map(|rows| look.file(&rows.iter().map(csv_row).collect::<Vec<_>>())).collect();
        let ends = format!(".csv{}", look.compression.extension());
        type Fields = (u32, String, Option<String>);
        let found = resume(&files, &ends, |path| files::csv::<Fields>(path).header(false), cut);
        let expected = contents.concat().into_iter().map(|row| (row.id, row.name, row.note));
        assert_same(found, expected.collect(), files.len());
    }

    #[test]
    fn json_lines(contents in vec(rows("\\PC{0,9}"), 1..4), look in look(), blank in any::<bool>(), cut in cut()) {
        let file = |rows: &Vec<Row>| {
            let lines = rows.iter().flat_map(|row| {
                let blank = blank.then(|| "  ".to_owned());
                [Some(serde_json::to_string(row).expect("plain")), blank].into_iter().flatten()
            });
            look.file(&lines.collect::<Vec<_>>())
        };
        let files: Vec<_> = contents.iter().map(file).collect();
        let ends = format!(".jsonl{}", look.compression.extension());
        let found = resume(&files, &ends, |path| files::json_lines::<Row>(path), cut);
        assert_same(found, contents.concat(), files.len());
    }

    #[test]
    fn text(contents in vec(vec("[a-zäß€ ]{0,9}", 0..60), 1..4), look in look(), cut in cut()) {
        let mut contents = contents;
        if !look.final_line_end {
            // Without an end an empty last line is no line.
            contents.iter_mut().filter(|lines| lines.last().is_some_and(String::is_empty)).for_each(|lines| lines.push("end".into()));
        }
        let files: Vec<_> = contents.iter().map(|lines| look.file(lines)).collect();
        let ends = format!(".txt{}", look.compression.extension());
        let found = resume(&files, &ends, |path| files::text(path), cut);
        assert_same(found, contents.concat(), files.len());
    }
}

#[test]
fn a_large_file_is_resumed_in_its_middle() {
    let lines: Vec<String> = (0..50_000).map(|number| format!("line {number}")).collect();
    for compression in Compression::ALL {
        let content = compression.compress((lines.join("\n") + "\n").as_bytes());
        let ends = format!(".txt{}", compression.extension());
        for records in [0, 1, 1_023, 1_024, 1_025, 37_777, 50_000] {
            let cut = Cut { records, budget: 1_000, before: 1, after: 1 };
            let found =
                resume(std::slice::from_ref(&content), &ends, |path| files::text(path), cut);
            assert!(found == lines, "{compression:?} after {records}");
        }
    }
}

#[test]
fn compression_is_told_by_the_first_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    for compression in Compression::ALL {
        let path = folder.path().join("no-extension");
        fs::write(&path, compression.compress(b"one\ntwo")).unwrap();
        assert_eq!(read_all(&files::text(path)).unwrap(), ["one", "two"]);
    }
}

#[test]
fn empty_files_have_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.csv");
    for content in ["", "\n", "\u{feff}", "id,name,note", "id,name,note\r\n"] {
        fs::write(&path, content).unwrap();
        assert_eq!(read_all(&files::csv::<Row>(&path)).unwrap(), []);
    }
    fs::write(&path, "").unwrap();
    assert_eq!(read_all(&files::text(&path)).unwrap(), [""; 0]);
    assert_eq!(read_all(&files::json_lines::<Row>(&path)).unwrap(), []);
}

#[test]
fn another_delimiter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("semicolons.csv");
    fs::write(&path, "id;name;note\n1;a,b;\n").unwrap();
    let found = read_all(&files::csv::<Row>(&path).delimiter(b';')).unwrap();
    assert_eq!(found, [Row { id: 1, name: "a,b".into(), note: None }]);
}

#[test]
fn a_literal_for_missing_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.csv");
    fs::write(&path, "id,name,note\n1,NAN,NA\n2,b,\n").unwrap();
    let found = read_all(&files::csv::<Row>(&path).null_literal("NA")).unwrap();
    let expected =
        [(1, "NAN"), (2, "b")].map(|(id, name)| Row { id, name: name.into(), note: None });
    assert_eq!(found, expected);
}
