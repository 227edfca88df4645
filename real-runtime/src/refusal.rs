//! What an operating system refuses, in the words that Consul's users know.

use std::io;

/// Why a file cannot be opened or a program cannot be started.
pub(crate) fn words(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        "no such file or directory".to_owned()
    } else if kind == io::ErrorKind::PermissionDenied {
        "permission denied".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_refusals_have_words() {
        let of = |kind| words(&io::Error::from(kind));
        assert_eq!(of(io::ErrorKind::NotFound), "no such file or directory");
        assert_eq!(of(io::ErrorKind::PermissionDenied), "permission denied");
        assert_eq!(words(&io::Error::other("odd")), "odd");
    }
}
