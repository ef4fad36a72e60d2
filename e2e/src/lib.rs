//! Tests across services; see `tests/it`.
