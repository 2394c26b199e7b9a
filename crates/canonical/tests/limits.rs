//! A few bytes never become more JSON than anybody could hold.

use tidegate_canonical::json::to_json;
use tidegate_snapshot::{described::Described, wire::put_varint};

#[test]
fn what_takes_no_bytes_and_what_is_too_deep_is_refused() {
    // With as much stack as a main thread has: without optimizations each level takes some KiB.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(refused);
    thread.expect("it starts").join().expect("it ends well");
}

fn refused() {
    let shown = |notation: &str, bytes: &[u8]| to_json(&Described::parse(notation), bytes);
    let mut announced = Vec::new();
    put_varint(u64::MAX.into(), &mut announced);
    for (notation, bytes) in [
        ("List<()>", &announced[..]),
        ("Map<(), ()>", &announced),
        ("A { a: Option<A> }", &[1; 1_000_000]),
        ("A(A)", b""),
        ("char", b"\x02ab"),
        ("Option<u8>", b"\x02\x01"),
    ] {
        assert!(shown(notation, bytes).is_err(), "{notation}");
    }
    assert_eq!(shown("List<()>", &[2]).expect("two"), serde_json::json!([null, null]));
}
