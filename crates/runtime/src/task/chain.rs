//! The operators of one task, calling each other directly.
//!
//! What leaves the last of them is kept in an [`Outbox`] and sent by whoever drives the chain, so
//! that nothing in here knows of Timely.
//!
//! A watermark may set off more than an operator does at once. It then waits at that operator, and
//! behind it whatever else comes there; whoever drives the chain calls [`Chain::fire`] until nothing
//! waits, and hands in nothing meanwhile.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tidegate_checkpoint::task::Firing;
use tidegate_core::{
    ErasedBatch, Operator, OperatorContext, OperatorSnapshot, Output, Progress, Readiness, Wakeup,
    plan::OperatorFactory,
    user_code::{OperatorError, caught},
};
use tidegate_types::{
    Barrier, CheckpointId, Clock, EventTime, Monotonic, Now, OperatorUid, UserResult,
};
use tracing::warn;

use super::TaskError;
use crate::graph::ChainLink;

/// Tells an operator's subtask what it needs to know, restored state included.
pub(crate) type ContextFor<'a> = &'a dyn Fn(&OperatorUid) -> UserResult<OperatorContext>;

/// What operators commit, to be run to the end.
pub(crate) type Commits = Vec<(OperatorUid, BoxFuture<'static, UserResult<()>>)>;

/// How long a batch may take an operator.
const SLOW: Duration = Duration::from_secs(2);

/// What a chain has emitted, in order.
pub(crate) struct Outbox {
    pub(crate) items: Vec<Emitted>,
    /// The latest watermark that has been sent, or that whoever drives the chain has to send first.
    pub(crate) sent: EventTime,
}

impl Outbox {
    /// Of a task that has sent `sent` before it was restored, and says so once more.
    pub(crate) fn restored(sent: EventTime) -> Self {
        let again = (sent > EventTime::MIN).then_some(Emitted::Watermark(sent));
        Self { items: again.into_iter().collect(), sent }
    }
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
    /// What a person finds it by.
    shown: String,
    pub(crate) keyed: bool,
    operator: Box<dyn Operator>,
    /// When it was told that it has held its worker up.
    told_slow: Option<Monotonic>,
    /// What has come here while the operator is busy with a watermark, which is the first.
    waiting: VecDeque<Emitted>,
}

/// What one operator contributes to a snapshot.
pub(crate) struct LinkSnapshot {
    pub(crate) uid: OperatorUid,
    pub(crate) name: String,
    pub(crate) keyed: bool,
    pub(crate) snapshot: OperatorSnapshot,
}

/// The operators of one task, first to last.
pub(crate) struct Chain {
    links: Vec<Link>,
    clock: Arc<dyn Clock>,
}

impl Chain {
    /// Makes the operators, each with its own context.
    pub(crate) fn new(
        links: Vec<ChainLink<OperatorFactory>>,
        context: ContextFor<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TaskError> {
        let make = |link: ChainLink<OperatorFactory>| {
            let ChainLink { uid, name, shown, keyed, factory, .. } = link;
            let (waiting, told_slow) = (VecDeque::new(), None);
            match caught(|| factory(context(&uid)?)) {
                Ok(operator) => Ok(Link { uid, name, shown, keyed, operator, told_slow, waiting }),
                Err(source) => Err(TaskError::in_operator(&uid, &shown, source)),
            }
        };
        Ok(Self { links: links.into_iter().map(make).collect::<Result<_, _>>()?, clock })
    }

    /// The operators from that place on.
    fn rest<'a>(&'a mut self, from: usize, outbox: &'a mut Outbox) -> Rest<'a> {
        Rest { links: &mut self.links[from..], outbox, clock: self.clock.as_ref() }
    }

    /// Whether no operator ever emits by itself.
    pub(crate) fn is_passive(&self) -> bool {
        self.links.iter().all(|link| link.operator.is_passive())
    }

    pub(crate) fn on_batch(&mut self, batch: ErasedBatch, out: &mut Outbox) -> UserResult<()> {
        self.rest(0, out).emit(batch)
    }

    pub(crate) fn on_watermark(&mut self, time: EventTime, out: &mut Outbox) -> UserResult<()> {
        self.rest(0, out).watermark(time)
    }

    pub(crate) fn on_idle(&mut self, out: &mut Outbox) -> UserResult<()> {
        self.rest(0, out).idle()
    }

    pub(crate) fn on_active(&mut self, out: &mut Outbox) -> UserResult<()> {
        self.rest(0, out).active()
    }

    /// Whether a watermark has set off more than was done at once.
    pub(crate) fn is_firing(&self) -> bool {
        self.links.iter().any(|link| !link.waiting.is_empty())
    }

    /// What is left to do of what watermarks have set off.
    pub(crate) fn firing(&self) -> Firing {
        let mut waiting = self.links.iter().flat_map(|link| &link.waiting);
        let records = waiting.any(|item| matches!(item, Emitted::Batch(_)));
        Firing { any: self.is_firing(), records }
    }

    /// Goes on with what watermarks have set off: the last operator that is busy first, since the
    /// others would only have more wait there.
    pub(crate) fn fire(&mut self, out: &mut Outbox) -> UserResult<()> {
        let last = self.links.iter().rposition(|link| !link.waiting.is_empty());
        let Some(index) = last else { return Ok(()) };
        let Some(item) = self.links[index].waiting.pop_front() else { return Ok(()) };
        let mut waiting = std::mem::take(&mut self.links[index].waiting);
        let done = self.rest(index, out).take_in(item);
        // What has been put back there comes before what waited behind it.
        self.links[index].waiting.append(&mut waiting);
        done
    }

    pub(crate) fn on_wakeup(&mut self, now: Now, out: &mut Outbox) -> UserResult<()> {
        for index in 0..self.links.len() {
            let (link, mut rest) = self.rest(index, out).split();
            if link.operator.next_wakeup().is_due(now) {
                guarded(link, |operator| operator.on_wakeup(now, &mut rest))?;
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
            all = later(all, guarded(link, &ask)?);
        }
        Ok(all)
    }

    pub(crate) fn on_end(&mut self, out: &mut Outbox) -> UserResult<()> {
        for index in 0..self.links.len() {
            let (link, mut rest) = self.rest(index, out).split();
            guarded(link, |operator| operator.on_end(&mut rest))?;
        }
        Ok(())
    }

    pub(crate) fn snapshot(&mut self, barrier: Barrier) -> UserResult<Vec<LinkSnapshot>> {
        let snapshot = |link: &mut Link| {
            let snapshot = guarded(link, |operator| operator.snapshot(barrier))?;
            let (uid, name) = (link.uid.clone(), link.name.clone());
            Ok(LinkSnapshot { uid, name, keyed: link.keyed, snapshot })
        };
        self.links.iter_mut().map(snapshot).collect()
    }

    /// Does a little of what snapshots have left to do; tells whether there may be more.
    pub(crate) fn pack_some(&mut self) -> UserResult<bool> {
        for link in &mut self.links {
            if guarded(link, |operator| operator.pack_some())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn on_completed(&mut self, checkpoint: CheckpointId) -> UserResult<Commits> {
        let mut commits = Vec::new();
        for link in &mut self.links {
            let commit = guarded(link, |operator| Ok(operator.on_completed(checkpoint)))?;
            commits.extend(commit.map(|commit| (link.uid.clone(), commit)));
        }
        Ok(commits)
    }

    /// Whether each record of a batch that is handed in is, in front of whatever `uid` does, the one at
    /// the same place in its batch.
    pub(crate) fn keeps_records(&self, uid: &OperatorUid) -> bool {
        let mut in_front = self.links.iter().take_while(|link| link.uid != *uid);
        in_front.all(|link| link.operator.keeps_records())
    }
}

impl Link {
    /// Has something wait behind the watermark that the operator is busy with. Of several watermarks
    /// on end only the last one counts.
    fn wait(&mut self, item: Emitted) {
        if self.waiting.len() > 1
            && let (Some(Emitted::Watermark(last)), Emitted::Watermark(time)) =
                (self.waiting.back_mut(), &item)
        {
            *last = *time;
        } else {
            self.waiting.push_back(item);
        }
    }

    /// Whether a batch that was handed in `since` then has taken this operator, and not one `behind` it
    /// that was told of, so long that it is to be told: once.
    fn is_slow(&self, since: Monotonic, now: Monotonic, behind: &[Self]) -> bool {
        let was_other = |link: &Self| link.told_slow.is_some_and(|told| told >= since);
        now.since(since) >= SLOW && self.told_slow.is_none() && !behind.iter().any(was_other)
    }

    fn tell_if_slow(&mut self, since: Monotonic, now: Monotonic, behind: &[Self]) {
        if !self.is_slow(since, now, behind) {
            return;
        }
        let took = now.since(since);
        self.told_slow = Some(now);
        warn!(
            operator = %self.uid,
            name = self.shown,
            "a batch of records has held its worker up for {took:.1?}, in which nothing else of this \
             worker went on, no checkpoint either: functions should not wait; what has to, belongs into \
             a source or a sink"
        );
    }
}

/// What lies behind an operator: further ones, and then the outbox.
struct Rest<'a> {
    links: &'a mut [Link],
    outbox: &'a mut Outbox,
    clock: &'a dyn Clock,
}

impl<'a> Rest<'a> {
    /// The first operator, and what lies behind it.
    fn split(self) -> (&'a mut Link, Self) {
        let (link, links) = self.links.split_first_mut().expect("there is an operator");
        (link, Rest { links, ..self })
    }

    /// Hands something to the first operator, or onto the stream.
    fn take_in(&mut self, item: Emitted) -> UserResult<()> {
        let Some((link, links)) = self.links.split_first_mut() else {
            self.outbox.items.push(item);
            return Ok(());
        };
        if !link.waiting.is_empty() {
            link.wait(item);
            return Ok(());
        }
        let mut rest = Rest { links, outbox: self.outbox, clock: self.clock };
        match item {
            Emitted::Batch(batch) => {
                let since = self.clock.monotonic();
                let done = guarded(link, |operator| operator.on_batch(batch, &mut rest));
                link.tell_if_slow(since, self.clock.monotonic(), rest.links);
                done
            }
            Emitted::Watermark(time) => rest.watermark_behind(link, time),
            Emitted::Idle if link.operator.forwards_watermarks() => rest.idle(),
            Emitted::Idle => guarded(link, |operator| operator.on_idle(&mut rest)),
            // Who makes watermarks of its own says by itself when it has some again.
            Emitted::Active if link.operator.forwards_watermarks() => rest.active(),
            Emitted::Active => Ok(()),
        }
    }

    /// Tells an operator of a watermark, and when it is done with that what lies behind it.
    fn watermark_behind(&mut self, link: &mut Link, time: EventTime) -> UserResult<()> {
        let progress = guarded(link, |operator| operator.on_watermark(time, self))?;
        match progress {
            Progress::More => link.waiting.push_back(Emitted::Watermark(time)),
            Progress::Done if link.operator.forwards_watermarks() => self.watermark(time)?,
            Progress::Done => {}
        }
        Ok(())
    }
}

impl Output for Rest<'_> {
    fn emit(&mut self, batch: ErasedBatch) -> UserResult<()> {
        if batch.is_empty() { Ok(()) } else { self.take_in(Emitted::Batch(batch)) }
    }

    fn watermark(&mut self, watermark: EventTime) -> UserResult<()> {
        self.take_in(Emitted::Watermark(watermark))
    }

    fn idle(&mut self) -> UserResult<()> {
        self.take_in(Emitted::Idle)
    }

    fn active(&mut self) -> UserResult<()> {
        self.take_in(Emitted::Active)
    }
}

/// Calls an operator and names it in what it reports, be it an error or a panic.
fn guarded<R>(
    link: &mut Link,
    call: impl FnOnce(&mut dyn Operator) -> UserResult<R>,
) -> UserResult<R> {
    caught(|| call(link.operator.as_mut()))
        .map_err(|error| OperatorError::blame(&link.uid, &link.shown, error))
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Operator for Nothing {
        fn on_batch(&mut self, _batch: ErasedBatch, _out: &mut dyn Output) -> UserResult<()> {
            Ok(())
        }
    }

    fn link(told_slow: Option<Monotonic>) -> Link {
        let (name, shown) = ("map".to_owned(), "map at main.rs:7".to_owned());
        let (operator, waiting) = (Box::new(Nothing), VecDeque::new());
        Link { uid: "_map-1".into(), name, shown, keyed: false, operator, told_slow, waiting }
    }

    #[test]
    fn who_has_held_its_worker_up_is_told_once_and_alone() {
        let since = Monotonic::from_start(SLOW);
        let soon = since + SLOW / 2;
        let late = since + SLOW;
        assert!(!link(None).is_slow(since, soon, &[]));
        assert!(link(None).is_slow(since, late, &[link(None)]));
        assert!(!link(Some(soon)).is_slow(since, late, &[]), "it has been told");
        assert!(!link(None).is_slow(since, late, &[link(Some(late))]), "it was another one");
        assert!(link(None).is_slow(soon, soon + SLOW, &[link(Some(since))]), "that was before");
    }
}
