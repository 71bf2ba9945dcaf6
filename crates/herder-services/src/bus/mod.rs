//! Messages between the processes of a herd: to all, to one place, to whoever is there, to a
//! library; with an answer, if so wanted.
//!
//! A message goes to the subscribers that there are at that moment, once, in the order in which
//! each sender sent. Who reads too slowly misses some, and is told how many; who sends to nobody is
//! told that, too.

mod desk;
mod mailbox;
mod message;
mod registry;

pub use desk::{Bus, BusError, Subscription};
pub use mailbox::{Mailbox, Picked};
pub use message::{Delivery, Json, Message, Sender, To};
pub use registry::{MemberId, Registry};
