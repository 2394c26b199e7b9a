//! A seeded simulation of the Tidegate coordinator, its workers and a faulty store.
