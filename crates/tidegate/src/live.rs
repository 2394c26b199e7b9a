//! The live line: how fast the job is, its latest checkpoint, how far it has come.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use tidegate_runtime::{JobHandle, JobStats};

const REFRESH: Duration = Duration::from_millis(200);

/// A live line on standard error.
pub(crate) struct LiveLine {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl LiveLine {
    /// Starts it, if standard error is a terminal.
    pub(crate) fn start(handle: &JobHandle) -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let over = Arc::new(AtomicBool::new(false));
        let (handle, seen_over) = (handle.clone(), Arc::clone(&over));
        let show = move || {
            let bar = ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} {msg}").expect("the template is right"),
            );
            let mut before = (Instant::now(), 0);
            while !seen_over.load(Ordering::Relaxed) {
                let stats = handle.stats();
                bar.set_message(line(&stats, &mut before));
                bar.tick();
                std::thread::sleep(REFRESH);
            }
            bar.finish_and_clear();
        };
        let thread = std::thread::Builder::new().name("tidegate-live".to_owned()).spawn(show);
        Some(Self { over, thread: thread.ok()? })
    }

    /// Wipes it.
    pub(crate) fn finish(self) {
        self.over.store(true, Ordering::Relaxed);
        // It only draws; a panic in there must not cost the job's result.
        let _ = self.thread.join();
    }
}

/// The line's text; `before` is when the last one was made, and the records then.
fn line(stats: &JobStats, before: &mut (Instant, u64)) -> String {
    let now = Instant::now();
    let seconds = now.duration_since(before.0).as_secs_f64().max(1e-3);
    let rate = (stats.records.saturating_sub(before.1) as f64 / seconds) as u64;
    *before = (now, stats.records);
    let mut line = format!("{:?} · {} records/s", stats.status, HumanCount(rate));
    if let Some((done, total)) = stats.progress {
        line.push_str(&format!(" · {:.0} % of the input", 100.0 * done as f64 / total as f64));
    }
    if let Some(latest) = stats.completed.last() {
        let (id, duration) = (latest.id, latest.duration.as_millis());
        line.push_str(&format!(" · checkpoint {id}: {duration} ms, {}", HumanBytes(latest.bytes)));
    }
    if stats.restarts > 0 {
        line.push_str(&format!(" · {} restarts", stats.restarts));
    }
    line
}
