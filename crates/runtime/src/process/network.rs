//! The connections between the processes of an attempt, over which records travel.
//!
//! # Protocol
//!
//! Every process listens before it says where; when all have said so, each connects to those before
//! it and waits for those behind it. Who connects greets with the attempt's token and its own index:
//! anybody else, be it a stranger or a process of an older attempt, is turned away.
//!
//! # Failure
//!
//! Timely's threads panic when a connection breaks: a process is the unit of isolation.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// What a greeting begins with: a name and a version.
const MAGIC: [u8; 8] = *b"tidegat1";
/// A greeting: magic, token, index of who connects.
const GREETING: usize = MAGIC.len() + 8 + 4;
/// How long to wait before another try.
const PAUSE: Duration = Duration::from_millis(2);
/// For how long a greeting may take.
const GREETING_PATIENCE: Duration = Duration::from_secs(5);

/// One process's place among those of its attempt.
pub(crate) struct Network {
    /// Where the others connect to.
    pub(crate) listener: TcpListener,
    /// Which process this one is.
    pub(crate) process: usize,
    /// `host:port` of each process, this one's too.
    pub(crate) addresses: Vec<String>,
    /// The attempt's token.
    pub(crate) token: u64,
}

impl Network {
    /// Connects with every other process within `patience`; the place of this one stays empty.
    ///
    /// # Errors
    ///
    /// Who has not come, or can't be reached.
    pub(crate) fn connect(&self, patience: Duration) -> Result<Vec<Option<TcpStream>>, String> {
        let deadline = Instant::now() + patience;
        let mut sockets = Vec::new();
        for address in &self.addresses[..self.process] {
            sockets.push(Some(self.reach(address, deadline)?));
        }
        sockets.resize_with(self.addresses.len(), || None);
        self.listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        while let Some(missing) = (self.process + 1..sockets.len()).find(|i| sockets[*i].is_none())
        {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some((index, stream)) = self.admit(stream) {
                        sockets[index] = Some(stream);
                    }
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(_) => {
                    return Err(format!("process {missing} has not connected within {patience:?}"));
                }
            }
        }
        Ok(sockets)
    }

    fn reach(&self, address: &str, deadline: Instant) -> Result<TcpStream, String> {
        loop {
            match TcpStream::connect(address).and_then(|stream| self.greet(stream)) {
                Ok(stream) => return Ok(stream),
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => return Err(format!("cannot connect to {address}: {error}")),
            }
        }
    }

    fn greet(&self, mut stream: TcpStream) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        let mut greeting = Vec::with_capacity(GREETING);
        greeting.extend(MAGIC);
        greeting.extend(self.token.to_le_bytes());
        greeting.extend((self.process as u32).to_le_bytes());
        stream.write_all(&greeting)?;
        Ok(stream)
    }

    /// The index of who has connected, if it belongs here.
    fn admit(&self, stream: TcpStream) -> Option<(usize, TcpStream)> {
        self.read_greeting(stream).ok()
    }

    fn read_greeting(&self, mut stream: TcpStream) -> io::Result<(usize, TcpStream)> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GREETING_PATIENCE))?;
        let mut greeting = [0; GREETING];
        stream.read_exact(&mut greeting)?;
        stream.set_read_timeout(None)?;
        let (magic, rest) = greeting.split_at(MAGIC.len());
        let (token, index) = rest.split_at(8);
        let index = index.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
        let belongs = magic == MAGIC
            && token == self.token.to_le_bytes()
            && (self.process + 1..self.addresses.len()).contains(&index);
        if belongs { Ok((index, stream)) } else { Err(ErrorKind::InvalidData.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

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
            token: token(process),
        };
        listeners.into_iter().enumerate().map(network).collect()
    }

    #[test]
    fn every_process_is_connected_with_every_other() {
        let connected = std::thread::scope(|scope| {
            let networks = networks(3, |_| 7);
            let threads = networks.into_iter().map(|network| {
                scope.spawn(move || {
                    let mut sockets = network.connect(PATIENCE).expect("all are there");
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
    fn who_has_another_token_is_not_let_in() {
        let mut networks = networks(2, |process| process as u64);
        let late = networks.pop().expect("two");
        let first = networks.pop().expect("two");
        let stranger = late.connect(PATIENCE).expect("a connection by itself is no welcome");
        let error = first.connect(Duration::from_millis(200)).expect_err("nobody it knows came");
        assert_eq!(error, "process 1 has not connected within 200ms");
        drop(stranger);
    }
}
