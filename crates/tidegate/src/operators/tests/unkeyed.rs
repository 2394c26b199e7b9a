use tidegate_core::{Operator, OperatorContext, RestoredState};
use tidegate_state::{OperatorListState, Redistribution};

use super::{
    super::unkeyed::{UnkeyedContext, UnkeyedOperator, UnkeyedProcess},
    harness::{Bench, Collect, feed, restored},
};
use crate::Result;

/// Emits how many records it has ever seen.
struct Seen {
    records: OperatorListState<u64>,
}

impl UnkeyedProcess<u64> for Seen {
    type Out = usize;

    fn on_record(&mut self, record: u64, context: &mut UnkeyedContext<'_, usize>) -> Result<()> {
        self.records.add(record);
        context.emit(self.records.with(<[u64]>::len));
        Ok(())
    }
}

fn seen(context: &OperatorContext, redistribution: Redistribution) -> impl Operator + use<> {
    let make = move |states: &mut super::super::unkeyed::OperatorStates| {
        Ok(Seen { records: states.list("records", redistribution)? })
    };
    UnkeyedOperator::new(context, make).expect("made")
}

#[test]
fn a_subtask_goes_on_with_the_items_it_is_handed() {
    for redistribution in [Redistribution::Split, Redistribution::Union] {
        let (bench, mut out) = (Bench::new(), Collect::<usize>::new());
        let mut before = seen(&bench.context(), redistribution);
        feed(&mut before, [10_u64, 20, 30], &mut out);
        assert_eq!(out.records(), [1, 2, 3]);
        let mut taken = restored(&mut before, |range| range);
        assert_eq!(taken.lists[0].redistribution, redistribution);
        taken.lists[0].items.truncate(2);
        let mut after = seen(&bench.context_of(1, 2, taken), redistribution);
        feed(&mut after, [40_u64], &mut out);
        assert_eq!(out.records(), [3]);
    }
}

#[test]
fn a_name_may_be_used_once() {
    let bench = Bench::new();
    let make = |states: &mut super::super::unkeyed::OperatorStates| {
        states.list::<u8>("records", Redistribution::Split)?;
        Ok(Seen { records: states.list("records", Redistribution::Split)? })
    };
    let context = bench.context_of(0, 1, RestoredState::default());
    let error = UnkeyedOperator::<u64, Seen>::new(&context, make).err().expect("it is taken");
    assert_eq!(error.to_string(), "the state `records` is declared twice");
}
