//! How the herd is put onto another generation of its program.
//!
//! A reload makes a new [`Edition`] of what lies in the file system, and of the configuration if that is read
//! again ([`reading`]; what it cannot change is in [`fixed`]), has its policies hold ([`policies`]), replaces the libraries, one life
//! after the other, and then has the workers' supervisor do the rest ([`steps`]). It ends with exactly
//! one verdict ([`verdicts`]), which says why, if the new generation failed ([`reasons`]). What has to
//! outlive the master is in [`Reloads`].

mod course;
mod editions;
mod fixed;
mod kit;
mod libraries;
mod policies;
mod reading;
mod reasons;
mod service;
mod steps;
mod telling;
mod verdicts;

pub(super) use course::Reloads;
pub(super) use editions::{Edition, Editions, LeftEditions, Origin, Record};
pub(super) use kit::Kit;
pub(super) use reading::{Lectern, Reading};
pub(super) use telling::Matter;
