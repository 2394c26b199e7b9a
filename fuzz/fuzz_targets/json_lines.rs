#![no_main]
#![doc = "See `tidegate_fuzz::json_lines`."]

use tidegate_fuzz::json_lines::TARGET;

libfuzzer_sys::fuzz_target!(init: TARGET.begin(), |input: &[u8]| TARGET.play(input));
