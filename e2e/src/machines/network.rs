//! Network namespaces that stand for machines: each reaches this one, and nothing else.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lineage::own_pid;

/// A network of machines. It is gone when it is dropped.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
}

/// A machine of the network.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    /// The end of its cable that is here.
    cable: String,
    /// Its own address.
    pub address: IpAddr,
    /// Where it reaches this machine.
    pub gateway: IpAddr,
}

impl Network {
    /// A network of so many machines (at most 4).
    ///
    /// # Errors
    /// What the kernel says when this user must not make one.
    pub fn new(count: u8) -> io::Result<Network> {
        remove_left();
        let mut network = Network { hosts: Vec::new() };
        for number in 0..count {
            network.hosts.push(Host::new(number));
            network.hosts[usize::from(number)].make()?;
        }
        Ok(network)
    }

    /// Its machines.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

impl Host {
    fn new(number: u8) -> Host {
        // Names and addresses of their own for each process of tests: they run beside each other.
        let pid = own_pid();
        let [_, _, high, low] = pid.to_be_bytes();
        let address = |last: u8| IpAddr::V4(Ipv4Addr::new(10, 128 | high, low, number * 4 + last));
        Host {
            name: format!("herder-{pid}-{number}"),
            cable: format!("hd{number}-{pid}"),
            gateway: address(1),
            address: address(2),
        }
    }

    /// The file by which its network is entered.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    fn make(&self) -> io::Result<()> {
        let (name, cable) = (self.name.as_str(), self.cable.as_str());
        let (address, gateway) = (self.address.to_string(), self.gateway.to_string());
        ip(&["netns", "add", name])?;
        ip(&[
            "link", "add", cable, "type", "veth", "peer", "name", "up0", "netns", name,
        ])?;
        ip(&["address", "add", &format!("{gateway}/30"), "dev", cable])?;
        ip(&["link", "set", cable, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&[
            "-n",
            name,
            "address",
            "add",
            &format!("{address}/30"),
            "dev",
            "up0",
        ])?;
        ip(&["-n", name, "link", "set", "up0", "up"])
    }

    /// Pulls its cable out, or puts it back.
    ///
    /// # Panics
    /// When that cannot be done.
    #[track_caller]
    pub fn cable(&self, state: Cable) {
        let word = match state {
            Cable::In => "up",
            Cable::Out => "down",
        };
        ip(&["link", "set", &self.cable, word]).expect("it was made");
    }
}

/// Whether a machine is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cable {
    In,
    Out,
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            // What could not be made cannot be removed. The cable would go with the namespace, later.
            let _none = ip(&["link", "delete", &host.cable]);
            let _none = ip(&["netns", "delete", &host.name]);
        }
    }
}

/// Removes what tests left that were killed; their cables go with it.
fn remove_left() {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name
            .strip_prefix("herder-")
            .and_then(|rest| rest.split_once('-'));
        if let Some((pid, _)) = pid
            && !Path::new("/proc").join(pid).exists()
        {
            let _gone = ip(&["netns", "delete", &name]);
        }
    }
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let text = format!("ip {}: {}", arguments.join(" "), said.trim());
    Err(io::Error::other(text))
}
