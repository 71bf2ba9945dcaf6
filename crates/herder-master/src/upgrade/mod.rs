//! How a master goes on as another build of the program: the new build is asked first, as a *probe*,
//! whether it understands the herd's state; then the master executes it in its own place, with the
//! same children and descriptors.

mod inquiry;
mod parcels;
mod probe;

pub(crate) use inquiry::{Inquiry, Outcome, Refusal};
pub(crate) use parcels::{pack, unpack};
pub(crate) use probe::answer;
