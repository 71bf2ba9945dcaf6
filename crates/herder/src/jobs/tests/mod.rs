//! Workers of jobs against a master and a gateway that the test plays.

mod asynchronous;
mod ending;
mod links;
mod replies;
