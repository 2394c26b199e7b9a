//! What the files of a snapshot are called: each name carries the token of the attempt that writes
//! it, so that it can be told whose a file is before anything is deleted.

use tidegate_types::{ProcessIndex, SubtaskIndex};

use crate::manifest::METADATA;

/// What a process calls its file in a snapshot of native form.
#[must_use]
pub fn state_file(process: ProcessIndex, token: u64) -> String {
    format!("state-{process}-{token:016x}")
}

/// What a subtask calls the file of a state in a snapshot of canonical form; it lies two folders
/// down, in that of its operator and its state.
#[must_use]
pub fn table_file(subtask: SubtaskIndex, token: u64) -> String {
    format!("{subtask}-{token:016x}{TABLE}")
}

const TABLE: &str = ".parquet";

/// A name that we give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnName {
    /// A state file, with the token of who writes it.
    State(u64),
    /// A `_metadata` that was never finished.
    StagedMetadata,
}

/// Whether a file in a snapshot's folder has a name that we give, by its path in there.
///
/// A local store writes into `<name>#<number>` before it gives a file its name.
pub(super) fn own_name(parts: &[&str]) -> Option<OwnName> {
    let (file, folders) = parts.split_last()?;
    let (name, staged) = unstaged(file);
    match folders {
        [] if staged && name == METADATA => Some(OwnName::StagedMetadata),
        [] => token(name.strip_prefix("state-")?).map(OwnName::State),
        [_, _] => token(name.strip_suffix(TABLE)?).map(OwnName::State),
        _ => None,
    }
}

/// The name that a file is to have, and whether it does not have it yet.
pub(super) fn unstaged(file: &str) -> (&str, bool) {
    match file.rsplit_once('#') {
        Some((name, number)) if is_number(number) => (name, true),
        _ => (file, false),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The token in `<number>-<16 hexadecimal digits>`.
fn token(text: &str) -> Option<u64> {
    let (number, token) = text.split_once('-')?;
    let is_exact =
        token.len() == 16 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_number(number) && is_exact).then(|| u64::from_str_radix(token, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_ours_says_whose_it_is() {
        let token = 0x0123_4567_89ab_cdef;
        let state = state_file(ProcessIndex(12), token);
        let table = table_file(SubtaskIndex(3), token);
        let staged = [format!("{state}#1"), format!("{table}#12")];
        for parts in [
            vec![state.as_str()],
            vec![staged[0].as_str()],
            vec!["uid", "a state", &table],
            vec!["uid", "a state", &staged[1]],
        ] {
            assert_eq!(own_name(&parts), Some(OwnName::State(token)), "{parts:?}");
        }
        assert_eq!(own_name(&["_metadata#1"]), Some(OwnName::StagedMetadata));
    }

    #[test]
    fn a_name_of_a_strangers_is_none_of_ours() {
        let table = table_file(SubtaskIndex(3), 1);
        for parts in [
            vec!["_metadata"],
            vec!["state-0"],
            vec!["state-0-1"],
            vec!["state-0-000000000000000G"],
            vec!["state-0-00000000000000AB"],
            vec!["state--0000000000000001"],
            vec!["state-0-0000000000000001#"],
            vec!["state-0-0000000000000001.bak"],
            vec!["notes.txt"],
            vec![table.as_str()],
            vec!["uid", &table],
            vec!["uid", "state", "more", &table],
            vec!["uid", "state-0-0000000000000001"],
        ] {
            assert_eq!(own_name(&parts), None, "{parts:?}");
        }
    }
}
