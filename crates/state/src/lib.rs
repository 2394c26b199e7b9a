//! Keyed and operator state of Tidegate: copy on write per key group, timers, TTL.
