//! The network between the machines: who can be reached, what is under way, which connections are made.
//!
//! ```text
//!   [join]  --hello--> [door] : a conversation, whose messages take a while, and which is cut
//!   [listen] .. [connect] x all processes of an attempt: a group of workers, whose bytes take a while
//! ```
//!
//! # Failure
//!
//! When a machine is gone, whoever is connected with it finds out a while later: the conversation breaks,
//! and its workers unwind. One that listens for somebody who has died before they were connected waits in
//! vain, for a minute, as it does on a socket.

mod group;

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_protocol::{
    Endpoint, LinkError, Secret,
    coordination::{FromProcess, Hello, Host, ProcessLink, ToProcess},
    memory::{End, Sent, Wire, conversation},
};
use tidegate_runtime::{
    Network,
    host::{Connecting, Listener, Peers},
};
use tokio::sync::oneshot;

use self::group::{Group, Member};
use super::{chance::Chance, clock::PlayClock, machine::Pulse, turns::Baton};

/// Between two attempts to reach somebody.
const PAUSE: Duration = Duration::from_millis(50);

/// All that there is between machines. Clones are the same.
#[derive(Clone)]
pub(crate) struct Net {
    between: Arc<Mutex<Between>>,
    chance: Chance,
    clock: PlayClock,
}

#[derive(Default)]
struct Between {
    doors: BTreeMap<String, Door>,
    /// Where somebody listens for records, and who.
    listeners: BTreeMap<String, Pulse>,
    calls: Vec<Call>,
    conversations: Vec<Conversation>,
    groups: Vec<Group>,
}

/// Where a coordinator can be reached.
#[derive(Clone)]
struct Door {
    pulse: Pulse,
    keeper: Arc<dyn Host>,
}

/// Somebody who wants to join, and is heard at that time.
struct Call {
    at: Duration,
    from: Pulse,
    address: String,
    hello: Hello,
    /// `None` if there is nobody.
    answer: oneshot::Sender<Option<ProcessLink>>,
}

/// A link between two machines.
struct Conversation {
    wire: Wire,
    /// By the end that sends.
    ways: [UnderWay; 2],
}

struct UnderWay {
    from: Pulse,
    /// What arrives when.
    sent: VecDeque<(Duration, Sent)>,
}

impl Net {
    pub(crate) fn new(chance: Chance, clock: PlayClock) -> Self {
        group::be_quiet();
        Self { between: Arc::default(), chance, clock }
    }

    /// The way to it from one machine.
    pub(crate) fn from(&self, pulse: &Pulse, baton: &Baton) -> Arc<dyn Network> {
        Arc::new(Way { net: self.clone(), pulse: pulse.clone(), baton: baton.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Between> {
        self.between.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due by now happens.
    pub(crate) fn carry(&self) {
        let now = self.clock.elapsed();
        // Taken out: who is called may look for something here.
        let calls = {
            let mut between = self.lock();
            let calls = std::mem::take(&mut between.calls);
            let (due, later) = calls.into_iter().partition(|call| call.at <= now);
            between.calls = later;
            due
        };
        calls.into_iter().for_each(|call| self.put_through(call));
        let mut between = self.lock();
        for conversation in &mut between.conversations {
            conversation.carry(now, &self.chance);
        }
        between.conversations.retain(|conversation| !conversation.wire.is_over());
        let Between { groups, listeners, .. } = &mut *between;
        for group in groups.iter_mut() {
            group.go_on(self, now);
            // Nobody else comes.
            listeners.retain(|_, pulse| !group.has_connected(pulse));
        }
        groups.retain(|group| !group.is_over());
    }

    fn put_through(&self, call: Call) {
        let Call { from, address, hello, answer, .. } = call;
        let door = self.lock().doors.get(&address).cloned();
        // Who calls may have given up; it is gone then.
        let Some(door) = door.filter(|door| !door.pulse.is_gone()) else {
            let _ = answer.send(None);
            return;
        };
        let (link, host, wire) =
            conversation::<FromProcess, ToProcess>(&format!("process {}", hello.process), &address);
        let ways = [from, door.pulse].map(|from| UnderWay { from, sent: VecDeque::new() });
        self.lock().conversations.push(Conversation { wire, ways });
        door.keeper.joined(hello, host);
        let _ = answer.send(Some(link));
    }

    /// Everything breaks that a machine, which is gone, was connected by.
    pub(crate) fn break_off(&self, pulse: &Pulse) {
        let mut between = self.lock();
        between.doors.retain(|_, door| !door.pulse.is(pulse));
        between.listeners.retain(|_, own| !own.is(pulse));
        between.calls.retain(|call| !call.from.is(pulse));
        let is_own =
            |conversation: &Conversation| conversation.ways.iter().any(|way| way.from.is(pulse));
        between.conversations.retain(|conversation| !is_own(conversation));
        between.groups.iter_mut().for_each(|group| group.lose(pulse));
    }

    /// How many connections there are that could be cut.
    pub(crate) fn connections(&self) -> usize {
        let between = self.lock();
        between.conversations.len() + between.groups.iter().map(Group::pairs).sum::<usize>()
    }

    /// Cuts one of them, though both of its machines live; tells which.
    pub(crate) fn cut(&self, mut index: usize) -> String {
        let mut between = self.lock();
        if let Some(conversation) = between.conversations.get_mut(index) {
            conversation.wire.cut();
            return "a conversation".to_owned();
        }
        index -= between.conversations.len();
        for group in &mut between.groups {
            match index.checked_sub(group.pairs()) {
                Some(rest) => index = rest,
                None => return group.cut(index),
            }
        }
        "nothing".to_owned()
    }
}

impl Conversation {
    fn carry(&mut self, now: Duration, chance: &Chance) {
        for end in End::BOTH {
            let UnderWay { from, sent } = &mut self.ways[end as usize];
            // What a machine has not sent by the time that it dies it never sends.
            while !from.is_gone()
                && let Some(next) = self.wire.take(end)
            {
                let before = sent.back().map_or(Duration::ZERO, |(at, _)| *at);
                sent.push_back((before.max(now + chance.delay()), next));
            }
            while sent.front().is_some_and(|(at, _)| *at <= now) {
                if let Some((_, arrived)) = sent.pop_front() {
                    self.wire.deliver(end, arrived);
                }
            }
        }
    }
}

/// The way from one machine to the others.
#[derive(Clone)]
struct Way {
    net: Net,
    pulse: Pulse,
    baton: Baton,
}

/// What a door is closed with.
struct Open {
    way: Way,
    address: String,
}

impl Drop for Open {
    fn drop(&mut self) {
        let is_own = |door: &Door| door.pulse.is(&self.way.pulse);
        let mut between = self.way.net.lock();
        if between.doors.get(&self.address).is_some_and(is_own) {
            between.doors.remove(&self.address);
        }
    }
}

impl Network for Way {
    fn open<'a>(
        &'a self,
        address: &'a str,
        _secret: Option<Secret>,
        keeper: Arc<dyn Host>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Any + Send>>> {
        async move {
            let mut between = self.net.lock();
            if between.doors.contains_key(address) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let door = Door { pulse: self.pulse.clone(), keeper };
            between.doors.insert(address.to_owned(), door);
            Ok(Box::new(Open { way: self.clone(), address: address.to_owned() }) as _)
        }
        .boxed()
    }

    fn join<'a>(
        &'a self,
        coordinator: &'a Endpoint,
        hello: Hello,
        patience: Duration,
    ) -> BoxFuture<'a, Result<ProcessLink, LinkError>> {
        let calls = async move {
            loop {
                let (answer, answered) = oneshot::channel();
                let call = Call {
                    at: self.net.clock.elapsed() + self.net.chance.delay(),
                    from: self.pulse.clone(),
                    address: coordinator.url.clone(),
                    hello: hello.clone(),
                    answer,
                };
                self.net.lock().calls.push(call);
                if let Ok(Some(link)) = answered.await {
                    return link;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        async move {
            tokio::time::timeout(patience, calls).await.map_err(|_| LinkError::Patience {
                peer: coordinator.url.clone(),
                patience,
                last: None,
            })
        }
        .boxed()
    }

    fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let mut between = self.net.lock();
        if between.listeners.contains_key(address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        between.listeners.insert(address.to_owned(), self.pulse.clone());
        Ok(Box::new(Socket { way: self.clone(), address: Some(address.to_owned()) }))
    }
}

/// Where a process listens for the others.
struct Socket {
    way: Way,
    /// `None` once it is up to the group.
    address: Option<String>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(address) = &self.address {
            self.way.net.lock().listeners.remove(address);
        }
    }
}

impl Listener for Socket {
    fn port(&self) -> io::Result<u16> {
        Ok(1)
    }

    fn connect(mut self: Box<Self>, peers: Peers) -> Connecting {
        // Its thread may not look for anything here: the play has all that there is in its hands then.
        self.address = None;
        let Way { net, pulse, baton } = &self.way;
        let now = net.clock.elapsed();
        let (member, connecting) = Member::new(pulse.clone(), baton.clone(), &peers, now);
        let mut between = net.lock();
        let is_of = |group: &&mut Group| group.is_of(&peers);
        match between.groups.iter_mut().find(is_of) {
            Some(group) => group.add(member),
            None => between.groups.push(Group::new(&peers, member)),
        }
        connecting
    }
}
