//! The whole domain against a naive model: lines of a log are read, folded and stated, and compared with a model that sorts
//! and sums.

#[cfg(test)]
mod fold;
#[cfg(test)]
mod log;
#[cfg(test)]
mod naive;
