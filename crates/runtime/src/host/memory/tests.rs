use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use timely::{
    WorkerConfig,
    dataflow::operators::{Exchange, Input, Inspect},
};

use super::*;

/// What takes as long as it is told.
#[derive(Default)]
struct Told {
    now: AtomicU64,
    is_cut: AtomicBool,
}

/// How long what is sent takes.
const TRIP: Duration = Duration::from_secs(5);

impl Lines for Told {
    fn now(&self) -> Duration {
        Duration::from_secs(self.now.load(Ordering::SeqCst))
    }

    fn arrival(&self, _from: usize, _to: usize) -> Duration {
        self.now() + TRIP
    }

    fn is_cut(&self, _from: usize, _to: usize) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }
}

/// Two processes of two workers; each worker sends its number to every one, and then `wait` is called. What
/// each has heard of; nothing of one that has unwound.
fn hear(lines: &Arc<Told>, wait: fn(&Told, usize)) -> Vec<Option<Vec<u64>>> {
    let all = connected(2, 2, Arc::clone(lines) as _);
    let all_come = Arc::new(Barrier::new(4));
    let processes = all.into_iter().map(|Connected { builders, guard }| {
        let (lines, all_come) = (Arc::clone(lines), Arc::clone(&all_come));
        let run = move || {
            let work = move |worker: &mut timely::worker::Worker| {
                introduce(worker.index());
                all_come.wait();
                let heard = Arc::new(Mutex::new(Vec::new()));
                let note = Arc::clone(&heard);
                let mut input = worker.dataflow::<u64, _, _>(|scope| {
                    let (input, records) = scope.new_input::<Vec<(u64, u64)>>();
                    let here = records.exchange(|(to, _): &(u64, u64)| *to);
                    here.inspect(move |(_, from)| note.lock().expect("no panic").push(*from));
                    input
                });
                (0..4).for_each(|to| input.send((to, worker.index() as u64)));
                input.advance_to(1);
                // Dropping it sends something, which no thread may that unwinds.
                std::mem::forget(input);
                all_come.wait();
                for round in 0..200 {
                    wait(&lines, round);
                    worker.step();
                    thread::sleep(Duration::from_millis(1));
                }
                worker.drop_dataflow(0);
                let mut heard = heard.lock().expect("no panic").clone();
                heard.sort_unstable();
                heard
            };
            let guards =
                timely::execute::execute_from(builders, guard, WorkerConfig::default(), work);
            guards
                .expect("there are threads")
                .join()
                .into_iter()
                .map(Result::ok)
                .collect::<Vec<_>>()
        };
        thread::spawn(run)
    });
    let processes = processes.collect::<Vec<_>>();
    processes.into_iter().flat_map(|process| process.join().expect("no panic")).collect()
}

#[test]
fn what_goes_to_another_process_arrives_when_it_is_time() {
    let lines = Arc::new(Told::default());
    let heard = hear(&lines, |_, _| {});
    let own = |first| Some(vec![first, first + 1]);
    assert_eq!(heard, [own(0), own(0), own(2), own(2)]);
}

#[test]
fn what_has_arrived_is_all_that_was_sent() {
    let lines = Arc::new(Told::default());
    let heard = hear(&lines, |lines, round| {
        if round == 100 {
            lines.now.store(6, Ordering::SeqCst);
        }
    });
    assert_eq!(heard, vec![Some(vec![0, 1, 2, 3]); 4]);
}

#[test]
fn where_a_connection_is_cut_both_processes_unwind() {
    let lines = Arc::new(Told::default());
    let heard = hear(&lines, |lines, round| {
        if round == 100 {
            lines.is_cut.store(true, Ordering::SeqCst);
        }
    });
    assert_eq!(heard, vec![None; 4]);
}
