//! Watermarks and status of a task against a slow model, which looks at all that was ever said.

use proptest::prelude::*;
use tidegate_checkpoint::watermarks::{Advance, Status, Watermarks};
use tidegate_types::EventTime;

const CHANNELS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Watermark(i64),
    Final,
    Idle,
    Active,
    End,
}

type History = [(usize, Said)];

/// What a channel has said, with how much everybody had said before that.
fn of(history: &History, channel: usize) -> impl Iterator<Item = (usize, Said)> + '_ {
    let own = history.iter().enumerate().filter(move |(_, (other, _))| *other == channel);
    let said = own.map(|(before, (_, said))| (before, *said));
    // What follows the end counts for nothing.
    let mut ended = false;
    said.take_while(move |(_, said)| !std::mem::replace(&mut ended, is_end(*said)))
}

fn is_end(said: Said) -> bool {
    matches!(said, Said::Final | Said::End)
}

fn has_ended(history: &History, channel: usize) -> bool {
    of(history, channel).any(|(_, said)| is_end(said))
}

fn watermark(history: &History, channel: usize) -> i64 {
    let watermark = |(_, said)| match said {
        Said::Watermark(time) => Some(time),
        _ => None,
    };
    of(history, channel).filter_map(watermark).max().unwrap_or(i64::MIN)
}

/// Since when a channel has been active, `None` if it is not.
fn active_since(history: &History, channel: usize) -> Option<usize> {
    if has_ended(history, channel) {
        return None;
    }
    let mut since = Some(0);
    for (before, said) in of(history, channel) {
        match said {
            Said::Idle => since = None,
            Said::Active | Said::Watermark(_) => since = since.or(Some(before + 1)),
            Said::Final | Said::End => {}
        }
    }
    since
}

/// Whether a channel that is active has ever been level with the task since it has been so. The
/// task's watermark after each event is in `task`, MIN at first.
fn is_aligned(history: &History, task: &[i64], channel: usize) -> bool {
    active_since(history, channel).is_some_and(|since| {
        let level = |now: usize| watermark(&history[..now], channel) >= task[now.saturating_sub(1)];
        (since..=history.len()).any(level)
    })
}

fn status(history: &History) -> Status {
    let mut open = (0..CHANNELS).filter(|channel| !has_ended(history, *channel)).peekable();
    let any = open.peek().is_some();
    if any && open.all(|channel| active_since(history, channel).is_none()) {
        Status::Idle
    } else {
        Status::Active
    }
}

fn current(history: &History, task: &[i64]) -> i64 {
    let open = || (0..CHANNELS).filter(|channel| !has_ended(history, *channel));
    let watermarks = |channel| watermark(history, channel);
    let target = match status(history) {
        _ if open().next().is_none() => Some(i64::MAX),
        Status::Idle => open().map(watermarks).max(),
        Status::Active => {
            open().filter(|one| is_aligned(history, task, *one)).map(watermarks).min()
        }
    };
    let before = task.last().copied().unwrap_or(i64::MIN);
    before.max(target.unwrap_or(i64::MIN))
}

fn tell(marks: &mut Watermarks, channel: usize, said: Said) -> Advance {
    match said {
        Said::Watermark(time) => marks.on_watermark(channel, EventTime(time)),
        Said::Final => marks.on_watermark(channel, EventTime::MAX),
        Said::Idle => marks.on_idle(channel),
        Said::Active => marks.on_active(channel),
        Said::End => marks.on_end(channel),
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        8 => (0..20i64).prop_map(Said::Watermark),
        5 => Just(Said::Idle),
        3 => Just(Said::Active),
        1 => Just(Said::Final),
        1 => Just(Said::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_task_follows_its_channels_as_the_model_does(
        history in prop::collection::vec((0..CHANNELS, said()), 1..40),
    ) {
        let mut marks = Watermarks::new(CHANNELS);
        let (mut task, mut known_status) = (vec![i64::MIN], Status::Active);
        for (index, (channel, said)) in history.iter().enumerate() {
            let advance = tell(&mut marks, *channel, *said);
            let now = &history[..=index];
            let (expected, expected_status) = (current(now, &task), status(now));
            let to = (expected > task[index]).then_some(EventTime(expected));
            let changed = (expected_status != known_status).then_some(expected_status);
            prop_assert_eq!(advance, Advance { to, status: changed }, "after {:?}", now);
            prop_assert_eq!(marks.current(), EventTime(expected));
            task.push(expected);
            known_status = expected_status;
        }
    }
}
