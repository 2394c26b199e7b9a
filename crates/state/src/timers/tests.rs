use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn timers() -> Timers<u8> {
    let max = MaxParallelism::new(8).expect("in bounds");
    Timers::new(TimeDomain::EventTime, KeyGroupRange { start: 0, end: 8 }, max)
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, i64),
    Delete(u8, i64),
    Pop(i64),
    Rebuild,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, time) = (0..6u8, 0..20i64);
    prop_oneof![
        6 => (key.clone(), time.clone()).prop_map(|(key, time)| Step::Register(key, time)),
        3 => (key, time.clone()).prop_map(|(key, time)| Step::Delete(key, time)),
        1 => time.prop_map(Step::Pop),
        1 => Just(Step::Rebuild),
    ]
}

proptest! {
    #[test]
    fn inv_once_timers_are_popped_like_those_of_an_ordered_set(
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut timers = timers();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Register(key, time) => {
                    timers.register(KeyHash::of(&key), &key, time);
                    model.insert((time, KeyHash::of(&key), key));
                }
                Step::Delete(key, time) => {
                    timers.delete(KeyHash::of(&key), &key, time);
                    model.remove(&(time, KeyHash::of(&key), key));
                }
                Step::Pop(up_to) => {
                    let due = model.first().copied().filter(|(time, ..)| *time <= up_to);
                    if let Some(due) = due {
                        model.remove(&due);
                    }
                    let due = due.map(|(time, hash, key)| DueTimer { key, hash, time });
                    prop_assert_eq!(timers.pop_due(up_to), due);
                }
                Step::Rebuild => timers.rebuild(),
            }
            prop_assert_eq!(timers.next_time(), model.first().map(|(time, ..)| *time));
            prop_assert_eq!(timers.live, model.len());
        }
    }
}

#[test]
fn deleted_timers_do_not_pile_up() {
    let mut timers = timers();
    let hash = KeyHash::of(&1u8);
    timers.register(hash, &1, 0);
    for time in 1..10_000 {
        timers.register(hash, &1, time);
        timers.delete(hash, &1, time);
    }
    assert!(timers.heap.len() < 100, "{} in the heap", timers.heap.len());
}

#[test]
fn the_last_time_of_all_is_a_time_too() {
    let mut timers = timers();
    timers.register(KeyHash::of(&1u8), &1, i64::MAX);
    assert_eq!(timers.pop_due(i64::MAX - 1), None);
    assert_eq!(timers.pop_due(i64::MAX).map(|due| due.key), Some(1));
    assert_eq!(timers.next_time(), None);
}

#[test]
fn many_timers_of_one_key_fire_once_each_but_for_those_deleted() {
    const TIMERS: i64 = 200_000;
    let mut timers = timers();
    let hash = KeyHash::of(&1u8);
    // Neither order may be the slow one.
    for time in (0..TIMERS).rev().step_by(2).chain((0..TIMERS).step_by(2)) {
        timers.register(hash, &1, time);
    }
    assert_eq!(timers.live as i64, TIMERS);
    for time in (0..TIMERS).step_by(4) {
        timers.delete(hash, &1, time);
    }
    let mut popped = 0;
    while let Some(due) = timers.pop_due(TIMERS) {
        assert_ne!(due.time % 4, 0, "it was deleted");
        popped += 1;
    }
    assert_eq!(popped, TIMERS - TIMERS / 4);
}

#[test]
fn the_times_of_a_key_are_one_list_in_a_snapshot_whatever_its_length() {
    use tidegate_snapshot::codec;

    for times in [vec![7], vec![-3, 7, i64::MAX]] {
        let mut kept = Times::One(times[0]);
        times.iter().rev().for_each(|time| _ = kept.insert(*time));
        let (mut encoded, mut list) = (Vec::new(), Vec::new());
        codec::encode(&kept, &mut encoded).expect("encodes");
        codec::encode(&times, &mut list).expect("encodes");
        assert_eq!(encoded, list);
        assert_eq!(codec::decode_exact::<Times>(&encoded).expect("decodes"), kept);
    }
}
