use super::*;

fn parallelism(count: u32) -> Parallelism {
    Parallelism::new(count).expect("not zero")
}

fn max(count: u32) -> MaxParallelism {
    MaxParallelism::new(count).expect("in bounds")
}

#[test]
fn inv_cover_ranges_agree_with_owners_and_cover_every_group() {
    for max_count in [1, 2, 3, 7, 128, 1000] {
        for p in 1..=max_count.min(130) {
            let mut next = 0;
            for subtask in parallelism(p).subtasks() {
                let range = KeyGroupRange::owned_by(subtask, parallelism(p), max(max_count));
                assert_eq!(range.start, next);
                next = range.end;
                for group in range.numbers() {
                    assert_eq!(KeyGroup(group).owner(parallelism(p), max(max_count)), subtask);
                }
            }
            assert_eq!(next, max_count);
        }
    }
}

/// Golden values, computed with another implementation of xxh3-64: if one changes, every snapshot's keys move, so [`FINGERPRINT`] must change too.
#[test]
fn inv_stable_hashes_are_what_they_always_were() {
    #[derive(Serialize)]
    struct Route<'a> {
        from: &'a str,
        to: Option<&'a str>,
        legs: (u8, i32),
    }
    #[derive(Serialize)]
    enum Side {
        Left,
        Right(u16),
    }
    let route = Route { from: "EWR", to: Some("IAH"), legs: (1, -2) };
    let route_bytes = [
        3, 0, 0, 0, 0, 0, 0, 0, b'E', b'W', b'R', 1, 3, 0, 0, 0, 0, 0, 0, 0, b'I', b'A', b'H', 1,
        0xfe, 0xff, 0xff, 0xff,
    ];
    assert_eq!(KeyHash::of(&route).0, xxhash_rust::xxh3::xxh3_64(&route_bytes));
    assert_eq!(KeyHash::of(&Side::Left).0, xxhash_rust::xxh3::xxh3_64(&[0, 0, 0, 0]));
    assert_eq!(KeyHash::of(&Side::Right(7)).0, xxhash_rust::xxh3::xxh3_64(&[1, 0, 0, 0, 7, 0]));
    assert_eq!(KeyHash::of(&42_u64).0, 0xd5a6_f8c8_38df_27c8);
    assert_eq!(KeyHash::of("tidegate").group(max(128)), KeyGroup(21));
}

#[test]
fn long_keys_hash_like_their_bytes() {
    let long = "x".repeat(1000);
    let mut bytes = 1000_u64.to_le_bytes().to_vec();
    bytes.extend_from_slice(long.as_bytes());
    assert_eq!(KeyHash::of(&long).0, xxhash_rust::xxh3::xxh3_64(&bytes));
}
