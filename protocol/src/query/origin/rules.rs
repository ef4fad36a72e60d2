//! Rules that can be left out, to show what they are there for.

/// Rules of [`super::Origin`] and [`super::StoreScan`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct OriginRules {
    /// A store that was found empty is scanned again when the stream gets another name.
    pub(crate) renaming_rescans_the_empty: bool,
    /// Nothing is answered from a store that was not scanned, or was filled from another log.
    pub(crate) other_log_answers_nothing: bool,
    /// Nothing is answered from a store that was filled from several logs.
    pub(crate) several_logs_answer_nothing: bool,
    /// The store's word alone counts only after the wait for the stream.
    pub(crate) waits_for_the_stream: bool,
    /// As long as no lane has progress, every lane that any log can have is looked at.
    pub(crate) every_lane_is_scanned: bool,
}

impl Default for OriginRules {
    fn default() -> Self {
        Self {
            renaming_rescans_the_empty: true,
            other_log_answers_nothing: true,
            several_logs_answer_nothing: true,
            waits_for_the_stream: true,
            every_lane_is_scanned: true,
        }
    }
}
