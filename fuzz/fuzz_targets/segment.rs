#![no_main]
#![doc = "See `tidegate_fuzz::segment`."]

use tidegate_fuzz::segment::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
