#![no_main]
#![doc = "See `tidegate_fuzz::gzip`."]

use tidegate_fuzz::gzip::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
