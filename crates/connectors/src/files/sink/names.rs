//! What the files of a sink are called.

use tidegate_core::SinkContext;
use tidegate_types::KeyHash;

/// A sink's identity over all attempts and parallelisms: its job and its uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) u64);

pub(super) fn owner(context: &SinkContext) -> Owner {
    Owner(KeyHash::of(&(context.job, &context.uid)).0)
}

/// Makes the names of one subtask's files in one attempt.
pub(super) struct Names {
    owner: Owner,
    subtask: u32,
    token: u64,
    extension: &'static str,
    counter: u64,
}

/// A file's names as it goes through its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartNames {
    pub(super) in_progress: String,
    pub(super) pending: String,
    pub(super) finished: String,
}

impl Names {
    pub(super) fn new(context: &SinkContext, extension: &'static str) -> Self {
        Self {
            owner: owner(context),
            subtask: context.subtask.get(),
            token: context.attempt_token,
            extension,
            counter: 0,
        }
    }

    /// The names of the next file.
    pub(super) fn next(&mut self) -> PartNames {
        let Self { owner: Owner(owner), subtask, token, extension, counter } = self;
        let finished = format!("part-{subtask}-{token:016x}-{counter}.{extension}");
        *counter += 1;
        PartNames {
            in_progress: format!(".{finished}.{owner:016x}.inprogress"),
            pending: format!(".{finished}.{owner:016x}.pending"),
            finished,
        }
    }
}

/// The owner and the attempt's token in the name of a file that is not finished, `None` for every
/// other name.
pub(super) fn unfinished(name: &str) -> Option<(Owner, u64)> {
    let hidden = name.strip_prefix('.')?;
    let hidden = hidden.strip_suffix(".inprogress").or_else(|| hidden.strip_suffix(".pending"))?;
    let (finished, owner) = hidden.rsplit_once('.')?;
    let mut parts = finished.strip_prefix("part-")?.splitn(3, '-');
    let _subtask: u32 = parts.next()?.parse().ok()?;
    let token = hex(parts.next()?)?;
    parts.next()?;
    Some((Owner(hex(owner)?), token))
}

fn hex(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_files_are_told_from_all_others() {
        let mut names =
            Names { owner: Owner(0xab), subtask: 3, token: 7, extension: "jsonl", counter: 12 };
        let part = names.next();
        assert_eq!(part.finished, "part-3-0000000000000007-12.jsonl");
        let expected = ".part-3-0000000000000007-12.jsonl.00000000000000ab.pending";
        assert_eq!(part.pending, expected);
        assert_eq!(unfinished(&part.pending), Some((Owner(0xab), 7)));
        assert_eq!(unfinished(&part.in_progress), Some((Owner(0xab), 7)));
        assert_eq!(names.next().finished, "part-3-0000000000000007-13.jsonl");
        let others = [
            part.finished.as_str(),
            ".part-3-0000000000000007-12.jsonl.pending",
            ".part-3-7-12.jsonl.00000000000000ab.pending",
            ".part-x-0000000000000007-12.jsonl.00000000000000ab.pending",
            ".other.inprogress",
            "",
        ];
        assert_eq!(others.map(unfinished), [None; 6]);
    }
}
