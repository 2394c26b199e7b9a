//! A sink that drops everything, for measurements.

use std::marker::PhantomData;

use tidegate_core::{Batch, Data, Readiness, Sink, SinkContext, SinkWriter};
use tidegate_types::UserResult;

/// A sink that drops everything.
#[derive(Clone, Copy, Debug)]
pub struct Discard<T>(PhantomData<fn(T)>);

/// A sink that drops every `T`.
#[must_use]
pub fn discard<T: Data>() -> Discard<T> {
    Discard(PhantomData)
}

impl<T: Data> Sink for Discard<T> {
    type Item = T;
    type Writer = Self;

    fn writer(&self, _context: SinkContext) -> UserResult<Self> {
        Ok(Self(PhantomData))
    }
}

impl<T: Data> SinkWriter for Discard<T> {
    type Item = T;

    fn write(&mut self, batch: &mut Batch<T>) -> UserResult<Readiness> {
        *batch = Batch::default();
        Ok(Readiness::Ready)
    }
}
