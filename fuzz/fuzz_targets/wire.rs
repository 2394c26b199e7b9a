#![no_main]
#![doc = "See `tidegate_fuzz::wire`."]

use tidegate_fuzz::wire::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
