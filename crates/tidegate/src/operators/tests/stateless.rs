use tidegate_core::{
    Operator,
    batch::TARGET_LEN,
    user_code::{OperatorError, Watch},
};
use tidegate_types::error::chain;

use super::{
    super::stateless::{Filter, FlatMap, Inspect, Map},
    harness::{Collect, Seen, feed, timed},
};

#[test]
fn map_filter_and_flat_map_keep_order_and_event_times() {
    let mut out = Collect::<u32>::new();
    let batch = || timed([(1_u32, 10), (2, 20), (3, 30)]);
    Map::new(|n: u32| Ok(n * 10), Watch::default()).on_batch(batch(), &mut out).expect("maps");
    assert_eq!(out.take(), [(10, Some(10)), (20, Some(20)), (30, Some(30))]);
    Filter::new(|n: &u32| Ok(n % 2 == 1)).on_batch(batch(), &mut out).expect("filters");
    assert_eq!(out.take(), [(1, Some(10)), (3, Some(30))]);
    let repeat = |n: u32| Ok((1..n).map(move |_| n));
    FlatMap::new(repeat, Watch::default()).on_batch(batch(), &mut out).expect("maps");
    assert_eq!(out.take(), [(2, Some(20)), (3, Some(30)), (3, Some(30))]);
}

#[test]
fn inspect_sees_every_record_and_changes_none() {
    let mut out = Collect::<u32>::new();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let shown = std::rc::Rc::clone(&seen);
    let mut inspect = Inspect::new(move |n: &u32| {
        shown.borrow_mut().push(*n);
        Ok(())
    });
    feed(&mut inspect, [1_u32, 2], &mut out);
    assert_eq!((out.records(), seen.take()), (vec![1, 2], vec![1, 2]));
}

#[test]
fn a_record_that_becomes_many_does_not_make_a_huge_batch() {
    let mut out = Collect::<u64>::new();
    let mut burst = FlatMap::new(|n: u64| Ok(0..n), Watch::default());
    feed(&mut burst, [5000_u64], &mut out);
    for seen in &out.0 {
        assert!(matches!(seen, Seen::Batch(batch) if batch.len() <= TARGET_LEN));
    }
    assert_eq!(out.records(), (0..5000).collect::<Vec<_>>());
}

#[test]
fn an_error_of_the_function_is_told_with_its_record_and_nothing_is_emitted() {
    let mut out = Collect::<u32>::new();
    let fail = |n: u32| if n == 2 { Err("two is too many".into()) } else { Ok(n) };
    let mut map = Map::new(fail, Watch::default());
    let error = map.on_batch(timed([(1_u32, 1), (2, 2)]), &mut out).expect_err("fails at 2");
    let error = OperatorError::blame(&"_map-1".into(), "map", error);
    assert_eq!(chain(&*error), "map failed on 2: two is too many");
    assert_eq!(error.downcast_ref::<OperatorError>().and_then(OperatorError::record), Some(1));
    assert!(out.0.is_empty(), "a failed attempt needs no half batch");
}
