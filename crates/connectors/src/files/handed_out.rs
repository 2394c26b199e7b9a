//! Which lines of which files the records of the latest batch are from.
//!
//! Nothing is kept per record but what came with it from the pump.

use std::{ops::Range, rc::Rc};

use super::{discover::FileSplit, pump::RecordEnd};

/// How many files are named.
const NAMED: usize = 3;

/// Where the records of the latest batch are from, in their order.
#[derive(Default)]
pub(super) struct HandedOut(Vec<Piece>);

/// Records of one chunk.
struct Piece {
    /// The number of the file's split.
    split: usize,
    ends: Rc<Vec<RecordEnd>>,
    /// Which of those.
    records: Range<usize>,
}

/// Lines of one file, the first and the last.
#[derive(Debug, PartialEq)]
struct Lines {
    split: usize,
    first: u64,
    last: u64,
}

impl HandedOut {
    /// Another batch begins.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn add(&mut self, split: usize, ends: &Rc<Vec<RecordEnd>>, records: Range<usize>) {
        self.0.push(Piece { split, ends: Rc::clone(ends), records });
    }

    /// In words, those of the batch's records; `None` if there are none.
    pub(super) fn origin(&self, splits: &[FileSplit], records: Range<usize>) -> Option<String> {
        let lines = self.lines(records);
        let mut words = lines.iter().take(NAMED).map(|lines| lines.of(&splits[lines.split].path));
        let mut text = words.next()?;
        words.for_each(|more| text.push_str(&format!(" and of {more}")));
        match lines.len().saturating_sub(NAMED) {
            0 => {}
            more => text.push_str(&format!(" and of {more} more files")),
        }
        Some(text)
    }

    fn lines(&self, records: Range<usize>) -> Vec<Lines> {
        let mut all: Vec<Lines> = Vec::new();
        let mut before = 0;
        for Piece { split, ends, records: piece } in &self.0 {
            let count = piece.len();
            let from = records.start.saturating_sub(before).min(count);
            let to = records.end.saturating_sub(before).min(count);
            before += count;
            let Some(ends) = ends.get(piece.start + from..piece.start + to) else { continue };
            let (Some(first), Some(last)) = (ends.first(), ends.last()) else { continue };
            match all.last_mut() {
                Some(same) if same.split == *split => same.last = last.line,
                _ => all.push(Lines { split: *split, first: first.line, last: last.line }),
            }
        }
        all
    }
}

impl Lines {
    fn of(&self, path: &str) -> String {
        let Self { first, last, .. } = self;
        match first == last {
            true => format!("{path} line {first}"),
            false => format!("{path}, lines {first} to {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_over_chunks_and_files() {
        let ends = |lines: &[u64]| {
            let end = |line: &u64| RecordEnd { line: *line, byte: 0, line_feeds: 0 };
            Rc::new(lines.iter().map(end).collect::<Vec<_>>())
        };
        let mut out = HandedOut::default();
        assert_eq!(out.lines(0..0), []);
        out.add(0, &ends(&[1, 2, 5, 9]), 2..4);
        out.add(0, &ends(&[12, 13]), 0..2);
        out.add(1, &ends(&[1]), 0..1);
        let lines = |split, first, last| Lines { split, first, last };
        assert_eq!(out.lines(0..5), [lines(0, 5, 13), lines(1, 1, 1)]);
        let exact = |index| out.lines(index..index + 1);
        assert_eq!([exact(0), exact(1)], [[lines(0, 5, 5)], [lines(0, 9, 9)]]);
        assert_eq!([exact(2), exact(3)], [[lines(0, 12, 12)], [lines(0, 13, 13)]]);
        assert_eq!(exact(4), [lines(1, 1, 1)]);
        assert_eq!(exact(5), []);
        assert_eq!(lines(0, 5, 13).of("a b.txt"), "a b.txt, lines 5 to 13");
        assert_eq!(lines(1, 1, 1).of("c.txt"), "c.txt line 1");
        out.clear();
        assert_eq!(out.lines(0..5), []);
    }
}
