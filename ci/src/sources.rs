//! Where the sources are and which files count.

use std::path::{Path, PathBuf};

/// The top of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// A file of the project and what is in it.
#[derive(Debug)]
pub struct Source {
    /// Path from the top, with `/`.
    pub path: String,
    /// Text.
    pub text: String,
}

/// All text files below the top whose name ends in `.ending`, in path order. Build output, hidden
/// folders and kept failures are left out.
#[must_use]
pub fn with_ending(ending: &str) -> Vec<Source> {
    let top = root();
    let mut paths = Vec::new();
    collect(&top, ending, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let path = path.strip_prefix(&top).ok()?.to_string_lossy().replace('\\', "/");
            Some(Source { path, text })
        })
        .collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            let skipped = name.starts_with('.') || name.starts_with("target") || name == "failures";
            if !skipped {
                collect(&path, ending, found);
            }
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}
