//! Zstd files: if the first byte is 0 the rest as it is, else the rest in frames of so many bytes
//! each, which are read as what was written.
//!
//! Of damaged frames zstd itself makes one thing at once and another bit by bit, so that there is
//! nothing to compare with.

use tidegate_connectors::files::Text;

use crate::{
    Target,
    files::{assert_same, read_all},
};

/// The target. Decoders keep as much of the content as a frame says, 128 MiB at most; that memory
/// is not counted here but by libFuzzer, and by nobody until it is written.
pub const TARGET: Target = Target { name: "zstd", feed, seeds, room: 256 << 20 };

const MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// How many frames a file has, at most.
const FRAMES: usize = 16;

fn frame(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).expect("memory takes it")
}

fn seeds() -> Vec<Vec<u8>> {
    let long = "one line like another\n".repeat(100);
    let mut seeds = vec![b"\x03one\ntwo\r\n\nthree".to_vec(), [b"\xc8", long.as_bytes()].concat()];
    let as_they_are = [
        [frame(b"one\nt"), frame(b"wo\n")].concat(),
        frame(long.as_bytes()),
        // A frame that is passed over.
        [&b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"[..], b"\x50\x2a\x4d\x18\x01\0\0\0x"].concat(),
        frame(b"cut short")[..12].to_vec(),
    ];
    seeds.extend(as_they_are.iter().map(|file| [b"\0", file.as_slice()].concat()));
    seeds
}

fn feed(input: &[u8]) {
    match input {
        [] => {}
        [0, file @ ..] => {
            let rest = file.strip_prefix(MAGIC).unwrap_or(file);
            read_all(&Text, &[MAGIC, rest].concat());
        }
        [length, content @ ..] => {
            let length = usize::from(*length).max(content.len() / FRAMES + 1);
            let content = [b".", content].concat();
            let frames = content.chunks(length).map(frame).collect::<Vec<_>>();
            let (found, plain) = (read_all(&Text, &frames.concat()), read_all(&Text, &content));
            assert_same(&found, &plain, "compressed");
        }
    }
}
