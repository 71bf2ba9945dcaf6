//! Log files: written, put away, read and followed.
#![forbid(unsafe_code)]
