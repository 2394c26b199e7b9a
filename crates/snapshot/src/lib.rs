//! Bytes to structs and back: Tidegate snapshot metadata, state files and the object store they live in.
