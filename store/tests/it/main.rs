//! The store's implementations against the conformance suite, a naive model, crashes and a full disk.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod model;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod scylla;
#[cfg(test)]
mod simulated;
