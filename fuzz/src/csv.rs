//! CSV: the first byte chooses delimiter, header and null literal, the second how the content is
//! cut.
//!
//! Besides what holds for files of any format (`files`): what the `csv` crate reads of quotes that
//! make sense is what is read here.

use serde::{Deserialize, Serialize};
use tidegate_connectors::files::{Parsed, fuzzing};

use crate::{
    Target,
    files::{Read, read_in_every_way},
};

/// The target.
pub const TARGET: Target = Target { name: "csv", feed, seeds, room: 16 << 20 };

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b' '];
const HEADER: u8 = 4;
const NULLS: u8 = 8;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A record by names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    id: i32,
    name: String,
    #[serde(default)]
    delay: Option<i64>,
}

/// A record by places.
type Fields = Vec<String>;

fn seeds() -> Vec<Vec<u8>> {
    let named = HEADER | NULLS;
    let seeds: [(u8, u8, &str); 8] = [
        (0, 3, "1,one\n2,two\r\n\n3,\"th,r\"\"ee\"\n"),
        (0, 1, "\u{feff}a,b\rc,d\r\n\r\ne,f"),
        (0, 7, "1,x\n2,\"open\n3,y\n4,z\n"),
        (0, 2, "\"a\"b,c\nd,e\n5\" pipe,x\n\"a\" ,b\n\"a\n,b\",c\n"),
        (named, 5, "id,name,delay\n1,one,-5\n2,two,NA\nx,three,\n4\n"),
        (named, 1, "name,id\n\"a\nb\",7\nc,8,9\n"),
        (named | 1, 4, "id;name;delay\n1;\"o;ne\";13\n"),
        (3, 4, "a \"b\" c\n\"d\" \"e\" f\n"),
    ];
    let joined = seeds.map(|(first, cut, text)| [&[first, cut], text.as_bytes()].concat());
    joined.to_vec()
}

fn feed(input: &[u8]) {
    let [first, cut, content @ ..] = input else { return };
    let delimiter = DELIMITERS[usize::from(first % 4)];
    let null = (first & NULLS != 0).then_some("NA");
    let cut = usize::from(*cut);
    if first & HEADER != 0 {
        read_in_every_way(&fuzzing::csv::<Named>(delimiter, true, null), content, cut);
        return;
    }
    let format = fuzzing::csv::<Fields>(delimiter, false, null);
    if let Some(read) = read_in_every_way(&format, content, cut).filter(|_| null.is_none()) {
        check_fields(&read, content, delimiter);
    }
}

/// Compares with the `csv` crate, where no quote is wrong.
fn check_fields(read: &Read<Fields>, content: &[u8], delimiter: u8) {
    let misquoted = |record: &Parsed<Fields>| match record {
        Parsed::Good(_) => false,
        Parsed::Bad(letter) => letter.message.contains("quote"),
    };
    if read.1.is_some() || read.0.iter().any(|(record, _)| misquoted(record)) {
        return;
    }
    let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(delimiter);
    // The crate drops a second mark.
    let padded = [b"\n", content].concat();
    let mut reader = reader.from_reader(padded.as_slice());
    let rows = reader.byte_records().map(|row| row.expect("memory can be read"));
    let rows = rows.collect::<Vec<_>>();
    assert_eq!(rows.len(), read.0.len(), "as many records");
    for (row, (record, _)) in rows.iter().zip(&read.0) {
        if let Parsed::Good(fields) = record {
            assert!(row.iter().eq(fields.iter().map(String::as_bytes)), "{row:?} {fields:?}");
        }
    }
}
