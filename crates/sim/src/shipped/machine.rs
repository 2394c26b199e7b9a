//! A simulated machine: one process of ours with its Tokio runtime, its clocks, its threads and its way to
//! the store. When it is killed nothing of it reaches anything any more.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_runtime::Host;
use tidegate_storage::Places;
use tidegate_types::{Clock, Random};
use tokio::{
    runtime::{Handle, Runtime},
    task::yield_now,
};

use super::{line::Line, network::Net, turns::Baton};

/// How many other tasks Tokio comes to while the play has its turn there.
const YIELDS: usize = 8;

/// Whether a machine is there. Clones are of the same machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicBool>);

impl Pulse {
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether both are of one machine.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// One machine.
pub(crate) struct Machine {
    tokio: Option<Runtime>,
    pub(crate) baton: Baton,
    pub(crate) pulse: Pulse,
    pub(crate) host: Host,
    /// Its way to the store and the target.
    pub(crate) line: Line,
    net: Net,
    /// Until when it stands still.
    frozen: Duration,
    /// How much time has passed since it stands still.
    missed: Cell<Duration>,
}

impl Machine {
    /// Switches one on.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        net: &Net,
        (line, places): (impl FnOnce(&Pulse) -> Line, impl FnOnce(&Line) -> Places),
    ) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O can be had");
        let (baton, pulse) = (Baton::default(), Pulse::default());
        let line = line(&pulse);
        let host = Host {
            name: format!("machine {}", line.number.0),
            clock,
            random,
            places: places(&line),
            threads: Arc::new(baton.clone()),
            turns: Arc::new(baton.clone()),
            network: net.from(&pulse, &baton),
        };
        Self {
            tokio: Some(tokio),
            baton,
            pulse,
            host,
            line,
            net: net.clone(),
            frozen: Duration::ZERO,
            missed: Cell::default(),
        }
    }

    fn tokio(&self) -> &Runtime {
        self.tokio.as_ref().expect("the machine has not been killed")
    }

    /// By which others have something done there, as a message that comes in does.
    pub(crate) fn handle(&self) -> Handle {
        self.tokio().handle().clone()
    }

    /// Begins something there.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tokio().spawn(work);
    }

    /// Gives Tokio a turn.
    pub(crate) fn turn(&self) {
        self.tokio().block_on(async {
            for _ in 0..YIELDS {
                yield_now().await;
            }
        });
    }

    /// It stands still until then.
    pub(crate) fn freeze(&mut self, until: Duration) {
        self.frozen = until;
    }

    pub(crate) fn is_frozen(&self, now: Duration) -> bool {
        now < self.frozen
    }

    /// Time passes, and is `now` by now: a machine that stands still finds out at once afterwards.
    pub(crate) fn pass(&self, time: Duration, now: Duration) {
        let passed = self.missed.take() + time;
        if self.is_frozen(now) {
            self.missed.set(passed);
        } else {
            self.tokio().block_on(tokio::time::advance(passed));
        }
    }

    /// From now on nothing of it reaches anything, and it does nothing any more. Others have not noticed.
    pub(crate) fn fall_silent(&self) {
        self.pulse.0.store(true, Ordering::Relaxed);
        self.line.have_last_words();
    }

    /// Kills it: first nothing reaches anything any more, then everything ends that others are connected
    /// with, and everything that it does.
    pub(crate) fn kill(&mut self) {
        self.fall_silent();
        self.net.break_off(&self.pulse);
        self.baton.kill();
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_background();
        }
    }
}
