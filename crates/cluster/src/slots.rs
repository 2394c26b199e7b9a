//! Who has which slots: pure decisions, no clock, no network (Flink's SlotManager).
//!
//! A slot takes one subtask of every operator of a job: a Timely worker. The processes of an attempt
//! have as many workers each, since Timely wants it so.
//!
//! # Invariants
//!
//! - INV-FREE: no TaskManager ever has more slots taken than it has.
//! - INV-LEASE: slots are free again only when their lease is returned, or their TaskManager is gone:
//!   a process that may still run keeps its slots.

use std::collections::BTreeMap;

use tidegate_types::{JobId, Parallelism};

use crate::dispatcher::TaskManagerId;

/// Tells leases apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LeaseId(u64);

/// A process that an attempt is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) manager: TaskManagerId,
    /// How many workers it has, and slots it takes.
    pub(crate) threads: u32,
}

/// The slots of one TaskManager.
#[derive(Debug, Default)]
struct Manager {
    slots: u32,
    /// By lease, whose they are and how many.
    taken: BTreeMap<LeaseId, (JobId, u32)>,
    /// It is about to end: what is given back is not taken again.
    leaving: bool,
}

impl Manager {
    fn taken(&self) -> u32 {
        self.taken.values().map(|(_, count)| count).sum()
    }

    /// How many it has, as long as it stays.
    fn count(&self) -> u32 {
        if self.leaving { self.taken() } else { self.slots }
    }

    fn free(&self) -> u32 {
        self.count() - self.taken()
    }
}

/// All slots of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    managers: BTreeMap<TaskManagerId, Manager>,
    next_lease: u64,
}

impl Slots {
    /// A TaskManager has come, or come back: what runs there from before has ended.
    pub(crate) fn add(&mut self, manager: TaskManagerId, slots: u32) {
        self.managers.insert(manager, Manager { slots, taken: BTreeMap::new(), leaving: false });
    }

    /// A TaskManager is about to end: its slots go as they are given back.
    pub(crate) fn leave(&mut self, manager: &TaskManagerId) {
        if let Some(manager) = self.managers.get_mut(manager) {
            manager.leaving = true;
        }
    }

    /// Whether a TaskManager is about to end.
    pub(crate) fn is_leaving(&self, manager: &TaskManagerId) -> bool {
        self.managers.get(manager).is_some_and(|manager| manager.leaving)
    }

    /// A TaskManager is gone, and all that ran there with it.
    pub(crate) fn remove(&mut self, manager: &TaskManagerId) {
        self.managers.remove(manager);
    }

    /// How many slots there are, and how many of them are free.
    pub(crate) fn count(&self) -> (u32, u32) {
        self.managers
            .values()
            .fold((0, 0), |(all, free), manager| (all + manager.count(), free + manager.free()))
    }

    /// How many slots of a TaskManager are free, and how many each job has there.
    pub(crate) fn of(&self, manager: &TaskManagerId) -> (u32, BTreeMap<JobId, u32>) {
        let Some(manager) = self.managers.get(manager) else { return (0, BTreeMap::new()) };
        let mut jobs = BTreeMap::new();
        for (job, count) in manager.taken.values() {
            *jobs.entry(*job).or_default() += count;
        }
        (manager.free(), jobs)
    }

    /// Takes as many slots as `parallelism`, with as few processes as there can be; `None` if
    /// there are too few.
    pub(crate) fn take(
        &mut self,
        job: JobId,
        parallelism: Parallelism,
    ) -> Option<(LeaseId, Vec<Placement>)> {
        let placements = self.place(parallelism.get())?;
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        for placement in &placements {
            let manager = self.managers.get_mut(&placement.manager)?;
            manager.taken.entry(lease).or_insert((job, 0)).1 += placement.threads;
        }
        Some((lease, placements))
    }

    /// Gives back what a lease has taken.
    pub(crate) fn give_back(&mut self, lease: LeaseId) {
        for manager in self.managers.values_mut() {
            manager.taken.remove(&lease);
        }
    }

    fn place(&self, parallelism: u32) -> Option<Vec<Placement>> {
        (1..=parallelism)
            .rev()
            .filter(|threads| parallelism.is_multiple_of(*threads))
            .find_map(|threads| self.place_with(threads, parallelism / threads))
    }

    /// Places so many processes of `threads` workers each, on the emptiest TaskManagers first.
    fn place_with(&self, threads: u32, processes: u32) -> Option<Vec<Placement>> {
        let mut free =
            self.managers.iter().map(|(id, manager)| (manager.free(), id)).collect::<Vec<_>>();
        free.sort_by_key(|(free, _)| std::cmp::Reverse(*free));
        let mut placements = Vec::new();
        for (free, manager) in free {
            let here = (free / threads).min(processes - placements.len() as u32);
            let placement = Placement { manager: manager.clone(), threads };
            placements.extend(std::iter::repeat_n(placement, here as usize));
        }
        (placements.len() as u32 == processes).then_some(placements)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> TaskManagerId {
        TaskManagerId(format!("tm-{number}"))
    }

    fn parallelism(count: u32) -> Parallelism {
        Parallelism::new(count).expect("in bounds")
    }

    fn threads(placements: &[Placement]) -> Vec<u32> {
        placements.iter().map(|placement| placement.threads).collect()
    }

    #[test]
    fn an_attempt_has_as_few_processes_as_there_can_be() {
        let mut slots = Slots::default();
        for (number, count) in [(0, 2), (1, 2), (2, 1)] {
            slots.add(id(number), count);
        }
        let job = JobId::from_name("a");
        assert_eq!(slots.take(job, parallelism(6)), None);
        let (lease, placements) = slots.take(job, parallelism(4)).expect("two have two each");
        assert_eq!(threads(&placements), [2, 2]);
        slots.give_back(lease);
        let (_, placements) = slots.take(job, parallelism(5)).expect("five in all");
        assert_eq!(threads(&placements), [1; 5]);
        assert_eq!(slots.count(), (5, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, u32),
        Remove(u8),
        Leave(u8),
        Take(u32),
        GiveBack(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_u8, 1..5_u32).prop_map(|(manager, slots)| Step::Add(manager, slots)),
            (0..4_u8).prop_map(Step::Remove),
            (0..4_u8).prop_map(Step::Leave),
            (1..9_u32).prop_map(Step::Take),
            any::<usize>().prop_map(Step::GiveBack),
        ]
    }

    proptest! {
        #[test]
        fn no_slot_is_taken_twice_and_none_is_lost(steps in prop::collection::vec(step(), 0..60)) {
            let mut slots = Slots::default();
            let mut leases = Vec::new();
            for step in steps {
                match step {
                    Step::Add(manager, count) => slots.add(id(manager), count),
                    Step::Remove(manager) => slots.remove(&id(manager)),
                    Step::Leave(manager) => slots.leave(&id(manager)),
                    Step::Take(count) => {
                        let (_, free) = slots.count();
                        let taken = slots.take(JobId::from_name("a"), parallelism(count));
                        prop_assert_eq!(taken.is_some(), count <= free, "one thread each always fits");
                        for placement in taken.iter().flat_map(|(_, placements)| placements) {
                            prop_assert!(!slots.is_leaving(&placement.manager), "on one that leaves");
                        }
                        leases.extend(taken.map(|(lease, _)| lease));
                    }
                    Step::GiveBack(index) if !leases.is_empty() => {
                        slots.give_back(leases.swap_remove(index % leases.len()));
                    }
                    Step::GiveBack(_) => {}
                }
                for manager in slots.managers.values() {
                    let taken = manager.taken.values().map(|(_, count)| count).sum::<u32>();
                    prop_assert!(taken <= manager.slots, "INV-FREE");
                }
            }
            leases.into_iter().for_each(|lease| slots.give_back(lease));
            let (all, free) = slots.count();
            prop_assert_eq!(all, free);
        }
    }
}
