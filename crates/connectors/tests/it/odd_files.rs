//! Files as they come from everywhere, in one piece and in several compressed ones: read through,
//! and interrupted and gone on with behind each of their records.

use std::{fmt::Debug, fs};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tidegate_connectors::files::{self, BadRecords, FileSource, Format, Parsed};

use crate::harness::{Compression, SourceJob};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    id: u32,
    name: String,
}

/// How a content becomes a file: in so many gzip members or zstd frames one behind the other.
#[derive(Clone, Copy, Debug)]
struct Form {
    compression: Compression,
    pieces: usize,
}

const FORMS: [Form; 5] = [
    Form { compression: Compression::Plain, pieces: 1 },
    Form { compression: Compression::Gzip, pieces: 1 },
    Form { compression: Compression::Gzip, pieces: 4 },
    Form { compression: Compression::Zstd, pieces: 1 },
    Form { compression: Compression::Zstd, pieces: 4 },
];

impl Form {
    /// The pieces are cut wherever that is, in the midst of records too.
    fn file(self, content: &[u8]) -> Vec<u8> {
        let length = content.len().div_ceil(self.pieces).max(1);
        content.chunks(length).flat_map(|piece| self.compression.compress(piece)).collect()
    }

    fn in_folder(self, name: &str, file: &[u8]) -> (TempDir, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("{name}{}", self.compression.extension()));
        fs::write(&path, file).expect("written");
        let path = path.to_str().expect("UTF-8").to_owned();
        (folder, path)
    }
}

/// What is read, and the error behind it.
type Outcome<T> = (Vec<T>, Option<String>);

/// Reads to the end, or to the error.
fn read_on<F: Format<Item: Debug> + Sync>(job: &mut SourceJob<F::Item>) -> Outcome<F::Item> {
    match job.read(usize::MAX, 10) {
        Ok(records) => (records, None),
        Err(error) => (job.so_far(), Some(error)),
    }
}

/// What comes of a source, whether it is read through or gone on with behind any of its records.
fn outcome<F>(source: &FileSource<F>) -> Outcome<F::Item>
where
    F: Format<Item: Debug + PartialEq> + Sync,
{
    let start = |lists: &[_]| SourceJob::start(source, 1, lists).expect("it starts");
    let whole = read_on::<F>(&mut start(&[]));
    for count in 0..=whole.0.len() {
        let mut job = start(&[]);
        let mut records = job.read(count, 1).expect("they are good");
        let (rest, error) = read_on::<F>(&mut start(&job.snapshot()));
        records.extend(rest);
        assert_eq!((records, error), whole, "interrupted behind record {count}");
    }
    whole
}

/// The rows of a CSV file, and the lines of those that are bad.
fn rows(content: &[u8]) -> Vec<Result<(u32, String), u64>> {
    let mut all = FORMS.map(|form| {
        let (_folder, path) = form.in_folder("rows.csv", &form.file(content));
        let (records, error) = outcome(&files::csv::<Row>(&path).with_dead_letters());
        assert_eq!(error, None, "{form:?}");
        let row = |parsed| match parsed {
            Parsed::Good(Row { id, name }) => Ok((id, name)),
            Parsed::Bad(letter) => Err(letter.line),
        };
        records.into_iter().map(row).collect::<Vec<_>>()
    });
    for (form, of_form) in FORMS.iter().zip(&all) {
        assert_eq!(*of_form, all[0], "{form:?}");
    }
    std::mem::take(&mut all[0])
}

fn good(id: u32, name: &str) -> Result<(u32, String), u64> {
    Ok((id, name.to_owned()))
}

#[test]
fn line_ends_marks_and_quotes_of_every_kind() {
    let expected = [good(1, "a"), good(2, "b, c"), good(3, ""), good(4, "d")];
    for end in ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\r\r"] {
        for (mark, last) in [("", true), ("\u{feff}", true), ("\u{feff}", false)] {
            let lines = ["id,name", "1,a", "2,\"b, c\"", "3,\"\"", "\"4\",d"];
            let content = format!("{mark}{}{}", lines.join(end), if last { end } else { "" });
            assert_eq!(rows(content.as_bytes()), expected, "{content:?}");
        }
    }
    let quoted =
        "id,name\r\n1,\"a\r\nb\"\r\n2,\"c\rd\"\r\n3,\"e\nf\"\r\n4,\"g\"\"h\"\r\n5,5\" pipe\r\n";
    let inside = ["a\r\nb", "c\rd", "e\nf", "g\"h", "5\" pipe"];
    let expected = (1..).zip(inside).map(|(id, name)| good(id, name)).collect::<Vec<_>>();
    assert_eq!(rows(quoted.as_bytes()), expected);
}

#[test]
fn zeros_and_texts_in_another_encoding() {
    let zeros = b"id,name\n1,\0\n2,a\0b\n3,\"\0\n\0\"\n";
    assert_eq!(rows(zeros), [good(1, "\0"), good(2, "a\0b"), good(3, "\0\n\0")]);
    // Latin-1 is no UTF-8: bad are the rows in which it shows, and no others.
    let latin = b"id,name\n1,caf\xe9\n2,tea\n3,\"na\xefve\n\"\n4,caff\xc3\xa8\n5,\xff\n";
    assert_eq!(rows(latin), [Err(2), good(2, "tea"), Err(4), good(4, "caffè"), Err(7)]);
}

#[test]
fn lines_of_text_whatever_is_in_them() {
    let content = b"one\r\n\0\n\ntw\0o\rthree\n caf\xc3\xa9\n\xff\nlast";
    for form in FORMS {
        let (_folder, path) = form.in_folder("lines.txt", &form.file(content));
        let (records, error) = outcome(&files::text(&path).with_dead_letters());
        assert_eq!(error, None, "{form:?}");
        let line = |parsed| match parsed {
            Parsed::Good(line) => Ok::<String, u64>(line),
            Parsed::Bad(letter) => Err(letter.line),
        };
        let lines = records.into_iter().map(line).collect::<Vec<_>>();
        let text = |text: &str| Ok(text.to_owned());
        let expected = [
            text("one"),
            text("\0"),
            text(""),
            text("tw\0o\rthree"),
            text(" café"),
            Err(6),
            text("last"),
        ];
        assert_eq!(lines, expected, "{form:?}");
    }
}

#[test]
fn a_file_that_is_cut_or_goes_on_with_junk_is_read_up_to_there_from_anywhere() {
    let lines = (0..40_u64).map(|number| format!("line {}", number * number)).collect::<Vec<_>>();
    let content = lines.join("\n");
    for form in FORMS.into_iter().skip(1) {
        let whole = form.file(content.as_bytes());
        let last = form.compression.compress(b"the last piece");
        let cut = [&whole[..], &last[..last.len() - 3]].concat();
        let cut_early = whole[..whole.len() - 9].to_vec();
        let junk = [&whole[..], b"and some junk"].concat();
        let short_junk = [&whole[..], b"x"].concat();
        for (what, file) in
            [("cut", cut), ("cut early", cut_early), ("junk", junk), ("a byte", short_junk)]
        {
            let (_folder, path) = form.in_folder("lines.txt", &file);
            let (records, error) = outcome(&files::text(&path));
            let error = error.unwrap_or_default();
            let expected = format!("`{path}` is truncated or corrupt at byte ");
            assert!(error.starts_with(&expected), "{form:?}, {what}: {error:?}");
            assert!(lines.starts_with(&records), "{form:?}, {what}: a wrong record");
        }
    }
}

#[test]
fn a_quote_that_is_not_closed_within_the_longest_record_takes_no_more_than_its_line() {
    // As many long lines behind it as make up more than that.
    let line = |id: u32| format!("{id},{}\n", "y".repeat(1_000_000));
    let lines = files::MAX_RECORD_BYTES as u32 / 1_000_000 + 2;
    let content = format!("id,name\n1,\"open\n{}", (2..2 + lines).map(line).collect::<String>());
    let (_folder, path) = FORMS[0].in_folder("rows.csv", content.as_bytes());
    let source = files::csv::<Row>(&path).on_bad_record(BadRecords::Skip);
    let skipped = source.skipped();
    let mut job = SourceJob::start(&source, 1, &[]).expect("it starts");
    let rows = job.read(usize::MAX, 10).expect("it is read");
    assert_eq!((rows.len() as u32, skipped.count()), (lines, 1));
    assert!((2..).zip(&rows).all(|(id, row)| row.id == id && row.name.len() == 1_000_000));
}

/// 65 MB, which is less than a record may have.
const LARGE: usize = 65_000_000;

#[test]
fn a_field_may_be_very_long() {
    let mut content = b"id,name\n1,a\n2,\"".to_vec();
    content.resize(content.len() + LARGE, b'x');
    content.extend(b"\"\n3,c\n");
    let form = FORMS[0];
    let (_folder, path) = form.in_folder("rows.csv", &content);
    let source = files::csv::<Row>(&path);
    let mut job = SourceJob::start(&source, 1, &[]).expect("it starts");
    assert_eq!(job.read(1, 1).expect("it is read"), [Row { id: 1, name: "a".to_owned() }]);
    let mut job = SourceJob::start(&source, 1, &job.snapshot()).expect("it goes on");
    let large = job.read(1, 1).expect("it is read").remove(0);
    assert!(large.id == 2 && large.name.len() == LARGE, "{} bytes", large.name.len());
    let mut job = SourceJob::start(&source, 1, &job.snapshot()).expect("it goes on");
    let rest = job.read(usize::MAX, 10).expect("it is read");
    assert_eq!(rest, [Row { id: 3, name: "c".to_owned() }]);
}
