//! Development commands of Tidegate.

fn main() {}
