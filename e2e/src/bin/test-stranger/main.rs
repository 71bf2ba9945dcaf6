//! A worker of another time: it speaks the next version of the control protocol. Put in the place of a herd's
//! program, it is what a reload finds there.

use std::error::Error;
use std::os::fd::AsFd;

use herder_master::role::{self, Assumed};
use herder_sys::socket::{self, Wait};
use herder_wire::control::{ToMaster, VERSION};
use herder_wire::frame;

fn main() -> Result<(), Box<dyn Error>> {
    let Assumed::Worker(seat) = role::assume()? else {
        return Err("only workers here".into());
    };
    let mut bytes = Vec::new();
    let hello = ToMaster::Hello {
        version: VERSION + 1,
        capabilities: 0,
    };
    frame::encode(&hello, &mut bytes)?;
    socket::send(seat.control.as_fd(), &bytes, &[])?;
    // Until it is killed.
    let control = seat.control.as_fd();
    let _gone = socket::receive(control, &mut [0], &mut Vec::new(), 0, Wait::Block);
    std::thread::park();
    Ok(())
}
