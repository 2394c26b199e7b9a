//! Benchmarks of Tidegate, each printing one line of JSON.

fn main() {}
