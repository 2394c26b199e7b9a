//! The processes of one attempt, which are connected with each other for its records.

use std::{
    collections::BTreeSet,
    panic,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use tidegate_runtime::host::{
    Connected, Connecting, Peers,
    memory::{Lines, connected},
};

use super::Net;
use crate::shipped::{
    chance::Chance,
    clock::PlayClock,
    machine::Pulse,
    turns::{Baton, Release},
};

/// For how long a process waits for the others.
const PATIENCE: Duration = Duration::from_secs(60);

/// The processes of an attempt.
pub(super) struct Group {
    token: u64,
    processes: usize,
    /// How many workers each has.
    workers: usize,
    members: Vec<Member>,
    /// When they are connected, once all have come.
    connected_at: Option<Duration>,
    cut: Cut,
}

/// Between which processes the connection is cut.
type Cut = Arc<Mutex<BTreeSet<(usize, usize)>>>;

/// One of them.
pub(super) struct Member {
    process: usize,
    pulse: Pulse,
    baton: Baton,
    since: Duration,
    is_over: Arc<AtomicBool>,
    state: State,
}

enum State {
    /// It waits for the others.
    Waits(mpsc::Sender<Result<Connected, String>>),
    /// Its workers have begun.
    Works,
    /// Its workers have ended, or nobody hears of them any more.
    Ended,
    /// It is gone, or one that it was connected with is.
    Broken,
}

impl Member {
    /// One that waits, and what its thread waits with.
    pub(super) fn new(
        pulse: Pulse,
        baton: Baton,
        peers: &Peers,
        since: Duration,
    ) -> (Self, Connecting) {
        baton.connects();
        let (sender, connected) = mpsc::channel();
        let waits = move || {
            // Dropped with its machine.
            connected.recv().unwrap_or_else(|_| Err("the machine is gone".to_owned()))
        };
        let (process, is_over) = (peers.process, Arc::clone(&peers.is_over));
        let state = State::Waits(sender);
        (Self { process, pulse, baton, since, is_over, state }, Box::new(waits))
    }

    /// It is told what has come of its waiting; returns once its threads go on.
    fn tell(&mut self, what: Result<Connected, String>) {
        let works = what.is_ok();
        if works {
            self.baton.begins();
        }
        let next = if works { State::Works } else { State::Ended };
        if let State::Waits(sender) = std::mem::replace(&mut self.state, next) {
            // It waits until it is told.
            let _ = sender.send(what);
        }
        if !works {
            self.baton.await_end();
        }
    }
}

impl Group {
    pub(super) fn new(peers: &Peers, first: Member) -> Self {
        Self {
            token: peers.token,
            processes: peers.addresses.len(),
            workers: peers.workers,
            members: vec![first],
            connected_at: None,
            cut: Cut::default(),
        }
    }

    pub(super) fn is_of(&self, peers: &Peers) -> bool {
        self.token == peers.token
    }

    pub(super) fn add(&mut self, member: Member) {
        self.members.push(member);
        self.members.sort_by_key(|member| member.process);
    }

    /// Whether nothing can come of it any more.
    pub(super) fn is_over(&self) -> bool {
        self.members.iter().all(|member| matches!(member.state, State::Ended | State::Broken))
    }

    fn is_connected(&self) -> bool {
        self.members.iter().any(|member| matches!(member.state, State::Works))
    }

    /// Whether it is a machine of these, and waits for nobody any more.
    pub(super) fn has_connected(&self, pulse: &Pulse) -> bool {
        let mut own = self.members.iter().filter(|member| member.pulse.is(pulse));
        own.any(|member| !matches!(member.state, State::Waits(_)))
    }

    /// How many connections there are.
    pub(super) fn pairs(&self) -> usize {
        if self.is_connected() { self.processes * (self.processes - 1) / 2 } else { 0 }
    }

    /// Cuts one of them.
    pub(super) fn cut(&mut self, index: usize) -> String {
        let all = (0..self.processes).flat_map(|one| (0..one).map(move |other| (other, one)));
        let pair = all.into_iter().nth(index).expect("there are as many");
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).insert(pair);
        format!("what processes {} and {} are connected by", pair.0, pair.1)
    }

    /// A machine is gone, and the others find out.
    pub(super) fn lose(&mut self, pulse: &Pulse) {
        for member in self.members.iter_mut().filter(|member| member.pulse.is(pulse)) {
            member.state = State::Broken;
        }
    }

    /// What is due by now happens.
    pub(super) fn go_on(&mut self, net: &Net, now: Duration) {
        self.give_up(now);
        let all_wait = self.members.len() == self.processes
            && self
                .members
                .iter()
                .all(|it| matches!(it.state, State::Waits(_)) && !it.pulse.is_gone());
        if all_wait {
            let at = *self.connected_at.get_or_insert_with(|| now + net.chance.delay());
            if at <= now {
                self.connect(net);
            }
        }
        self.release();
    }

    /// Who has waited for too long, or is not needed any more, waits no longer.
    fn give_up(&mut self, now: Duration) {
        let waits = |process: &usize| {
            let mut members = self.members.iter();
            members.any(|it| it.process == *process && matches!(it.state, State::Waits(_)))
        };
        let missing = (0..self.processes).find(|process| !waits(process));
        for member in &mut self.members {
            if !matches!(member.state, State::Waits(_)) || member.pulse.is_gone() {
                continue;
            }
            if member.is_over.load(Ordering::Acquire) {
                member.tell(Err("nobody is waited for any more".to_owned()));
            } else if now > member.since + PATIENCE {
                let missing = missing.unwrap_or_default();
                member
                    .tell(Err(format!("process {missing} has not connected within {PATIENCE:?}")));
            }
        }
    }

    fn connect(&mut self, net: &Net) {
        let (chance, clock) = (net.chance.clone(), net.clock.clone());
        let lines = Slow { chance, clock, cut: Arc::clone(&self.cut) };
        let all = connected(self.processes, self.workers, Arc::new(lines));
        for (member, connected) in self.members.iter_mut().zip(all) {
            let lingers = Box::new(Lingers(member.baton.clone()));
            member.tell(Ok(connected.guarded_by(lingers)));
        }
        // They wait for each other as they begin.
        self.members.iter().for_each(|member| member.baton.await_begin());
    }

    /// Whoever has ended waits for the others' end, as a connection is closed from both sides; where
    /// one is broken there is nothing to wait for.
    fn release(&mut self) {
        let is_broken = self.members.iter().any(|member| matches!(member.state, State::Broken))
            || !self.cut.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let at_work = |member: &&mut Member| matches!(member.state, State::Works);
        let have_ended = self.members.iter_mut().filter(at_work).all(|it| it.baton.lingers());
        let why = match (is_broken, have_ended) {
            (true, _) => Release::Broken,
            (false, true) => Release::Ended,
            (false, false) => return,
        };
        for member in self.members.iter_mut().filter(at_work) {
            if member.baton.lingers() {
                member.baton.release(why);
                member.state = State::Ended;
            }
        }
    }
}

/// What Timely says of a thread whose peer has unwound.
const PEER_IS_GONE: &str = "MergeQueue poisoned.";

/// From now on nothing is printed when a worker unwinds because another process is gone: of that there is a
/// lot, and what comes of it is in the play's own notes.
pub(super) fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            if what.payload().downcast_ref::<&str>() != Some(&PEER_IS_GONE) {
                tell(what);
            }
        }));
    });
}

/// Dropped behind all workers of a process: waits for what its peers have to say.
struct Lingers(Baton);

impl Drop for Lingers {
    fn drop(&mut self) {
        self.0.linger();
    }
}

/// How bytes travel: they take a while.
struct Slow {
    chance: Chance,
    clock: PlayClock,
    cut: Cut,
}

impl Lines for Slow {
    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn arrival(&self, _from: usize, _to: usize) -> Duration {
        self.clock.elapsed() + self.chance.delay()
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        let pair = (from.min(to), from.max(to));
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).contains(&pair)
    }
}
