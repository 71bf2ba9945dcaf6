//! The API, asked over its socket, before books that a test keeps.

mod document;
mod limits;
mod logs;
mod numbers;
mod openapi;
mod schema;
mod security;
mod stage;
mod streams;
