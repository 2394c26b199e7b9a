//! Numbers of variable length: what fits comes back, what does not is refused.

use tidegate_snapshot::wire::{put_varint, take_varint};

#[test]
fn numbers_of_every_length_come_back_and_leave_what_is_behind_them() {
    for bits in 0..128 {
        for number in [(1_u128 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            let length = 128 - number.leading_zeros().min(127);
            assert_eq!(bytes.len(), length.div_ceil(7) as usize, "{number}");
            bytes.push(0xff);
            for of in [16, 32, 64, 128] {
                let mut rest = &bytes[..];
                let taken = take_varint(&mut rest, of);
                assert_eq!(taken.ok(), (length <= of).then_some(number), "{number} of {of} bits");
                assert!(length > of || rest == [0xff]);
            }
        }
    }
}

#[test]
fn a_number_that_is_cut_or_has_no_end_is_refused() {
    for of in [16_u32, 32, 64, 128] {
        for length in 0..of.div_ceil(7) as usize {
            let error = take_varint(&mut &vec![0xff; length][..], of).expect_err("it is cut");
            assert_eq!(error.to_string(), "its bytes end in the middle of a value");
        }
        let error = take_varint(&mut &[0xff; 30][..], of).expect_err("it has no end");
        assert_eq!(error.to_string(), "a number is too long");
        // Zeros in front make no number of it that fits.
        let mut padded = [0x80; 30];
        padded[29] = 0;
        take_varint(&mut &padded[..], of).expect_err("it is too long");
    }
}
