//! Aggregate functions that every job needs.

use tidegate_state::AggregateFunction;

use crate::Result;

/// Counts records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count;

impl<T> AggregateFunction<T> for Count {
    type Acc = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _record: T) -> Result<()> {
        *count += 1;
        Ok(())
    }

    fn result(&self, count: &u64) -> Result<u64> {
        Ok(*count)
    }

    fn merge(&self, into: &mut u64, other: u64) -> Result<()> {
        *into += other;
        Ok(())
    }
}
