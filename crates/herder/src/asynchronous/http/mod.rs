//! HTTP that loses no request when the worker leaves.
//!
//! | module | what it holds |
//! |---|---|
//! | `serve` | [`AsyncWorker::serve_http`](crate::AsyncWorker::serve_http): a task for each connection, and its end |
//! | `io` | the connection under hyper, which ends where nothing is lost |
//! | `answer` | what is added to each response |
//! | `state` | what the three know of one connection |

mod answer;
mod io;
mod serve;
mod state;
#[cfg(test)]
mod tests;
