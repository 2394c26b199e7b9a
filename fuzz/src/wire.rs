//! Values in the native form, by a description of their type: the first line describes it, and the
//! rest is the value.
//!
//! What goes over a value, what walks through it and what reads it as another type agree on where
//! it ends, and what is walked through is written the same.

use std::cell::Cell;

use serde::de::IgnoredAny;
use serde_json::Value;
use tidegate_canonical::json::to_json;
use tidegate_snapshot::{
    codec,
    described::{Described, Type},
    manifest::StateDescription,
    segment::KeyedSegmentReader,
    wire::{Walk, decode_as, skip},
};

use crate::{Target, snapshots};

/// The target.
pub const TARGET: Target = Target { name: "wire", feed, seeds, room: 512 << 20 };

/// How many entries of each state become seeds.
const ENTRIES: u64 = 3;

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = [
        "Node { next: Option<Node>, of: u8 }\n\x01\x01\x00\x02\x01",
        "Event { Opened | Moved(i32, i32) | Renamed { to: String } }\n\x02\x02ab",
        "List<()>\n\x03",
        "(char, [u16; 3], Map<String, Option<f32>>)\n\x01a\x01\x02\x03\x01\x01b\x00",
        "\"a \\\"name\\\"\" { Bytes: Bytes, i: i128, f: f64 }\n\x02xy\x0012345678",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec();
    for (manifest, loaded) in snapshots::good() {
        for operator in manifest.operators.values() {
            let Some(key_type) = &operator.key_type else { continue };
            let keyed = operator.subtasks.iter().filter_map(|subtask| subtask.keyed.as_ref());
            for bytes in keyed.filter_map(|keyed| loaded.segment(&keyed.segment).ok()) {
                let Ok(segment) = KeyedSegmentReader::open(bytes) else { continue };
                let states = operator.states.iter().filter(|state| state.ttl_ms.is_none());
                seeds.extend(states.flat_map(|state| entries(&segment, key_type, state)));
            }
        }
    }
    seeds
}

/// Some entries of a state, each as a pair of key and value.
fn entries(segment: &KeyedSegmentReader, key_type: &str, state: &StateDescription) -> Vec<Vec<u8>> {
    let notation = format!("({key_type}, {})", state.value_type);
    let of = Described::parse(&notation);
    let mut entries = Vec::new();
    for block in segment.blocks_in(segment.groups()).filter(|block| block.state == state.id) {
        let mut rest = block.bytes;
        for _ in 0..block.entries.min(ENTRIES) {
            let before = rest;
            if skip(&mut rest, &of.root, &of.definitions).is_ok() {
                let entry = &before[..before.len() - rest.len()];
                entries.push([notation.as_bytes(), b"\n", entry].concat());
            }
        }
    }
    entries.truncate(ENTRIES as usize);
    entries
}

fn feed(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let Ok(notation) = std::str::from_utf8(&input[..line]) else { return };
    let bytes = input.get(line + 1..).unwrap_or_default();
    let of = Described::parse(notation);
    let skipped = behind(bytes, |rest| skip(rest, &of.root, &of.definitions));
    let walked = written(&of, bytes);
    assert_eq!(walked.as_ref().map(|(taken, _)| *taken), skipped, "walked and skipped");
    let ignored = behind(bytes, |rest| decode_as::<IgnoredAny>(&of, rest));
    assert_eq!(ignored, skipped, "ignored and skipped");
    let _ = behind(bytes, |rest| decode_as::<Value>(&of, rest));
    let _ = to_json(&of, bytes);
    let Some((taken, value)) = walked else { return };
    let again = written(&of, &value).expect("what was written is read");
    assert_eq!(again, (value.len(), value), "written twice");
    to_json(&of, &bytes[..taken]).expect("what can be walked through can be shown");
}

/// How many bytes something takes from the front, if it can.
fn behind<T, E>(bytes: &[u8], take: impl FnOnce(&mut &[u8]) -> Result<T, E>) -> Option<usize> {
    let mut rest = bytes;
    take(&mut rest).ok()?;
    Some(bytes.len() - rest.len())
}

/// How many bytes a value has, and what comes of writing it again.
fn written(of: &Described, bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    if matches!(of.root, Type::Opaque(_)) {
        return None;
    }
    let (rest, mut out) = (Cell::new(bytes), Vec::new());
    codec::encode(&Walk::new(of, &rest), &mut out).ok()?;
    Some((bytes.len() - rest.get().len(), out))
}
