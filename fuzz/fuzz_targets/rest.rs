#![no_main]
#![doc = "See `tidegate_fuzz::rest`."]

use tidegate_fuzz::rest::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
