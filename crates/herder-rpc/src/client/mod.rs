//! The agent: calls the objects of a library.
