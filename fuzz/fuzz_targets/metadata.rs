#![no_main]
#![doc = "See `tidegate_fuzz::metadata`."]

use tidegate_fuzz::metadata::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
