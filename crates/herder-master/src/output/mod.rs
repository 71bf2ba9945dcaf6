//! What the herd says, and what its workers print.
