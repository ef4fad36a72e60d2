//! Where cargo has put what it built. Cargo itself is asked: a target folder may be configured in many places.

use std::path::PathBuf;

/// The executable that cargo's JSON messages name last.
pub fn executable(messages: &str) -> Option<PathBuf> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_the_last_message_that_names_one() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"executable\":\"/a/b/saldo\",\"fresh\":true}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/a/b/saldo")));
        assert_eq!(executable("{\"executable\":null}"), None);
    }
}
