//! The relay over real HTTP, with real signatures and a real database; in the place of Temporal a sink that notes what
//! it is given.

mod accepted;
mod forged;
mod genuine;
mod inbox;
mod strangers;
mod support;
