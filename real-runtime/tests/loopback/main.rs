//! The agent as a process on loopback: these tests prove the adapter, not the logic.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod command;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod following;
#[cfg(test)]
mod full;
#[cfg(test)]
mod gossip;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod process;
#[cfg(test)]
mod refuse;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod told;
#[cfg(test)]
mod web;
