//! Sources and sinks of Tidegate: files, generator, sockets, standard output, collections.
