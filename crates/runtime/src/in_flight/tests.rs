use std::{collections::HashSet, sync::atomic::AtomicUsize, task::Wake};

use tidegate_types::time::SystemClock;

use super::*;

fn process(first: usize, count: usize, peers: usize) -> Arc<InFlight> {
    Arc::new(InFlight::new(Seats { first, count, peers }, 2, Arc::new(SystemClock)))
}

/// Counts how often a worker was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn by(tally: &Tally) -> Arc<Self> {
        let woken = Arc::new(Self::default());
        tally.woken_by(Arc::clone(&woken).into());
        woken
    }

    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn no_two_lanes_are_one() {
    let peers = 3;
    let tasks = (0..peers)
        .flat_map(|worker| (0..4).map(move |task| Lane::of_task(TaskId(task), worker, peers)));
    let lanes = (0..peers).map(Lane::of_sources).chain(tasks).collect::<Vec<_>>();
    let accounts = lanes
        .iter()
        .flat_map(|lane| (0..ROUNDS).map(|round| Account::of(*lane, round)))
        .collect::<HashSet<_>>();
    assert_eq!(accounts.len(), lanes.len() * ROUNDS as usize);
    for (worker, lane) in (0..peers).map(|worker| (worker, Lane::of_task(TaskId(3), worker, peers)))
    {
        let account = Account::of(lane, 5);
        assert_eq!(account.worker(peers), worker);
        assert_eq!(Account::numbered(account.number()), account);
    }
}

#[test]
fn inv_even_a_round_leaves_with_the_last_of_what_came_of_it() {
    let tally = Tally::new(process(0, 1, 1), 0);
    let account = Account::of(Lane::of_sources(0), 3);
    tally.add(account, 100);
    let first = tally.hold(account, 100);
    // Twice as many come of them.
    tally.add(account, 200);
    drop(first);
    assert!(tally.left(account).is_none());
    let (some, rest) = (tally.hold(account, 150), tally.hold(account, 50));
    drop(rest);
    assert!(tally.left(account).is_none());
    let before = SystemClock.monotonic();
    drop(some);
    assert!(tally.left(account).expect("it has left") >= before);
    assert!(tally.left(Account::of(Lane::of_sources(0), 4)).is_some(), "another round");
}

#[test]
fn inv_told_who_waits_is_woken_once_by_the_last_of_a_round() {
    let all = process(0, 2, 2);
    let (tally, other) = (Tally::new(Arc::clone(&all), 0), Tally::new(all, 1));
    let (woken, not_woken) = (Woken::by(&tally), Woken::by(&other));
    let account = Account::of(Lane::of_sources(0), 0);
    tally.wait();
    tally.add(account, 2);
    let (one, two) = (other.hold(account, 1), other.hold(account, 1));
    drop(one);
    assert_eq!(woken.times(), 0);
    drop(two);
    assert_eq!((woken.times(), not_woken.times()), (1, 0));
    tally.add(account, 1);
    drop(other.hold(account, 1));
    assert_eq!(woken.times(), 1, "it did not wait");
    // What has no records changes nothing.
    tally.wait();
    drop(other.hold(account, 0));
    assert_eq!(woken.times(), 1);
}

#[test]
fn processes_come_to_the_same_by_telling_each_other() {
    // Three processes of two workers each; the records go from the first over the second to the third.
    let processes = [process(0, 2, 6), process(2, 2, 6), process(4, 2, 6)];
    let tallies = [0, 2, 5].map(|worker| Tally::new(Arc::clone(&processes[worker / 2]), worker));
    let account = Account::of(Lane::of_task(TaskId(1), 1, 6), 9);
    let woken = Woken::by(&Tally::new(Arc::clone(&processes[0]), 1));
    tallies[0].add(account, 10);
    let held = tallies[1].hold(account, 10);
    tallies[1].add(account, 30);
    drop(held);
    drop(tallies[2].hold(account, 30));
    assert!(tallies[0].left(account).is_none());
    // The last one tells first.
    for process in [2, 1] {
        assert_eq!(woken.times(), 0);
        let told = processes[process].take_foreign().collect::<Vec<_>>();
        let [(worker, of, difference)] = told[..] else { panic!("{told:?}") };
        assert_eq!((worker, of), (0, account));
        processes[0].learn(of, difference);
        assert_eq!(processes[process].take_foreign().count(), 0, "it is told once");
    }
    assert!(tallies[0].left(account).is_some());
    assert_eq!(woken.times(), 1);
    assert_eq!(processes[0].take_foreign().count(), 0, "its own lanes are nobody else's business");
}

#[test]
fn many_threads_leave_an_even_account() {
    let all = process(0, 4, 4);
    let account = Account::of(Lane::of_sources(2), 1);
    let woken = Woken::by(&Tally::new(Arc::clone(&all), 2));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let all = Arc::clone(&all);
            scope.spawn(move || {
                let tally = Tally::new(all, worker);
                for records in 1..2_000 {
                    tally.add(account, records);
                    drop(tally.hold(account, records));
                }
            });
        }
    });
    assert!(all.left(account).is_some());
    assert_eq!(woken.times(), 1);
}
