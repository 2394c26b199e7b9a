#![no_main]
#![doc = "See `tidegate_fuzz::log`."]

use tidegate_fuzz::log::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
