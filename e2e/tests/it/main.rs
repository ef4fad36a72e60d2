//! End-to-end tests: the shipped binary, real processes, real sockets, and a naive model to compare with.

#[cfg(test)]
mod chaos;
#[cfg(test)]
mod client;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod days;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod log;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod model;
#[cfg(test)]
mod nats_cli;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod plain_nats;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod several;
#[cfg(test)]
mod small_disk;
