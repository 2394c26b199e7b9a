use tidegate_core::{Batch, Operator, OperatorContext, RestoredState, user_code::OperatorError};
use tidegate_types::{KeyGroupRange, KeyHash, MaxParallelism, error::chain};

use super::{
    super::fold::{Aggregate, FoldOperator, Reduce},
    harness::{Bench, Collect, feed, restored, selector, timed},
};
use crate::{Count, Result};

type Pair = (String, u64);

fn sum(context: &OperatorContext) -> Result<impl Operator + use<>> {
    let add = |sum: &mut Pair, next: Pair| {
        sum.1 += next.1;
        Ok(())
    };
    FoldOperator::new("value", selector(|pair: &Pair| pair.0.clone()), Reduce(add), context)
}

fn count(context: &OperatorContext) -> impl Operator + use<> {
    FoldOperator::new("accumulator", selector(|n: &u64| n % 100), Aggregate(Count), context)
        .expect("made")
}

#[test]
fn reduce_emits_the_running_value_of_the_key_for_every_record() {
    let (bench, mut out) = (Bench::new(), Collect::<Pair>::new());
    let mut reduce = sum(&bench.context()).expect("made");
    let pair = |key: &str, n| (key.to_owned(), n);
    let batch = timed([(pair("a", 1), 10), (pair("b", 5), 20), (pair("a", 2), 30)]);
    reduce.on_batch(batch, &mut out).expect("reduces");
    let expected = [(pair("a", 1), Some(10)), (pair("b", 5), Some(20)), (pair("a", 3), Some(30))];
    assert_eq!(out.take(), expected);
}

#[test]
fn aggregate_emits_the_key_with_its_running_result() {
    let (bench, mut out) = (Bench::new(), Collect::<(u64, u64)>::new());
    let mut aggregate = count(&bench.context());
    feed(&mut aggregate, [1_u64, 2, 101, 1], &mut out);
    assert_eq!(out.records(), [(1, 1), (2, 1), (1, 2), (1, 3)]);
}

#[test]
fn counts_go_on_after_a_restore_at_another_parallelism() {
    let (bench, mut out) = (Bench::new(), Collect::<(u64, u64)>::new());
    let mut before = count(&bench.context());
    feed(&mut before, 0..1000_u64, &mut out);
    let max = MaxParallelism::new(128).expect("in range");
    let mut continued = Vec::<(u64, u64)>::new();
    for subtask in 0..3 {
        let empty = bench.context_of(subtask, 3, RestoredState::default());
        let groups = empty.key_groups();
        let taken = restored(&mut before, |_: KeyGroupRange| groups);
        let mut after = count(&bench.context_of(subtask, 3, taken));
        let own = (0..100_u64).filter(|key| groups.contains(KeyHash::of(key).group(max)));
        let mut out = Collect::<(u64, u64)>::new();
        feed(&mut after, own, &mut out);
        continued.extend(out.records());
    }
    continued.sort_unstable();
    assert_eq!(continued, (0..100).map(|key| (key, 11)).collect::<Vec<_>>());
}

#[test]
fn a_snapshot_of_another_type_is_refused_with_both_types() {
    let (bench, mut out) = (Bench::new(), Collect::<Pair>::new());
    let mut before = sum(&bench.context()).expect("made");
    feed(&mut before, [("a".to_owned(), 1_u64)], &mut out);
    let context = bench.context_of(0, 1, restored(&mut before, |range| range));
    let keep_first = |_: &mut (String, i8), _| Ok(());
    let select = |pair: &(String, i8)| pair.0.clone();
    let error = FoldOperator::new("value", selector(select), Reduce(keep_first), &context);
    let message = error.err().expect("the value's type differs").to_string();
    assert!(message.contains("`value`") && message.contains("u64"), "{message}");
    assert!(message.contains("i8"), "{message}");
}

#[test]
fn an_error_of_the_function_fails_the_batch() {
    let (bench, mut out) = (Bench::new(), Collect::<u64>::new());
    let refuse = |_: &mut u64, next: u64| Err(format!("no {next}").into());
    let mut reduce =
        FoldOperator::new("value", selector(|n: &u64| *n), Reduce(refuse), &bench.context())
            .expect("made");
    let batch = Box::new(Batch::from(vec![7_u64, 7]));
    let error = reduce.on_batch(batch, &mut out).expect_err("the second 7 is reduced");
    let error = OperatorError::blame(&"sum".into(), "reduce", error);
    assert_eq!(chain(&*error), "operator `sum` (reduce) failed on 7: no 7");
}
