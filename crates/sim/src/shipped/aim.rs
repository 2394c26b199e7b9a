//! Plays that aim at one pair of fault and operation: the operation is asked for more often, and while it
//! is under way something goes wrong, as it would have by chance in a thousand other plays.

use std::time::Duration;

use rand::RngExt;

use super::{
    coverage::{Activity, Fault},
    play::Play,
    scenario::{Operation, Without, operation},
    user::{From, Life},
};

/// What a play aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// What is to go wrong, more often than the rest.
    pub fault: Fault,
    /// What is to be under way meanwhile.
    pub activity: Activity,
}

/// How long it takes on average from one operation to the next.
const OPERATIONS: Duration = Duration::from_millis(120);
/// From when on all goes well, at the latest.
const CALM_FROM: Duration = Duration::from_secs(3);
/// In how many steps something goes wrong while what is aimed at is under way.
const STEPS: u32 = 12;
/// In how many, if it waits for a write, or needs one that is under way.
const STEPS_OF_WRITES: u32 = 3;

/// A machine of a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// That of the job's run.
    Run,
    /// That of somebody who is at something else.
    Errand(usize),
}

impl Play {
    /// Aims at that, from its beginning on.
    pub(super) fn aim_at(&mut self, aim: Aim) {
        self.note(|_| format!("{aim:?}"));
        let scenario = &mut self.scenario;
        scenario.operations = Some(OPERATIONS);
        // Who does not take over waits for 15 s whenever a machine is gone.
        scenario.take_over = true;
        scenario.calm_from = scenario.calm_from.min(CALM_FROM);
        scenario.leave_out(Without::Records);
        if aim.activity == Activity::Sweep {
            // All that is written lies in files of its own, which may be left.
            scenario.inline_threshold = 0;
            scenario.leave_out(Without::Processes);
        }
        self.aim = Some(aim);
        self.draw_times();
    }

    /// What is asked for next.
    pub(super) fn next_operation(&mut self) -> Operation {
        let aimed = self.aim.filter(|_| self.random.random_bool(0.7));
        let draw = |play: &mut Self, from: [Operation; 2]| from[play.random.random_range(0..2)];
        let canonical = aimed.is_some() && self.random.random_bool(0.3);
        match aimed.map(|aim| aim.activity) {
            None | Some(Activity::Submit) => operation(&mut self.random),
            Some(Activity::Checkpoint) => Operation::Checkpoint,
            Some(Activity::Savepoint) => Operation::Savepoint { canonical },
            Some(Activity::Stop | Activity::Claim) => Operation::Stop { drain: false },
            Some(Activity::Drain) => Operation::Stop { drain: true },
            Some(Activity::Cancel) => Operation::Cancel,
            Some(Activity::CancelWithSavepoint) => Operation::CancelWithSavepoint,
            Some(Activity::Restore | Activity::TakeOver) => Operation::TakeOver,
            Some(Activity::Rescale) => {
                draw(self, [Operation::TakeOver, Operation::Stop { drain: false }])
            }
            Some(Activity::Dispose) => {
                draw(self, [Operation::Dispose, Operation::Savepoint { canonical }])
            }
            // What there is to sweep comes of those that die meanwhile.
            Some(Activity::Sweep) => draw(self, [Operation::Sweep, Operation::Checkpoint]),
        }
    }

    /// Whether a play aims at that.
    pub(super) fn aims_at(&self, activity: Activity) -> bool {
        self.aim.is_some_and(|aim| aim.activity == activity)
    }

    /// Has something go wrong if what is aimed at is under way; tells whether it has.
    pub(super) fn hit_aim(&mut self, now: Duration) -> bool {
        let Some(aim) = self.aim else { return false };
        if aim.activity == Activity::Sweep && self.leaves_something() {
            let next = self.due_again(Some(From::Latest));
            if let Life::Runs(running) = &self.life {
                running.machine.line.hit_by_death();
            }
            self.note_at(self.running(), "KILL");
            self.end_life(next);
            self.sweep();
            return true;
        }
        let Some(site) = self.site_of(aim.activity) else { return false };
        let any = Fault::ALL[self.random.random_range(0..Fault::ALL.len())];
        let fault = if self.random.random_bool(0.6) { aim.fault } else { any };
        let steps = match fault {
            Fault::Kill | Fault::Pause | Fault::Cut | Fault::ClockStep => STEPS,
            Fault::WriteLost => STEPS_OF_WRITES,
            Fault::WriteFailed | Fault::WriteLate | Fault::WriteUnanswered => STEPS_OF_WRITES,
        };
        self.random.random_range(0..steps) == 0 && self.strike(site, fault, now)
    }

    /// Whether the run's machine dies now, and leaves something that no manifest reaches.
    fn leaves_something(&mut self) -> bool {
        let Life::Runs(running) = &self.life else { return false };
        let is_alone = running.followers.is_empty() && self.nobody_else_runs();
        is_alone
            && running.machine.line.watch.is_writing()
            && self.errands.is_empty()
            && self.store.has_leftovers()
            && self.random.random_range(0..STEPS_OF_WRITES) == 0
    }

    fn site_of(&self, activity: Activity) -> Option<Site> {
        let is_at = |line: &super::line::Line| line.watch.is_under_way(activity);
        if let Life::Runs(running) = &self.life
            && is_at(&running.machine.line)
        {
            return Some(Site::Run);
        }
        self.errands.iter().position(|errand| is_at(&errand.machine.line)).map(Site::Errand)
    }
}
