//! Where configuration comes from, and in which order it counts.

use super::check::{Wrong, object};
use super::merge::{definitions, flags_over, over};
use super::schema::KEYS;
use super::settings::Settings;
use proconsul_core::syntax::document::{Format, parse};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What the command line names.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files and directories, in order.
    pub paths: Vec<String>,
    /// `-config-format`: what all files are.
    pub format: Option<String>,
    /// `-hcl` fragments.
    pub fragments: Vec<String>,
    /// Keys given by flags.
    pub flags: Map<String, Value>,
    /// `-dev`.
    pub dev: bool,
}

/// Reads everything and checks it.
///
/// # Errors
/// File, key and reason.
pub fn settings(sources: &Sources) -> Result<Settings, String> {
    let mut warnings = Vec::new();
    let mut merged = Map::new();
    for path in &sources.paths {
        for file in files(Path::new(path), sources.format.as_deref(), &mut warnings)? {
            let given = read_file(&file, sources.format.as_deref())?;
            over(&mut merged, checked(&file.display().to_string(), &given)?);
        }
    }
    for (number, fragment) in sources.fragments.iter().enumerate() {
        let name = format!("flags-{number}.hcl");
        let given = parse(&name, Format::Hcl, fragment)
            .map_err(|error| format!("failed to parse {name}: {error}"))?;
        over(&mut merged, checked(&name, &given)?);
    }
    flags_over(&mut merged, checked("flags", &sources.flags)?);
    Settings::of(&merged, sources.dev, warnings)
}

/// One file as an object: JSON or HCL, as `format` or its name says.
///
/// # Errors
/// Why it cannot be read or parsed.
pub fn read_file(path: &Path, format: Option<&str>) -> Result<Map<String, Value>, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("config: ReadFile failed on {name}: {error}"))?;
    let format = match format {
        Some("json") => Format::Json,
        Some("hcl") => Format::Hcl,
        Some(other) => {
            return Err(format!("-config-format \"{other}\" must be \"json\" or \"hcl\""));
        }
        // As Consul does: a file whose name says nothing is JSON if it looks like it.
        None => Format::of_file(&name).unwrap_or_else(|| {
            if text.trim_start().starts_with('{') { Format::Json } else { Format::Hcl }
        }),
    };
    parse(&name, format, &text).map_err(|error| format!("failed to parse {name}: {error}"))
}

/// The files a path stands for: itself, or those of a directory in the order of their names.
fn files(
    path: &Path,
    format: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, String> {
    let failed =
        |error: std::io::Error| format!("config: Open failed on {}: {error}", path.display());
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let known = matches!(
            file.extension().and_then(|extension| extension.to_str()),
            Some("json" | "hcl")
        );
        if file.is_dir() {
            warnings.push(format!("skipping directory {}", file.display()));
        } else if known || format.is_some() {
            found.push(file);
        } else {
            warnings.push(format!(
                "skipping file {}, extension must be .hcl or .json, or config format must be set",
                file.display()
            ));
        }
    }
    found.sort();
    Ok(found)
}

fn checked(name: &str, given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut wrong = Wrong::default();
    let mut checked = object("", KEYS, given, &mut wrong);
    if let Some(text) = wrong.text() {
        return Err(format!("failed to parse {name}: {text}"));
    }
    definitions(&mut checked);
    Ok(checked)
}
