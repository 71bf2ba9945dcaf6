//! Who gets a request.

mod desk;
mod ejection;
mod membership;
mod policies;
mod retries;
mod slow_start;
