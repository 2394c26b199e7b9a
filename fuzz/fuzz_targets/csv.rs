#![no_main]
#![doc = "See `tidegate_fuzz::csv`."]

use tidegate_fuzz::csv::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
