//! The host of objects: serves their methods and streams to agents.
