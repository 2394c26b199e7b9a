//! What the files of a snapshot in canonical form are called.

use tidegate_snapshot::store::table_file;
use tidegate_types::{KeyHash, OperatorUid, SubtaskIndex};

/// How long a part of a path is at most, in bytes. Stores take 255 and more; what is longer is cut,
/// and ends in a hash of the whole name.
const LONGEST: usize = 120;

/// The path of a table: `token` tells attempts apart. It is what the manifest says that counts: a
/// name can't be made out of it again.
#[must_use]
pub fn table_path(uid: &OperatorUid, state: &str, subtask: SubtaskIndex, token: u64) -> String {
    format!("{}/{}/{}", escaped(uid.as_str()), escaped(state), table_file(subtask, token))
}

/// A name that every store takes, and in which nothing has a meaning of its own.
pub(crate) fn escaped(name: &str) -> String {
    let mut plain = String::new();
    for (place, byte) in name.bytes().enumerate() {
        let keeps = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_')
            || (byte == b'.' && place > 0);
        if keeps {
            plain.push(char::from(byte));
        } else {
            plain.push_str(&format!("+{byte:02X}"));
        }
    }
    if plain.len() > LONGEST {
        // A `+` is never followed by a letter beyond F, so that no other name is written like this.
        let hash = format!("+H{:016x}", KeyHash::of(name).0);
        plain.truncate(LONGEST - hash.len());
        plain.push_str(&hash);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_script_and_of_any_length_become_parts_of_paths() {
        assert_eq!(escaped("summarize-by_key.v2"), "summarize-by_key.v2");
        assert_eq!(escaped("../a b"), "+2E.+2Fa+20b");
        let chinese = "状".repeat(31);
        for name in [chinese.as_str(), &"x".repeat(10_000), &"🦀".repeat(300)] {
            let (short, other) = (escaped(name), escaped(&format!("{name}2")));
            assert!(short.len() <= LONGEST && short != other, "{short} {other}");
            assert!(short.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
        }
    }
}
