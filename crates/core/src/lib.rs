//! What authors of Tidegate operators, sources and sinks see: the traits and the logical plan.
