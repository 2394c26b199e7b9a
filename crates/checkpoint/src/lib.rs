//! Pure state machines of Tidegate: coordinator, alignment, retention, restore plan, restart strategies.
