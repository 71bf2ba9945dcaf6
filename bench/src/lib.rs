//! What a connection, a message and a call cost under herder, beside loops that have nothing around them.
//!
//! Every figure is a comparison inside one run: all variants take turns, round by round, on the same machine
//! minutes apart, and what counts are the medians of the ratios of each round. Absolute rates say more
//! about the machine than about the programs.
//!
//! Native programs are compared with bare accept loops and nginx, Node programs with the same under Node's own
//! cluster and PM2, uvicorns of a herd with uvicorn's own parent and its likes, messages with one process that
//! sends them back itself. A message
//! also goes to a worker and back, through three processes; what that costs stands in the table as processor
//! time by role, because the rate of a machine whose processors are all busy (the clients are among
//! them) says little else.
//!
//! - [`bare`]: the loops to compare with;
//! - [`variant`]: what is compared, and how each is started;
//! - [`part`]: what the clients do;
//! - [`messages`]: clients that send messages;
//! - [`calls`]: calls to a library, a contest of their own;
//! - [`reloads`]: what a reload costs the clients, another one;
//! - [`logs`]: how fast lines come into log files, another one;
//! - [`daemon`]: what a daemon costs, another one;
//! - [`proxy`]: what a proxy costs, another one;
//! - [`measure`]: one measurement of one variant;
//! - [`memory`]: what an idle herd needs;
//! - [`contest`]: all of them, interleaved, and [`statistics`] of them;
//! - [`goals`]: what herder is to reach;
//! - [`report`]: tables, the page of the guide with its picture, and the JSON file;
//! - [`ending`]: what was started ends, after Ctrl-C too.

#![forbid(unsafe_code)]

pub mod answer;
pub mod bare;
pub mod calls;
pub mod contest;
pub mod daemon;
pub mod ending;
pub mod goals;
pub mod logs;
pub mod measure;
pub mod memory;
pub mod messages;
pub mod part;
pub mod proxy;
pub mod reloads;
pub mod report;
pub mod statistics;
pub mod variant;
