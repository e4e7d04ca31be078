//! A cassette into its folder: whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use super::{Cassette, Cassettes, Kept, MAX_FILE, MAX_TOTAL};
use crate::backend::yaml::MAX_FILES;

/// Why an exchange is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The folder is full.
    #[error("the folder has {MAX_FILES} cassettes, which is the most there can be")]
    TooMany,
    /// The folder holds too much.
    #[error("the folder would have more than {MAX_TOTAL} bytes of replies")]
    TooMuch,
    /// The file would be too large to be read again.
    #[error("its file would have {bytes} bytes, and {MAX_FILE} at most can be read")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It could not be written.
    #[error("{}: {source}", file.display())]
    NotWritten {
        /// Where.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Cassettes {
    /// Keeps one more. What was recorded of the same request before is replaced.
    ///
    /// # Errors
    /// [`KeepError`]; what was there before is still there.
    pub fn keep(&self, cassette: Cassette) -> Result<Arc<Kept>, KeepError> {
        let digest = cassette.request.digest();
        let text = cassette.to_text();
        if text.len() as u64 > MAX_FILE {
            return Err(KeepError::TooLarge { bytes: text.len() });
        }
        // Held while the file is written, so that what is known is what is in the folder.
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.by_request.get(&digest).cloned();
        if before.is_none() && state.by_request.len() >= MAX_FILES {
            return Err(KeepError::TooMany);
        }
        let replaced = before
            .as_ref()
            .map_or(0, |kept| kept.cassette.response.bytes());
        let bytes = state.bytes - replaced + cassette.response.bytes();
        if bytes > MAX_TOTAL {
            return Err(KeepError::TooMuch);
        }
        let path = match before {
            // It may have been given a name of its own.
            Some(kept) => kept.path.clone(),
            None => self
                .folder
                .join(format!("{}.yaml", cassette.request.file_name())),
        };
        write(&path, &text).map_err(|source| KeepError::NotWritten {
            file: path.clone(),
            source,
        })?;
        let kept = Arc::new(Kept { path, cassette });
        state.bytes = bytes;
        state.by_request.insert(digest, Arc::clone(&kept));
        Ok(kept)
    }
}

/// Whether files can be written there.
pub(super) fn check(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".tokenfall-{}", std::process::id()));
    fs::write(&probe, "")?;
    fs::remove_file(probe)
}

/// Writes a file that is there whole, or as it was before.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden, so that nobody reads it for a cassette.
    let half = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&half, text).and_then(|()| fs::rename(&half, path));
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&half);
    }
    written
}
