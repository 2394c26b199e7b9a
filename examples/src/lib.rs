//! Example jobs of Tidegate: see `flights.rs` and `wordcount.rs` beside this package.
