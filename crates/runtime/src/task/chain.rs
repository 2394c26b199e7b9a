//! The operators of one task, calling each other directly.
//!
//! What leaves the last of them is kept in an [`Outbox`] and sent by whoever drives the chain, so
//! that nothing in here knows of Timely.

use futures::future::BoxFuture;
use tidegate_core::{
    ErasedBatch, Operator, OperatorContext, OperatorSnapshot, Output, Readiness, Wakeup,
    plan::{OperatorError, OperatorFactory},
};
use tidegate_types::{Barrier, BoxError, CheckpointId, EventTime, Now, OperatorUid, UserResult};

use super::TaskError;
use crate::graph::ChainLink;

/// Tells an operator's subtask what it needs to know, restored state included.
pub(crate) type ContextFor<'a> = &'a dyn Fn(&OperatorUid) -> UserResult<OperatorContext>;

/// What a chain has emitted, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) items: Vec<Emitted>,
}

/// A thing that a chain has emitted.
pub(crate) enum Emitted {
    Batch(ErasedBatch),
    Watermark(EventTime),
    Idle,
    Active,
}

/// An operator in its place.
pub(crate) struct Link {
    pub(crate) uid: OperatorUid,
    pub(crate) name: String,
    pub(crate) keyed: bool,
    operator: Box<dyn Operator>,
}

/// What one operator contributes to a snapshot.
pub(crate) struct LinkSnapshot {
    pub(crate) uid: OperatorUid,
    pub(crate) name: String,
    pub(crate) keyed: bool,
    pub(crate) snapshot: OperatorSnapshot,
}

/// The operators of one task, first to last.
#[derive(Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
}

impl Chain {
    /// Makes the operators, each with its own context.
    pub(crate) fn new(
        links: Vec<ChainLink<OperatorFactory>>,
        context: ContextFor<'_>,
    ) -> Result<Self, TaskError> {
        let make = |link: ChainLink<OperatorFactory>| {
            let ChainLink { uid, name, keyed, factory, .. } = link;
            match super::caught(|| factory(context(&uid)?)) {
                Ok(operator) => Ok(Link { uid, name, keyed, operator }),
                Err(source) => Err(TaskError::in_operator(&uid, &name, source)),
            }
        };
        Ok(Self { links: links.into_iter().map(make).collect::<Result<_, _>>()? })
    }

    /// Whether no operator ever emits by itself.
    pub(crate) fn is_passive(&self) -> bool {
        self.links.iter().all(|link| link.operator.is_passive())
    }

    pub(crate) fn on_batch(&mut self, batch: ErasedBatch, out: &mut Outbox) -> UserResult<()> {
        Rest { links: &mut self.links, outbox: out }.emit(batch)
    }

    pub(crate) fn on_watermark(&mut self, time: EventTime, out: &mut Outbox) -> UserResult<()> {
        Rest { links: &mut self.links, outbox: out }.watermark(time)
    }

    pub(crate) fn on_idle(&mut self, out: &mut Outbox) -> UserResult<()> {
        Rest { links: &mut self.links, outbox: out }.idle()
    }

    pub(crate) fn on_active(&mut self, out: &mut Outbox) -> UserResult<()> {
        Rest { links: &mut self.links, outbox: out }.active()
    }

    pub(crate) fn on_wakeup(&mut self, now: Now, out: &mut Outbox) -> UserResult<()> {
        for index in 0..self.links.len() {
            let (link, mut rest) = split(&mut self.links, index, out);
            if link.operator.next_wakeup().is_due(now) {
                link.operator.on_wakeup(now, &mut rest).map_err(|error| link.blame(error))?;
            }
        }
        Ok(())
    }

    pub(crate) fn next_wakeup(&self) -> Wakeup {
        self.links.iter().map(|link| link.operator.next_wakeup()).fold(Wakeup::NEVER, Wakeup::or)
    }

    /// Ready when every operator is.
    pub(crate) fn poll_ready(&mut self) -> UserResult<Readiness> {
        self.poll(|operator| operator.poll_ready())
    }

    /// Ready when every operator has handed on what it buffers.
    pub(crate) fn poll_flushed(&mut self) -> UserResult<Readiness> {
        self.poll(|operator| operator.poll_flushed())
    }

    fn poll(
        &mut self,
        ask: impl Fn(&mut dyn Operator) -> UserResult<Readiness>,
    ) -> UserResult<Readiness> {
        let mut all = Readiness::Ready;
        for link in &mut self.links {
            let one = ask(link.operator.as_mut()).map_err(|error| link.blame(error))?;
            all = later(all, one);
        }
        Ok(all)
    }

    pub(crate) fn on_end(&mut self, out: &mut Outbox) -> UserResult<()> {
        for index in 0..self.links.len() {
            let (link, mut rest) = split(&mut self.links, index, out);
            link.operator.on_end(&mut rest).map_err(|error| link.blame(error))?;
        }
        Ok(())
    }

    pub(crate) fn snapshot(&mut self, barrier: Barrier) -> UserResult<Vec<LinkSnapshot>> {
        let snapshot = |link: &mut Link| {
            let snapshot = link.operator.snapshot(barrier).map_err(|error| link.blame(error))?;
            let (uid, name) = (link.uid.clone(), link.name.clone());
            Ok(LinkSnapshot { uid, name, keyed: link.keyed, snapshot })
        };
        self.links.iter_mut().map(snapshot).collect()
    }

    /// Does a little of what snapshots have left to do; tells whether there may be more.
    pub(crate) fn pack_some(&mut self) -> UserResult<bool> {
        for link in &mut self.links {
            // A value's own code runs in there.
            if super::caught(|| link.operator.pack_some()).map_err(|error| link.blame(error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn on_completed(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Vec<(OperatorUid, BoxFuture<'static, UserResult<()>>)> {
        let commit = |link: &mut Link| {
            link.operator.on_completed(checkpoint).map(|commit| (link.uid.clone(), commit))
        };
        self.links.iter_mut().filter_map(commit).collect()
    }
}

impl Link {
    /// Names the operator in its error, unless an operator behind it is named there already.
    fn blame(&self, error: BoxError) -> BoxError {
        blame(&self.uid, &self.name, error)
    }
}

/// Names an operator in its error, unless an operator behind it is named there already.
pub(crate) fn blame(uid: &OperatorUid, name: &str, error: BoxError) -> BoxError {
    if error.is::<OperatorError>() {
        return error;
    }
    Box::new(OperatorError { uid: uid.clone(), name: name.to_owned(), source: error })
}

/// The operator at `index`, and what lies behind it.
fn split<'a>(
    links: &'a mut [Link],
    index: usize,
    outbox: &'a mut Outbox,
) -> (&'a mut Link, Rest<'a>) {
    let (link, links) = links[index..].split_first_mut().expect("the index is in bounds");
    (link, Rest { links, outbox })
}

/// What lies behind an operator: further ones, and then the outbox.
struct Rest<'a> {
    links: &'a mut [Link],
    outbox: &'a mut Outbox,
}

impl Output for Rest<'_> {
    fn emit(&mut self, batch: ErasedBatch) -> UserResult<()> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.links.split_first_mut() {
            None => {
                self.outbox.items.push(Emitted::Batch(batch));
                Ok(())
            }
            Some((link, links)) => {
                let mut rest = Rest { links, outbox: self.outbox };
                guarded(link, |operator| operator.on_batch(batch, &mut rest))
            }
        }
    }

    fn watermark(&mut self, watermark: EventTime) -> UserResult<()> {
        let Some((link, links)) = self.links.split_first_mut() else {
            self.outbox.items.push(Emitted::Watermark(watermark));
            return Ok(());
        };
        let mut rest = Rest { links, outbox: self.outbox };
        guarded(link, |operator| operator.on_watermark(watermark, &mut rest))?;
        if link.operator.forwards_watermarks() { rest.watermark(watermark) } else { Ok(()) }
    }

    fn idle(&mut self) -> UserResult<()> {
        let Some((link, links)) = self.links.split_first_mut() else {
            self.outbox.items.push(Emitted::Idle);
            return Ok(());
        };
        let mut rest = Rest { links, outbox: self.outbox };
        if link.operator.forwards_watermarks() {
            return rest.idle();
        }
        guarded(link, |operator| operator.on_idle(&mut rest))
    }

    fn active(&mut self) -> UserResult<()> {
        // Who makes watermarks of its own says by itself when it has some again.
        if self.links.iter().all(|link| link.operator.forwards_watermarks()) {
            self.outbox.items.push(Emitted::Active);
        }
        Ok(())
    }
}

/// Calls an operator and names it in what it reports, be it an error or a panic.
fn guarded(
    link: &mut Link,
    call: impl FnOnce(&mut dyn Operator) -> UserResult<()>,
) -> UserResult<()> {
    super::caught(|| call(link.operator.as_mut()))
        .map_err(|error| blame(&link.uid, &link.name, error))
}

/// Of two answers the one that takes longer.
pub(crate) fn later(first: Readiness, second: Readiness) -> Readiness {
    match (first, second) {
        (Readiness::Ready, other) | (other, Readiness::Ready) => other,
        (Readiness::Pending, Readiness::Pending) => Readiness::Pending,
        (Readiness::RetryAfter(a), Readiness::RetryAfter(b)) => Readiness::RetryAfter(a.max(b)),
        // Who is pending wakes us; who wants to be asked again must be asked.
        (Readiness::RetryAfter(time), Readiness::Pending)
        | (Readiness::Pending, Readiness::RetryAfter(time)) => Readiness::RetryAfter(time),
    }
}
