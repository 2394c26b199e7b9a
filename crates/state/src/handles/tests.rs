use std::{sync::Arc, time::Duration};

use tidegate_types::{KeyGroupRange, MaxParallelism, Timestamp, time::ManualClock};

use crate::{KeyedBackend, StateTtl, TtlUpdate, TtlVisibility};

struct Fixture {
    backend: KeyedBackend<u8>,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        let clock = Arc::<ManualClock>::default();
        let max = MaxParallelism::new(4).expect("in bounds");
        let range = KeyGroupRange { start: 0, end: 4 };
        let mut backend = KeyedBackend::new(range, max, clock.clone());
        backend.set_current_key(1);
        Self { backend, clock }
    }

    fn at(&self, millis: u64) {
        self.clock.set_wall(Timestamp(millis));
        self.backend.update_now();
    }
}

fn ttl() -> StateTtl {
    StateTtl::new(Duration::from_millis(10))
}

#[test]
fn the_value_of_each_key_is_its_own() {
    let mut fixture = Fixture::new();
    let mut value = fixture.backend.value_state::<String>("it", None).unwrap();
    assert_eq!(value.get(), None);
    value.set("one".to_owned());
    fixture.backend.set_current_key(2);
    assert!(!value.is_set());
    value.update(|before| Some(before.map_or("two".to_owned(), |_| "wrong".to_owned())));
    assert_eq!(value.modify(|text| text.push('!')), Some(()));
    assert_eq!(value.get().as_deref(), Some("two!"));
    fixture.backend.set_current_key(1);
    assert_eq!(value.get().as_deref(), Some("one"));
    value.clear();
    assert_eq!(value.modify(|text| text.push('!')), None);
    assert_eq!(value.modify_or(|| "new".to_owned(), |text| text.len()), 3);
}

#[test]
fn lists_and_maps_without_ttl() {
    let mut fixture = Fixture::new();
    let mut list = fixture.backend.list_state::<u8>("list", None).unwrap();
    list.add_all([]);
    assert!(list.is_empty());
    list.add_all([1, 2]);
    list.add(3);
    assert_eq!((list.get(), list.len()), (vec![1, 2, 3], 3));
    list.update(vec![]);
    assert!(list.with(<[u8]>::is_empty));

    let mut map = fixture.backend.map_state::<Vec<u8>, u32>("map", None).unwrap();
    for key in 0..100u8 {
        map.put(vec![key], key.into());
    }
    assert_eq!((map.len(), map.get(&vec![42]), map.get(&vec![])), (100, Some(42), None));
    assert_eq!(map.remove(&vec![42]), Some(42));
    assert_eq!((map.remove(&vec![42]), map.contains(&vec![42])), (None, false));
    map.put(vec![1], 7);
    assert_eq!(map.modify(&vec![1], |value| std::mem::replace(value, 8)), Some(7));
    let mut entries = map.entries();
    entries.sort_unstable();
    assert_eq!((entries.len(), &entries[1]), (99, &(vec![1], 8)));
    map.clear();
    assert!(map.is_empty());
}

#[test]
fn a_user_function_may_fail() {
    let mut fixture = Fixture::new();
    let reduce = |a: u8, b: u8| a.checked_add(b).ok_or_else(|| "too much".into());
    let mut sum = fixture.backend.reducing_state("sum", None, reduce).unwrap();
    sum.add(200).unwrap();
    assert_eq!(sum.add(100).unwrap_err().to_string(), "too much");
}

/// A value is written at 0 and read at `reads`; what do the reads return?
fn reads_of(ttl: StateTtl, reads: &[u64]) -> Vec<bool> {
    let mut fixture = Fixture::new();
    let mut value = fixture.backend.value_state("it", Some(ttl)).unwrap();
    let mut list = fixture.backend.list_state("list", Some(ttl)).unwrap();
    let mut map = fixture.backend.map_state("map", Some(ttl)).unwrap();
    value.set(1u8);
    list.add(1u8);
    map.put(1u8, 1u8);
    let read = |now: &u64| {
        fixture.at(*now);
        // Keys that nobody reads are cleaned up with any access: look at each state once only.
        let found = value.is_set();
        assert_eq!((found, found), (!list.get().is_empty(), map.contains(&1)), "at {now}");
        found
    };
    reads.iter().map(read).collect()
}

#[test]
fn ttl_as_in_flink() {
    assert_eq!(reads_of(ttl(), &[9, 10, 11]), [true, false, false]);
    let read_renews = ttl().update_type(TtlUpdate::OnReadAndWrite);
    assert_eq!(reads_of(read_renews, &[9, 18, 27, 37]), [true, true, true, false]);
    assert_eq!(reads_of(ttl().update_type(TtlUpdate::Disabled), &[9, 1_000_000]), [true, true]);
}

#[test]
fn expired_values_are_returned_until_cleaned_up_if_asked_for() {
    let lenient = ttl().visibility(TtlVisibility::ReturnExpiredIfNotCleanedUp);
    let mut fixture = Fixture::new();
    let mut value = fixture.backend.value_state("it", Some(lenient)).unwrap();
    value.set(1u8);
    fixture.at(10);
    // The incremental cleanup needs some accesses to come by.
    let returned = (0..100).take_while(|_| value.is_set()).count();
    assert!(returned < 100, "an expired value is cleaned up in the end");
}

#[test]
fn a_write_renews_and_elements_live_one_by_one() {
    let mut fixture = Fixture::new();
    let mut value = fixture.backend.value_state("value", Some(ttl())).unwrap();
    let mut list = fixture.backend.list_state("list", Some(ttl())).unwrap();
    let mut map = fixture.backend.map_state("map", Some(ttl())).unwrap();
    value.set(1);
    list.add('a');
    map.put('a', 1);
    fixture.at(6);
    value.modify(|value| *value += 1);
    list.add('b');
    map.put('b', 2);
    fixture.at(12);
    assert_eq!(value.get(), Some(2));
    assert_eq!(list.get(), ['b']);
    assert_eq!((map.entries(), map.len()), (vec![('b', 2)], 1));
    assert_eq!((map.get(&'a'), map.modify(&'a', |_| ())), (None, None));
    fixture.at(16);
    assert_eq!((value.get(), list.get(), map.is_empty()), (None, vec![], true));
}

#[test]
fn an_expired_value_is_not_a_reduction_s_first() {
    let mut fixture = Fixture::new();
    let mut sum =
        fixture.backend.reducing_state("sum", Some(ttl()), |a: u32, b| Ok(a + b)).unwrap();
    sum.add(1).unwrap();
    fixture.at(5);
    sum.add(2).unwrap();
    assert_eq!(sum.get(), Some(3));
    fixture.at(15);
    sum.add(4).unwrap();
    assert_eq!(sum.get(), Some(4));
}
