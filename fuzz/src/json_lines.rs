//! JSON lines and plain text: the first byte says which, and how the content is cut.
//!
//! Besides what holds for files of any format (`files`): text is what lies between line feeds.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_connectors::files::{JsonLines, Parsed, Text};

use crate::{Target, files::read_in_every_way};

/// The target.
pub const TARGET: Target = Target { name: "json_lines", feed, seeds, room: 16 << 20 };

const JSON: u8 = 0x80;

/// A record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    items: Vec<Option<String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn seeds() -> Vec<Vec<u8>> {
    let seeds: [(u8, &str); 4] = [
        (
            JSON | 3,
            "{\"id\":1,\"items\":[\"a\",null]}\n\n{\"id\":2,\"items\":[],\"x\":{\"y\":[1.5e3]}}",
        ),
        (
            JSON | 1,
            "\u{feff}{\"id\":1,\"items\":[\"\\u00fc\\ud83d\\ude00\"]}\r\n  \r\n{\"id\":-1}\r\n",
        ),
        (JSON | 9, "[1,2\nnull\n\"x\"\n{\"id\":18446744073709551616,\"items\":[]}\n"),
        (2, "a line\r\nanother\r\r\n\n\u{fc}ber"),
    ];
    seeds.map(|(cut, text)| [&[cut], text.as_bytes()].concat()).to_vec()
}

fn feed(input: &[u8]) {
    let Some((cut, content)) = input.split_first() else { return };
    let (is_json, cut) = (cut & JSON != 0, usize::from(cut & !JSON));
    if is_json {
        read_in_every_way(&JsonLines::<Order>::default(), content, cut);
        return;
    }
    let Some((lines, error)) = read_in_every_way(&Text, content, cut) else { return };
    assert!(error.is_none(), "any text can be read: {error:?}");
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let whole = content.strip_suffix(b"\n").unwrap_or(content);
    let expected = whole.split(|byte| *byte == b'\n');
    let expected = expected.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let expected = expected.filter(|_| !content.is_empty()).collect::<Vec<_>>();
    assert_eq!(lines.len(), expected.len(), "as many lines");
    for ((line, _), expected) in lines.iter().zip(expected) {
        match line {
            Parsed::Good(line) => assert_eq!(line.as_bytes(), expected),
            Parsed::Bad(_) => assert!(std::str::from_utf8(expected).is_err(), "it is a text"),
        }
    }
}
