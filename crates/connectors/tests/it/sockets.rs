//! Lines over TCP.

use std::{io::Write, net::TcpListener, thread};

use tidegate_connectors::sockets::SocketSource;

use crate::harness::SourceJob;

/// A server for one connection, to which it says `content` and then goodbye.
fn serve(content: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("somebody connects");
        peer.write_all(content).expect("somebody reads");
    });
    address
}

#[test]
fn lines_until_the_peer_closes() {
    let source = SocketSource::new(serve("one\r\ntwö\n\nlast".as_bytes()));
    let mut job = SourceJob::start(&source, 3, &[]).unwrap();
    assert_eq!(job.read(usize::MAX, 2).unwrap(), ["one", "twö", "", "last"]);
    let mut job = SourceJob::start(&source, 1, &job.snapshot()).unwrap();
    assert_eq!(job.read(usize::MAX, 2).unwrap(), [""; 0], "the end is in the snapshot");
}

#[test]
fn what_is_not_text_is_refused() {
    let address = serve(b"fine\n\xff\n");
    let mut job = SourceJob::start(&SocketSource::new(&address), 1, &[]).unwrap();
    let error = job.read(usize::MAX, 2).unwrap_err();
    assert!(error.starts_with(&format!("line 2 from `{address}` is not UTF-8: ")), "{error}");
}

#[test]
fn nobody_listens() {
    // The port was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut job = SourceJob::start(&SocketSource::new(&address), 1, &[]).unwrap();
    let error = job.read(usize::MAX, 2).unwrap_err();
    assert!(error.starts_with(&format!("cannot connect to `{address}`: ")), "{error}");
}
