//! What must hold for files of any format, however their bytes reach the reader.

use std::{
    cell::RefCell,
    fmt::Debug,
    io::{Seek, Write},
};

use flate2::Crc;
use tempfile::NamedTempFile;
use tidegate_connectors::files::{
    FileError, FileSplit, Format,
    fuzzing::{Placed, beginning, read},
};

/// What compressed files begin with.
const MAGICS: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// How many records a file is taken up behind, at most.
const RESUMES: usize = 3;
/// How many pieces a file is cut into, at most.
const PIECES: usize = 64;

thread_local! {
    static FILE: RefCell<NamedTempFile> =
        RefCell::new(NamedTempFile::new().expect("a file can be made"));
}

/// The records of a file, each with the position behind it, and the error that they end with.
pub(crate) type Read<T> = (Vec<Placed<T>>, Option<FileError>);

/// Reads a file of this content, compressed or not, from a position on.
pub(crate) fn read_from<F: Format>(
    format: &F,
    content: &[u8],
    from: impl FnOnce(&str) -> FileSplit,
) -> Read<F::Item> {
    FILE.with(|file| {
        let mut file = file.borrow_mut();
        // One that is cut off and closed again and again some file systems write to the disk each
        // time.
        let length = content.len() as u64;
        let written = file.rewind().and_then(|()| file.write_all(content));
        written.and_then(|()| file.as_file().set_len(length)).expect("a file can be written");
        let path = file.path().to_str().expect("temporary files have plain names");
        read(format, &from(path))
    })
}

/// As [`read_from`], from the beginning.
pub(crate) fn read_all<F: Format>(format: &F, content: &[u8]) -> Read<F::Item> {
    read_from(format, content, beginning)
}

/// A member of a gzip file, or several if the content is long: it is kept as it is.
pub(crate) fn member(content: &[u8]) -> Vec<u8> {
    let (block, rest) = content.split_at(content.len().min(usize::from(u16::MAX)));
    let length = block.len() as u16;
    let mut checksum = Crc::new();
    checksum.update(block);
    let mut member = b"\x1f\x8b\x08\x00\0\0\0\0\0\xff\x01".to_vec();
    member.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    member.extend(block);
    member.extend([checksum.sum().to_le_bytes(), checksum.amount().to_le_bytes()].concat());
    if !rest.is_empty() {
        member.extend(self::member(rest));
    }
    member
}

/// Checks that a file's records depend neither on how its bytes are cut (a reader gets the content
/// of one gzip member at a time), nor on where reading is taken up.
///
/// `None` if the content looks compressed itself.
pub(crate) fn read_in_every_way<F: Format<Item: PartialEq + Debug>>(
    format: &F,
    content: &[u8],
    cut: usize,
) -> Option<Read<F::Item>> {
    if MAGICS.iter().any(|magic| content.starts_with(magic)) {
        return None;
    }
    let whole = read_all(format, content);
    let cut = cut.max(content.len() / PIECES + 1);
    let members = content.chunks(cut).map(member).collect::<Vec<_>>().concat();
    let in_pieces = if members.is_empty() { member(&[]) } else { members };
    assert_same(&read_all(format, &in_pieces), &whole, "cut to pieces");
    let step = whole.0.len().div_ceil(RESUMES).max(1);
    for behind in (1..=whole.0.len()).step_by(step) {
        let rest = (whole.0[behind..].to_vec(), whole.1.clone());
        let from = |_: &str| whole.0[behind - 1].1.clone();
        assert_same(&read_from(format, content, from), &rest, "taken up");
        assert_same(&read_from(format, &in_pieces, from), &rest, "taken up in pieces");
    }
    Some(whole)
}

/// Compares what was read in two ways.
pub(crate) fn assert_same<T: PartialEq + Debug>(found: &Read<T>, expected: &Read<T>, how: &str) {
    assert_eq!(found.0, expected.0, "{how}");
    let words = |read: &Read<T>| read.1.as_ref().map(ToString::to_string);
    assert_eq!(words(found), words(expected), "{how}");
}
