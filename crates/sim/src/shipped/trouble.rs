//! What goes wrong with whole machines: they die, stand still, reach nothing, and have their clocks set.

use std::time::Duration;

use rand::RngExt;

use super::{aim::Site, coverage::Fault, machine::Machine, play::Play, user::Life};

/// How far somebody sets a clock at most, in milliseconds. Who sweeps goes by the hour, and relies on
/// clocks that differ by less.
pub(super) const WALL: i64 = 3_000_000;

impl Play {
    /// Something goes wrong there; tells whether it does.
    pub(super) fn strike(&mut self, site: Site, fault: Fault, now: Duration) -> bool {
        match fault {
            Fault::WriteLost => {
                let is_writing = self.at(site).is_some_and(|it| it.line.watch.is_writing());
                is_writing && self.kill_at(site)
            }
            Fault::Kill => self.kill_at(site),
            Fault::Pause => self.freeze(site, now),
            Fault::Cut => self.cut(site, now),
            Fault::ClockStep => self.set_clocks(),
            Fault::WriteFailed | Fault::WriteLate | Fault::WriteUnanswered => {
                let Some(machine) = self.at(site) else { return false };
                machine.line.watch.doom(fault);
                false
            }
        }
    }

    /// A machine there: of a run any of its processes'.
    fn at(&mut self, site: Site) -> Option<&mut Machine> {
        match (site, &mut self.life) {
            (Site::Run, Life::Runs(running)) => {
                let mut all = running.machines_mut();
                let process = self.random.random_range(0..all.len());
                Some(all.swap_remove(process))
            }
            (Site::Run, _) => None,
            (Site::Errand(index), _) => {
                self.errands.get_mut(index).map(|errand| &mut errand.machine)
            }
        }
    }

    /// A machine that is there, by chance.
    pub(super) fn any_site(&mut self) -> Site {
        if self.errands.is_empty() || self.random.random_bool(0.5) {
            return Site::Run;
        }
        Site::Errand(self.random.random_range(0..self.errands.len()))
    }

    /// It dies.
    pub(super) fn kill_at(&mut self, site: Site) -> bool {
        match site {
            Site::Run => self.kill(),
            Site::Errand(index) => self.kill_errand(index),
        }
        true
    }

    /// How long a machine is out of order at most, in milliseconds.
    fn longest(&self) -> u64 {
        // What aims at something comes to it more often that way.
        if self.aim.is_some() { 1_500 } else { 8_000 }
    }

    /// It stands still for a while, as one that swaps, or that somebody has suspended.
    pub(super) fn freeze(&mut self, site: Site, now: Duration) -> bool {
        let longest = self.longest();
        let millis = self.random.random_range(100..longest);
        let Some(machine) = self.at(site) else { return false };
        machine.freeze(now + Duration::from_millis(millis));
        machine.line.watch.hit(Fault::Pause);
        let number = machine.line.number;
        self.note_at(Some(number), &format!("frozen for {millis} ms"));
        true
    }

    /// Nothing goes from it to the outside, or back, for a while.
    pub(super) fn cut(&mut self, site: Site, now: Duration) -> bool {
        let longest = self.longest();
        let millis = self.random.random_range(10..longest);
        let connections = self.net.connections();
        if site == Site::Run && connections > 0 && self.random.random_bool(0.5) {
            let cut = self.net.cut(self.random.random_range(0..connections));
            let Some(machine) = self.at(site) else { return false };
            machine.line.watch.hit(Fault::Cut);
            self.note(|_| format!("{cut} is cut"));
            return true;
        }
        let Some(machine) = self.at(site) else { return false };
        let line = &machine.line;
        line.cut(now + Duration::from_millis(millis));
        line.watch.hit(Fault::Cut);
        let number = line.number;
        self.note_at(Some(number), &format!("cut off for {millis} ms"));
        true
    }

    /// Somebody sets the clocks on the wall.
    pub(super) fn set_clocks(&mut self) -> bool {
        let millis = self.random.random_range(-WALL..WALL);
        self.clock.set_wall(millis);
        let current = match &self.life {
            Life::Runs(running) => Some(&running.machine),
            Life::Due(..) | Life::Over(_) => None,
        };
        let others = self.superseded.iter().map(|running| &running.machine);
        let all = others.chain(self.errands.iter().map(|errand| &errand.machine)).chain(current);
        all.for_each(|machine| machine.line.watch.hit(Fault::ClockStep));
        self.note(|_| format!("clocks {millis} ms off"));
        true
    }
}
