//! What happened, in order: a line for each event, and a column for each machine that is there.
//!
//! ```text
//!   189.277 *    start 2 from Some(Latest) at parallelism 3
//!   201.002 | *  Sweep { all: false }
//!   203.340 * |  checkpoints/…/chk-2/_metadata written
//! ```

use std::{fmt::Write, time::Duration};

/// The number of a machine of a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MachineNumber(pub(crate) u64);

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Picture {
    lines: String,
    /// Whose columns there are; those of machines that are gone are given to others.
    columns: Vec<Option<MachineNumber>>,
}

impl Picture {
    /// A machine is switched on.
    pub(super) fn begin(&mut self, machine: MachineNumber) {
        match self.columns.iter_mut().find(|column| column.is_none()) {
            Some(free) => *free = Some(machine),
            None => self.columns.push(Some(machine)),
        }
    }

    /// It is gone.
    pub(super) fn end(&mut self, machine: MachineNumber) {
        for column in self.columns.iter_mut().filter(|column| **column == Some(machine)) {
            *column = None;
        }
    }

    /// Something happens, on a machine or beside all.
    pub(super) fn event(&mut self, time: Duration, on: Option<MachineNumber>, text: &str) {
        let millis = time.as_secs_f64() * 1_000.0;
        write!(self.lines, "{millis:>12.3} ").expect("a string takes everything");
        for column in &self.columns {
            self.lines.push_str(match column {
                Some(_) if *column == on => "* ",
                Some(_) => "| ",
                None => "  ",
            });
        }
        self.lines.push(' ');
        self.lines.push_str(text);
        self.lines.push('\n');
    }

    pub(super) fn into_lines(self) -> String {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_keeps_its_column_and_another_gets_it_then() {
        let mut picture = Picture::default();
        let [first, second, third] = [1, 2, 3].map(MachineNumber);
        picture.begin(first);
        picture.begin(second);
        picture.event(Duration::from_millis(1), Some(second), "a");
        picture.end(first);
        picture.event(Duration::from_millis(2), None, "b");
        picture.begin(third);
        picture.event(Duration::from_millis(3), Some(third), "c");
        let lines = picture.into_lines();
        let shown = lines.lines().map(|line| &line[13..]).collect::<Vec<_>>();
        assert_eq!(shown, ["| *  a", "  |  b", "* |  c"]);
    }
}
