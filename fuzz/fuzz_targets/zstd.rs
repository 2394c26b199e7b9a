#![no_main]
#![doc = "See `tidegate_fuzz::zstd`."]

use tidegate_fuzz::zstd::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
