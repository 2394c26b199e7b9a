//! Gzip files of several members, with zeros between and behind them, whose trailers fit.
//!
//! An input is a sequence of parts: a byte that says what it is, two of its length, and so many
//! more. Where all parts make sense the content is theirs, one behind the other.

use std::io::Read;

use flate2::{Crc, read::DeflateDecoder};
use tidegate_connectors::files::Text;

use crate::{
    Target,
    files::{assert_same, member, read_all},
};

/// The target.
pub const TARGET: Target = Target { name: "gzip", feed, seeds, room: 64 << 20 };

/// How much may come out of a part.
const LONGEST: u64 = 1 << 20;

/// What a part is.
#[derive(Clone, Copy)]
enum Kind {
    /// A member with this content.
    Content,
    /// A member with this content in deflate's form.
    Deflated,
    /// The same, with a header that has every field: the first bytes are the extra field.
    FullHeader,
    /// So many zeros.
    Zeros,
    /// Bytes as they are.
    Raw,
}

const KINDS: [Kind; 5] = [Kind::Content, Kind::Deflated, Kind::FullHeader, Kind::Zeros, Kind::Raw];

fn part(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("seeds are short");
    [&[kind as u8], &length.to_le_bytes()[..], bytes].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    // A stored block, and one with fixed codes: `a` and a thousand times `a`.
    let stored = b"\x01\x05\x00\xfa\xffab\ncd";
    let fixed = b"\x4b\x4c\x1c\x05\xa3\x60\x14\x0c\x77\x00\x00";
    [
        vec![part(Kind::Content, b"one\ntwo\n")],
        vec![
            part(Kind::Content, b"one\nt"),
            part(Kind::Content, b"wo\n"),
            part(Kind::Zeros, &[0; 512]),
        ],
        vec![part(Kind::Deflated, stored), part(Kind::Content, b""), part(Kind::Deflated, fixed)],
        vec![part(Kind::FullHeader, &[b"\x02xy", &stored[..]].concat()), part(Kind::Zeros, &[0])],
        vec![part(Kind::Zeros, &[0; 3]), part(Kind::Content, b"x"), part(Kind::Raw, b"garbage")],
        vec![part(Kind::Raw, &member(b"cut short")[..20])],
    ]
    .map(|parts| parts.concat())
    .to_vec()
}

fn feed(input: &[u8]) {
    let (mut rest, mut file) = (input, Vec::new());
    let mut content = Some(Vec::new());
    while let [kind, low, high, bytes @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(bytes.len());
        let (bytes, behind) = bytes.split_at(length);
        rest = behind;
        let kind = KINDS[usize::from(*kind) % KINDS.len()];
        let (compressed, of_it) = made(kind, bytes);
        // What begins with zeros is no gzip file.
        let makes_sense = !(file.is_empty() && matches!(kind, Kind::Zeros));
        content =
            content.zip(of_it).filter(|_| makes_sense).map(|(all, more)| [all, more].concat());
        file.extend(compressed);
    }
    let read = read_all(&Text, &file);
    let Some(content) = content.filter(|_| !file.is_empty()) else { return };
    let plain = [&b"."[..], &content].concat();
    let with_mark = [member(b"."), file].concat();
    assert_same(&read_all(&Text, &with_mark), &read_all(&Text, &plain), "compressed");
    assert!(read.1.is_none(), "every member is whole: {:?}", read.1);
}

/// A part as it stands in the file, and its content if it has any that is known.
fn made(kind: Kind, bytes: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    match kind {
        Kind::Content => (member(bytes), Some(bytes.to_vec())),
        Kind::Deflated => deflated(b"\x1f\x8b\x08\x00\0\0\0\0\0\xff", bytes),
        Kind::FullHeader => {
            let (extra, body) = match bytes {
                [length, rest @ ..] => rest.split_at(usize::from(*length).min(rest.len())),
                [] => (bytes, bytes),
            };
            deflated(&full_header(extra), body)
        }
        Kind::Zeros => (vec![0; bytes.len()], Some(Vec::new())),
        Kind::Raw => (bytes.to_vec(), None),
    }
}

/// A header with an extra field, a name, a comment and a checksum of its own.
fn full_header(extra: &[u8]) -> Vec<u8> {
    let mut header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff".to_vec();
    let length = u16::try_from(extra.len()).unwrap_or(u16::MAX);
    header.extend([&length.to_le_bytes(), &extra[..usize::from(length)]].concat());
    header.extend(b"name\0comment\0");
    let mut checksum = Crc::new();
    checksum.update(&header);
    header.extend(&checksum.sum().to_le_bytes()[..2]);
    header
}

/// A member with a trailer that fits, if the body can be inflated.
fn deflated(header: &[u8], body: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut content, mut checksum) = (Vec::new(), Crc::new());
    let mut decoder = DeflateDecoder::new(body);
    let inflated = decoder.by_ref().take(LONGEST + 1).read_to_end(&mut content);
    let used = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
    if inflated.is_err() || content.len() as u64 > LONGEST {
        return ([header, body].concat(), None);
    }
    checksum.update(&content);
    let trailer = [checksum.sum().to_le_bytes(), checksum.amount().to_le_bytes()].concat();
    ([header, &body[..used.min(body.len())], &trailer].concat(), Some(content))
}
