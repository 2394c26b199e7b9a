//! The connections between the processes of an attempt, over which records travel.
//!
//! # Protocol
//!
//! Every process listens before it says where; when all have said so, each connects to those before
//! it and waits for those behind it. Who connects greets with the attempt's key and its own index, and
//! is connected once it is welcomed with that key: anybody else, be it a stranger or a process of an
//! older attempt, is turned away, on either side.
//!
//! # Invariants
//!
//! - INV-STRANGER: whoever does not greet holds nobody up: all are listened to at once, each for a
//!   time, and of too many the one that has been silent for longest gives way, which connects again
//!   if it belongs here.
//!
//! # Failure
//!
//! Timely's threads panic when a connection breaks: a process is the unit of isolation.

#![expect(
    clippy::disallowed_methods,
    reason = "sockets of the system, and its time: a simulation has neither"
)]

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tidegate_protocol::{Secret, derived};
use timely::communication::{
    Hooks,
    allocator::{
        AllocatorBuilder, ProcessBuilder, zero_copy::initialize::initialize_networking_from_sockets,
    },
};

use super::network::{Connected, Connecting, Listener, Peers};

/// What a greeting begins with: a name and a version.
const MAGIC: [u8; 8] = *b"tidegat2";
/// How long what shows the key is, either way.
const PROOF: usize = 64;
/// A greeting: magic, proof, index of who connects.
const GREETING: usize = MAGIC.len() + PROOF + 4;
/// How long to wait before another try.
const PAUSE: Duration = Duration::from_millis(2);
/// For how long a greeting may take.
const GREETING_PATIENCE: Duration = Duration::from_secs(5);
/// How many may be listened to at once.
const GUESTS: usize = 64;

/// For how long processes wait for each other at the start.
const PATIENCE: Duration = Duration::from_secs(60);

impl Listener for TcpListener {
    fn port(&self) -> io::Result<u16> {
        Ok(self.local_addr()?.port())
    }

    fn connect(self: Box<Self>, peers: Peers) -> Connecting {
        Box::new(move || {
            let Peers { process, workers, .. } = peers;
            let key = NetworkKey::new(peers.secret.as_ref(), peers.token);
            let network = Network { listener: *self, process, addresses: peers.addresses, key };
            let sockets = network.connect(PATIENCE, &peers.is_over)?;
            let hooks = Hooks::default();
            let (refill, spill) = (hooks.refill.clone(), hooks.spill.clone());
            let local = ProcessBuilder::new_typed_vector(workers, refill, spill);
            let built = initialize_networking_from_sockets(local, sockets, process, workers, hooks);
            let (builders, guard) = built.map_err(|error| error.to_string())?;
            let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
            Ok(Connected { builders, guard: Box::new(guard) })
        })
    }
}

/// What the processes of an attempt know each other by.
struct NetworkKey {
    greeting: Secret,
    welcome: Secret,
}

impl NetworkKey {
    /// From what the processes of the job, or of the attempt, know, and the attempt's number.
    fn new(secret: Option<&Secret>, token: u64) -> Self {
        let nobodys = Secret::new("");
        let secret = secret.unwrap_or(&nobodys);
        let of = |what: &str| derived(secret, &format!("{what} of {token:016x}"));
        Self { greeting: of("greeting"), welcome: of("welcome") }
    }
}

/// One process's place among those of its attempt.
struct Network {
    /// Where the others connect to.
    listener: TcpListener,
    /// Which process this one is.
    process: usize,
    /// `host:port` of each process, this one's too.
    addresses: Vec<String>,
    /// What they know each other by.
    key: NetworkKey,
}

/// Somebody who has connected and not greeted yet.
struct Guest {
    stream: TcpStream,
    greeting: [u8; GREETING],
    /// How much of it has come.
    filled: usize,
    since: Instant,
}

/// What has come of a guest.
enum Heard {
    /// Its index, and its connection.
    Admitted(usize, TcpStream),
    Pending(Guest),
    /// It does not belong here.
    Gone,
}

impl Network {
    /// Connects with every other process within `patience`; the place of this one stays empty.
    ///
    /// # Errors
    ///
    /// Who has not come, or can't be reached; or that it is over before all have come.
    fn connect(
        &self,
        patience: Duration,
        is_over: &AtomicBool,
    ) -> Result<Vec<Option<TcpStream>>, String> {
        let deadline = Instant::now() + patience;
        let mut sockets = Vec::new();
        for address in &self.addresses[..self.process] {
            sockets.push(Some(self.reach(address, deadline)?));
        }
        sockets.resize_with(self.addresses.len(), || None);
        self.listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let mut guests = VecDeque::new();
        while let Some(missing) = (self.process + 1..sockets.len()).find(|i| sockets[*i].is_none())
        {
            if Instant::now() >= deadline {
                return Err(format!("process {missing} has not connected within {patience:?}"));
            }
            if is_over.load(Ordering::Acquire) {
                return Err(format!("process {missing} is not waited for any more"));
            }
            let admitted = self.attend(&mut guests);
            if admitted.is_empty() {
                std::thread::sleep(PAUSE);
            }
            for (index, stream) in admitted {
                sockets[index] = Some(stream);
            }
        }
        Ok(sockets)
    }

    /// Lets in who has come meanwhile, and listens to all guests (INV-STRANGER).
    fn attend(&self, guests: &mut VecDeque<Guest>) -> Vec<(usize, TcpStream)> {
        let mut admitted = Vec::new();
        for guest in std::mem::take(guests) {
            self.listen_to(guest, guests, &mut admitted);
        }
        for _ in 0..GUESTS {
            let Ok((stream, _)) = self.listener.accept() else { break };
            let guest = Guest { stream, greeting: [0; GREETING], filled: 0, since: Instant::now() };
            self.listen_to(guest, guests, &mut admitted);
            if guests.len() > GUESTS {
                guests.pop_front();
            }
        }
        admitted
    }

    fn listen_to(
        &self,
        guest: Guest,
        guests: &mut VecDeque<Guest>,
        admitted: &mut Vec<(usize, TcpStream)>,
    ) {
        match self.hear(guest) {
            Ok(Heard::Admitted(index, stream)) => admitted.push((index, stream)),
            Ok(Heard::Pending(guest)) => guests.push_back(guest),
            Ok(Heard::Gone) | Err(_) => {}
        }
    }

    /// Takes in what a guest has said by now, without waiting.
    fn hear(&self, mut guest: Guest) -> io::Result<Heard> {
        guest.stream.set_nonblocking(true)?;
        while guest.filled < GREETING {
            match guest.stream.read(&mut guest.greeting[guest.filled..]) {
                Ok(0) => return Ok(Heard::Gone),
                Ok(length) => guest.filled += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let is_patient = guest.since.elapsed() < GREETING_PATIENCE;
                    return Ok(if is_patient { Heard::Pending(guest) } else { Heard::Gone });
                }
                Err(error) => return Err(error),
            }
        }
        let Some(index) = self.index_in(&guest.greeting) else { return Ok(Heard::Gone) };
        let mut stream = guest.stream;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.write_all(self.key.welcome.expose().as_bytes())?;
        Ok(Heard::Admitted(index, stream))
    }

    /// The index of who has greeted so, if it belongs here.
    fn index_in(&self, greeting: &[u8; GREETING]) -> Option<usize> {
        let (magic, rest) = greeting.split_at(MAGIC.len());
        let (proof, index) = rest.split_at(PROOF);
        let index = index.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
        let belongs = magic == MAGIC
            && self.key.greeting.is(proof)
            && (self.process + 1..self.addresses.len()).contains(&index);
        belongs.then_some(index)
    }

    fn reach(&self, address: &str, deadline: Instant) -> Result<TcpStream, String> {
        loop {
            match TcpStream::connect(address).and_then(|stream| self.greet(stream, deadline)) {
                Ok(stream) => return Ok(stream),
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => return Err(format!("cannot connect to {address}: {error}")),
            }
        }
    }

    /// Greets, and waits for the welcome: the other side may be a while behind.
    fn greet(&self, mut stream: TcpStream, deadline: Instant) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        let mut greeting = Vec::with_capacity(GREETING);
        greeting.extend(MAGIC);
        greeting.extend(self.key.greeting.expose().as_bytes());
        greeting.extend((self.process as u32).to_le_bytes());
        stream.write_all(&greeting)?;
        let rest = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
        stream.set_read_timeout(Some(rest))?;
        let mut welcome = [0; PROOF];
        stream.read_exact(&mut welcome)?;
        stream.set_read_timeout(None)?;
        let is_right = self.key.welcome.is(&welcome);
        if is_right { Ok(stream) } else { Err(ErrorKind::InvalidData.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    static GOES_ON: AtomicBool = AtomicBool::new(false);

    fn networks(count: usize, token: impl Fn(usize) -> u64) -> Vec<Network> {
        let bind = |_| TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let listeners = (0..count).map(bind).collect::<Vec<_>>();
        let address =
            |listener: &TcpListener| listener.local_addr().expect("it is bound").to_string();
        let addresses = listeners.iter().map(address).collect::<Vec<_>>();
        let network = |(process, listener)| Network {
            listener,
            process,
            addresses: addresses.clone(),
            key: NetworkKey::new(None, token(process)),
        };
        listeners.into_iter().enumerate().map(network).collect()
    }

    #[test]
    fn every_process_is_connected_with_every_other() {
        let connected = std::thread::scope(|scope| {
            let networks = networks(3, |_| 7);
            let threads = networks.into_iter().map(|network| {
                scope.spawn(move || {
                    let mut sockets = network.connect(PATIENCE, &GOES_ON).expect("all are there");
                    for socket in sockets.iter_mut().flatten() {
                        socket.write_all(&[network.process as u8]).expect("connected");
                    }
                    let heard = sockets.iter_mut().map(|socket| {
                        let mut byte = [0];
                        socket.as_mut().map(|socket| {
                            socket.read_exact(&mut byte).expect("the other has written");
                            byte[0]
                        })
                    });
                    heard.collect::<Vec<_>>()
                })
            });
            let threads = threads.collect::<Vec<_>>();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        let expected =
            [[None, Some(1), Some(2)], [Some(0), None, Some(2)], [Some(0), Some(1), None]];
        assert_eq!(connected, expected);
    }

    #[test]
    fn nobody_is_waited_for_once_it_is_over() {
        let mut networks = networks(2, |_| 7);
        networks.truncate(1);
        let first = networks.pop().expect("one is left");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| first.connect(PATIENCE, &is_over));
            is_over.store(true, Ordering::Release);
            let error = waiting.join().expect("no panic").expect_err("nobody has come");
            assert_eq!(error, "process 1 is not waited for any more");
        });
    }

    #[test]
    fn who_has_another_token_is_not_let_in() {
        let mut networks = networks(2, |process| process as u64);
        let late = networks.pop().expect("two");
        let first = networks.pop().expect("two");
        let patience = Duration::from_millis(200);
        std::thread::scope(|scope| {
            let stranger =
                scope.spawn(move || late.connect(patience, &GOES_ON).expect_err("not welcomed"));
            let error = first.connect(patience, &GOES_ON).expect_err("nobody it knows came");
            assert_eq!(error, "process 1 has not connected within 200ms");
            let error = stranger.join().expect("no panic");
            assert!(error.starts_with("cannot connect to 127.0.0.1:"), "{error}");
        });
    }

    #[test]
    fn whoever_listens_in_anothers_place_is_not_taken_for_it() {
        let mut networks = networks(2, |_| 7);
        let late = networks.pop().expect("two");
        let stranger = networks.pop().expect("two").listener;
        std::thread::spawn(move || {
            // It answers whatever it hears, for as long as the test runs.
            for stream in stranger.incoming() {
                let mut stream = stream.expect("accepted");
                let mut greeting = [0; GREETING];
                if stream.read_exact(&mut greeting).is_ok() {
                    let _ = stream.write_all(&greeting[MAGIC.len()..][..PROOF]);
                }
            }
        });
        let error =
            late.connect(Duration::from_millis(200), &GOES_ON).expect_err("it is a stranger");
        assert!(error.starts_with("cannot connect to 127.0.0.1:"), "{error}");
    }

    #[test]
    fn who_knows_the_attempts_number_alone_is_not_let_in() {
        let secret = Secret::new("the attempt's");
        let own = NetworkKey::new(Some(&secret), 7);
        let others = NetworkKey::new(None, 7);
        assert_ne!(own.greeting, others.greeting);
        assert_ne!(own.greeting, own.welcome);
    }

    #[test]
    fn strangers_that_say_nothing_hold_nobody_up() {
        let mut networks = networks(2, |_| 7);
        let late = networks.pop().expect("two");
        let first = networks.pop().expect("two");
        let address = first.addresses[0].clone();
        let strangers = (0..3 * GUESTS).map(|_| TcpStream::connect(&address).expect("it listens"));
        // As many as the system takes before anybody is let in.
        let strangers = strangers.take(100).collect::<Vec<_>>();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let late =
                scope.spawn(move || late.connect(PATIENCE, &GOES_ON).expect("it is welcomed"));
            first.connect(PATIENCE, &GOES_ON).expect("it is heard behind all of them");
            late.join().expect("no panic");
        });
        assert!(begun.elapsed() < GREETING_PATIENCE, "{:?}", begun.elapsed());
        drop(strangers);
    }
}
